//! A snapshot on demand: all threads and tasks of a process that goes on.
//!
//! A signal asks for it, or the program itself ([`crate::hooks`]). The thread
//! that gets the signal looks at the others from the handler. If it was in the
//! middle of an operation of the runtime, it asks itself again a moment later.
//!
//! A thread that sleeps is shown where it waits; one that runs is asked where it
//! is (see [`super::sample`]). Tasks are shown with what they awaited when they
//! last left their waker. Nothing stands still meanwhile: two entries can be of
//! two moments, a few milliseconds apart. A cycle of those that wait is of one moment
//! (see [`super::sides`]).
//!
//! No other thread is waited for, but for its answer to the signal that asks a running
//! one where it is, and that for a limited time: who asks may itself be in a cycle.
//!
//! What it misses: programs that handle the signal themselves keep their
//! handler; they can be asked by another signal.

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};

use super::edge::tracked;
use super::end;
use super::handlers;
use super::kernel;
use super::sample;
use super::sides;
use super::snapshot::{Member, Snapshot};
use super::task;
use crate::findings;
use crate::report::wire::{Leg, Record, Stack, WaitOn};
use crate::rt::mode;
use crate::rt::sys;
use crate::rt::thread::Thread;
use crate::wire;

/// The signal that asks, or 0.
static SIGNAL: AtomicI32 = AtomicI32::new(0);
/// A snapshot is being taken.
static TAKING: AtomicBool = AtomicBool::new(false);
/// Snapshots taken.
static TAKEN: AtomicU32 = AtomicU32::new(0);
/// The timer that asks again, once there is one.
static TIMER: AtomicI32 = AtomicI32::new(-1);

/// Listens to the signal, if there is one. Called once, before std starts.
pub fn init(signal: Option<i32>) {
    let Some(signal) = signal else { return };
    if handlers::install(signal, asked, libc::SA_RESTART) {
        SIGNAL.store(signal, Ordering::Relaxed);
    }
}

/// The signals that our own handlers are for, as bits: they wake nobody.
pub fn harmless() -> u64 {
    let signal = SIGNAL.load(Ordering::Relaxed);
    let sampled = sample::signal_bit();
    if signal == 0 {
        return sampled;
    }
    let ours = handlers::is_ours(signal);
    sampled | u64::from(ours) << (signal - 1)
}

unsafe extern "C" fn asked(signal: i32, _info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the C library's own place for this thread's errno.
    let errno = unsafe { *libc::__errno_location() };
    // SAFETY: the kernel passes it.
    let context = unsafe { &*context.cast::<libc::ucontext_t>() };
    let register = |name: i32| context.uc_mcontext.gregs[name as usize] as u64;
    match tracked() {
        Some(_) if end::has_begun() => {}
        Some(thread) if !TAKING.swap(true, Ordering::Acquire) => {
            thread.busy += 1;
            if mode::leaks_alone() {
                thread.load_calls_around(register(libc::REG_RBP) as usize, None);
            }
            // The instruction itself, not a return address.
            take(thread, thread.stack_at(register(libc::REG_RIP) + 1));
            thread.busy -= 1;
            TAKING.store(false, Ordering::Release);
        }
        Some(_) | None => ask_again(signal),
    }
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

/// The program asks, at `pc`.
pub fn now(pc: u64) {
    let Some(thread) = tracked() else { return };
    if TAKING.swap(true, Ordering::Acquire) {
        return;
    }
    thread.busy += 1;
    thread.load_calls(pc);
    take(thread, thread.stack_at(pc));
    thread.busy -= 1;
    TAKING.store(false, Ordering::Release);
}

/// Sends the signal to this process once more, a moment later.
fn ask_again(signal: i32) {
    const MOMENT_NS: i64 = 2_000_000;
    let mut timer = TIMER.load(Ordering::Relaxed);
    // SAFETY: zero is a valid event; the kernel reads it and writes the timer's
    // number. A second timer by another thread only asks once more.
    unsafe {
        if timer < 0 {
            let mut event: libc::sigevent = std::mem::zeroed();
            event.sigev_notify = libc::SIGEV_SIGNAL;
            event.sigev_signo = signal;
            let [clock, event] = [libc::CLOCK_MONOTONIC as usize, &raw const event as usize];
            let to = &raw mut timer as usize;
            if sys::call(libc::SYS_timer_create, [clock, event, to, 0, 0, 0]) < 0 {
                return;
            }
            TIMER.store(timer, Ordering::Relaxed);
        }
        let mut time: libc::itimerspec = std::mem::zeroed();
        time.it_value.tv_nsec = MOMENT_NS;
        let time = &raw const time as usize;
        sys::call(libc::SYS_timer_settime, [timer as usize, 0, time, 0, 0, 0]);
    }
}

/// Writes all threads and tasks. `own` is the stack of the calling thread.
fn take(thread: &Thread, own: Stack) {
    let snapshot = Snapshot::take(std::ptr::null(), true);
    let of_member = |member: &Member| {
        let is_own = member.id == thread.id;
        leg(&snapshot, member, is_own.then_some(&own))
    };
    let mut legs: Vec<Leg> = snapshot.members().iter().filter_map(of_member).collect();
    legs.extend(task::look::present());
    let cycles = sides::cycles_now(&snapshot, thread.id);
    let in_cycles = cycles.iter().map(|cycle| &cycle.legs[..]);
    let mentioned = findings::mentioned(in_cycles.chain([&legs[..]]).flatten());
    let threads = findings::described(&mentioned).into_iter();
    let present = legs.into_iter().map(Record::Present);
    let cycles = cycles.into_iter().map(Record::Finding);
    let number = TAKEN.fetch_add(1, Ordering::Relaxed);
    let records = threads.map(Record::Thread).chain(cycles).chain(present);
    wire::write_apart(number, records);
}

/// A thread; none if it is gone.
fn leg(snapshot: &Snapshot, member: &Member, own: Option<&Stack>) -> Option<Leg> {
    let state = kernel::state(member.kernel_id);
    if state.is_none() && member.kernel_id != 0 {
        return None;
    }
    let mut leg = snapshot.leg(member, None, state.as_ref());
    match (own, &mut leg.wait) {
        (Some(stack), Some(wait)) if member.seen.is_none() => {
            wait.on = WaitOn::Running;
            leg.stack.clone_from(stack);
        }
        (None, Some(wait)) if wait.on == WaitOn::Running => {
            if let Some(stack) = sample::stack_of(member.kernel_id) {
                leg.stack = stack;
            }
        }
        (Some(_) | None, Some(_) | None) => {}
    }
    Some(leg)
}
