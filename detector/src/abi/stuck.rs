//! Threads that can never run again, told as soon as it is so.
//!
//! Two events start a look:
//! - A thread is about to block, and the owners of what is waited for lead
//!   back to it: a *cycle*. It is reported at once, and the other threads go
//!   on.
//! - All live threads are blocked without a timeout: the *process* is stuck,
//!   and is ended with status 66. The last thread to block waits in slices of
//!   a few milliseconds while that looks so, and looks after each; a thread
//!   that ends looks before it is gone.
//!
//! Nothing is reported that the kernel does not confirm (see
//! [`super::snapshot`]). The process counts as stuck only if every one of its
//! threads is known here, every wait is private to the process, and no signal
//! has a handler that could wake one: those that only other processes send
//! count as such unless the process is a test of the supervisor's own, whose
//! number nobody else knows.
//!
//! What it misses: cycles of parking_lot's locks while other threads go on,
//! where its feature `send_guard` lets one of them have a guard; they are told
//! at the end of the process, or once it is stuck. Processes with signal handlers or with threads that shared
//! libraries started behind our back; condition variables that nobody notifies
//! while other threads go on. These show as leaked threads or as a timeout.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use super::end;
use super::handlers;
use super::idle;
use super::kernel;
use super::request;
use super::snapshot::{Member, Snapshot, may_close_cycle};
use super::task::{self, again};
use crate::findings;
use crate::report::kind::{Certainty, Kind};
use crate::report::wire::{Finding, Leg, ThreadId};
use crate::rt::lock::Spin;
use crate::rt::sys;
use crate::rt::thread::Thread;
use crate::rt::waiting::{Blocked, Call};
use crate::session;

/// Threads in a wait without a timeout.
static BLOCKED: AtomicUsize = AtomicUsize::new(0);
/// A look at the whole process is under way.
static LOOKING: AtomicBool = AtomicBool::new(false);
/// Cycles reported, as sorted numbers of their threads.
static REPORTED: Spin<Vec<Vec<ThreadId>>> = Spin::new(Vec::new());

/// How long the last thread to block waits before each look.
const SLICES_MS: [u64; 4] = [3, 10, 40, 200];

/// Signals whose handlers wake nobody: SIGILL, SIGABRT, SIGBUS, SIGFPE,
/// SIGSEGV, and the two that the C library keeps for itself.
const HARMLESS_SIGNALS: u64 = 1 << (libc::SIGILL - 1)
    | 1 << (libc::SIGABRT - 1)
    | 1 << (libc::SIGBUS - 1)
    | 1 << (libc::SIGFPE - 1)
    | 1 << (libc::SIGSEGV - 1)
    | 1 << 31
    | 1 << 32;

/// Signals that come only from timers, from children and from other processes.
const SENT_TO_US: u64 = bits(&[
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGPIPE,
    libc::SIGALRM,
    libc::SIGTERM,
    libc::SIGCHLD,
    libc::SIGCONT,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGVTALRM,
    libc::SIGPROF,
    libc::SIGWINCH,
]);

/// The supervisor's process, if it started this one as a test.
static SUPERVISOR: AtomicU32 = AtomicU32::new(0);

const fn bits(signals: &[i32]) -> u64 {
    let mut bits = 0;
    let mut at = 0;
    while at < signals.len() {
        bits |= 1 << (signals[at] - 1);
        at += 1;
    }
    bits
}

/// Notes the process that started this one as a test. Called once, at the
/// start.
pub fn init(supervisor: Option<u32>) {
    SUPERVISOR.store(supervisor.unwrap_or(0), Ordering::Relaxed);
}

/// What a look found.
enum Look {
    /// All threads are stuck.
    Stuck(Snapshot),
    /// Some thread can go on.
    Moving,
    /// Some thread is on its way into a wait or out of one.
    Unsure,
}

/// A thread notes that it is about to block. To be followed by [`end_wait`].
fn begin_wait(thread: &Thread, blocked: &Blocked) {
    thread.waiting.begin(blocked, kernel::now());
    if blocked.call.is_wait() && !blocked.timed {
        BLOCKED.fetch_add(1, Ordering::SeqCst);
        end::thread_blocked();
    }
}

/// The thread goes on.
fn end_wait(thread: &Thread, blocked: &Blocked) {
    if blocked.call.is_wait() && !blocked.timed {
        BLOCKED.fetch_sub(1, Ordering::SeqCst);
    }
    thread.waiting.end();
    again::time_has_passed();
}

/// In the child of a fork, whose only thread is not blocked.
pub fn reset() {
    BLOCKED.store(0, Ordering::SeqCst);
    LOOKING.store(false, Ordering::SeqCst);
    REPORTED.reset();
}

/// True if every live thread is blocked.
fn all_blocked() -> bool {
    BLOCKED.load(Ordering::SeqCst) >= session::live_count()
}

/// What a thread finds that asks once more for what it is about to wait for.
pub enum Asked<R> {
    /// It would have to wait.
    Blocks,
    /// Its call goes through after all, with this result.
    Done(R),
    /// Its call, once made, lets another thread go on.
    FreesOthers,
}

/// Makes a call that blocks, and that no look finds stuck by itself.
pub fn blocking<R>(thread: &mut Thread, blocked: &Blocked, call: impl FnOnce() -> R) -> R {
    blocking_unless(thread, blocked, |_| Asked::Blocks, call)
}

/// Makes a call that blocks, and cannot be cut into slices.
///
/// While all others are blocked, the calling thread looks *before* it makes
/// the call. What it waits for can have happened since it last asked for it:
/// `ask` asks again, once all others have been seen in their waits.
pub fn blocking_unless<R>(
    thread: &mut Thread,
    blocked: &Blocked,
    ask: impl Fn(&Snapshot) -> Asked<R>,
    call: impl FnOnce() -> R,
) -> R {
    begin_wait(thread, blocked);
    let done = Cell::new(None);
    if blocked.call.is_wait() && !blocked.timed {
        let blocks = |snapshot: &Snapshot| match ask(snapshot) {
            Asked::Blocks => true,
            Asked::Done(result) => {
                done.set(Some(result));
                false
            }
            Asked::FreesOthers => false,
        };
        let mut again = true;
        for ms in SLICES_MS {
            if !again || !all_blocked() || !possible() {
                break;
            }
            nap(ms);
            again = look_from(thread, &blocks);
        }
    }
    let result = done.into_inner().unwrap_or_else(|| {
        if blocked.call.is_wait() && !blocked.timed {
            look_for_cycle(thread);
        }
        call()
    });
    end_wait(thread, blocked);
    result
}

/// Makes a wait that can be cut into slices: `wait` gets the nanosecond of the
/// monotonic clock at which to give up, and returns none if it did.
pub fn sliced<R>(
    thread: &mut Thread,
    blocked: &Blocked,
    wait: impl Fn(Option<u64>) -> Option<R>,
) -> Option<R> {
    begin_wait(thread, blocked);
    let mut result = None;
    if !blocked.timed {
        for ms in SLICES_MS {
            if !all_blocked() {
                break;
            }
            result = wait(Some(kernel::now() + ms * 1_000_000));
            if result.is_some() || !look_from(thread, &|_| true) {
                break;
            }
        }
        if result.is_none() {
            look_for_cycle(thread);
        }
    }
    let result = result.or_else(|| wait(None));
    end_wait(thread, blocked);
    result
}

/// Looks at the whole process from a thread that has noted its wait, and ends
/// it if all are stuck and it still `blocks`. True if another look may tell more.
fn look_from(thread: &mut Thread, blocks: &dyn Fn(&Snapshot) -> bool) -> bool {
    thread.busy += 1;
    thread.waiting.set_looking(true);
    let again = match look(thread.waiting.kernel_id(), blocks) {
        Look::Stuck(snapshot) => report_stuck(&snapshot),
        Look::Moving => false,
        Look::Unsure => true,
    };
    thread.waiting.set_looking(false);
    thread.busy -= 1;
    again
}

/// A thread ends, and is no longer live: those it leaves may be stuck. Called
/// by that thread.
pub fn thread_ended(kernel_id: i32) {
    for ms in SLICES_MS.into_iter().take(2) {
        if session::live_count() == 0 || !all_blocked() {
            return;
        }
        match look(kernel_id, &|_| true) {
            Look::Stuck(snapshot) => report_stuck(&snapshot),
            Look::Moving => return,
            Look::Unsure => nap(ms),
        }
    }
}

/// A nanosecond of the monotonic clock as a time of the wall clock.
pub fn wall_clock(at: u64) -> libc::timespec {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the time is writable.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut time) };
    let left = at.saturating_sub(kernel::now()) as i64;
    let ns = time.tv_nsec + left;
    time.tv_sec += ns / 1_000_000_000;
    time.tv_nsec = ns % 1_000_000_000;
    time
}

/// Sleeps for so many milliseconds.
pub fn nap(ms: u64) {
    let time = libc::timespec {
        tv_sec: 0,
        tv_nsec: (ms * 1_000_000) as i64,
    };
    // SAFETY: the time is readable.
    unsafe {
        sys::call(
            libc::SYS_nanosleep,
            [&raw const time as usize, 0, 0, 0, 0, 0],
        )
    };
}

/// A first look, without the kernel: false if some thread can go on.
fn possible() -> bool {
    let snapshot = Snapshot::take(std::ptr::null(), false);
    only_private_waits(&snapshot) && snapshot.graph(false).stuck().len() == snapshot.members().len()
}

fn only_private_waits(snapshot: &Snapshot) -> bool {
    snapshot
        .members()
        .iter()
        .all(|m| m.kernel_id != 0 && m.untimed().is_some_and(|seen| seen.blocked.private))
}

/// Looks at the whole process, from a thread that has noted its own wait, or
/// that ends: `own` is the kernel's number of it. `blocks` asks whether its
/// wait is still one.
fn look(own: i32, blocks: &dyn Fn(&Snapshot) -> bool) -> Look {
    if LOOKING.swap(true, Ordering::Acquire) {
        return Look::Unsure;
    }
    let outcome = look_alone(own, blocks);
    LOOKING.store(false, Ordering::Release);
    outcome
}

fn look_alone(own: i32, blocks: &dyn Fn(&Snapshot) -> bool) -> Look {
    let rough = Snapshot::take(std::ptr::null(), false);
    if !all_blocked() || !only_private_waits(&rough) {
        return Look::Moving;
    }
    if rough.graph(false).stuck().len() != rough.members().len() {
        return Look::Moving;
    }
    if signals_can_wake() {
        return Look::Moving;
    }
    let snapshot = Snapshot::take(std::ptr::null(), true);
    let others: Vec<ThreadId> = snapshot
        .members()
        .iter()
        .filter(|m| m.kernel_id != own)
        .map(|m| m.id)
        .collect();
    let own_is_stuck = snapshot
        .members()
        .iter()
        .filter(|member| member.kernel_id == own)
        .all(would_block)
        && blocks(&snapshot);
    let known = |id: &i32| *id == own || snapshot.members().iter().any(|m| m.kernel_id == *id);
    let all_known = || kernel::tasks().is_some_and(|tasks| tasks.iter().all(known));
    if !own_is_stuck {
        return Look::Moving;
    }
    if !only_private_waits(&snapshot)
        || !all_known()
        || !snapshot.confirm(&others)
        || !all_known()
        || !all_blocked()
    {
        return Look::Unsure;
    }
    if snapshot.graph(false).stuck().len() == snapshot.members().len() {
        Look::Stuck(snapshot)
    } else {
        Look::Moving
    }
}

/// True if a signal has a handler that could wake a thread.
pub fn signals_can_wake() -> bool {
    let own = if handlers::is_ours(libc::SIGTERM) {
        1 << (libc::SIGTERM - 1)
    } else {
        0
    };
    let Some(handled) = kernel::handled_signals() else {
        return true;
    };
    let handled = handled & !HARMLESS_SIGNALS & !own & !request::harmless();
    handled != 0 && (handled & !SENT_TO_US != 0 || !is_test() || kernel::signals_are_due())
}

/// True if the supervisor started this process, and not one of its tests.
pub fn is_test() -> bool {
    SUPERVISOR.load(Ordering::Relaxed) == std::os::unix::process::parent_id()
}

/// Reports the cycles of threads that were found asleep, as far as they have
/// not been reported: with owners that are certain while others run, and with
/// those that are only likely then. `own` is the calling thread, if its wait
/// was interrupted. Those `confirmed` have been asleep at one moment since the
/// snapshot was taken, and are not asked again: one of them may have begun a
/// search of its own meanwhile.
pub fn report_cycles(
    snapshot: &Snapshot,
    others_run: bool,
    own: Option<ThreadId>,
    confirmed: &[ThreadId],
) {
    for (others_run, certainty) in [
        (others_run, Certainty::Proved),
        (false, Certainty::Observed),
    ] {
        for cycle in snapshot.graph(others_run).cycles() {
            let others: Vec<ThreadId> = cycle
                .iter()
                .copied()
                .filter(|id| Some(*id) != own)
                .collect();
            let known = others.iter().all(|id| confirmed.contains(id));
            if known || snapshot.confirm(&others) {
                report_cycle(snapshot, &cycle, certainty);
            }
        }
    }
}

/// True if something that is not in the snapshot could wake its threads. The
/// calling thread could not: it ends the process.
pub fn outside_can_wake(snapshot: &Snapshot) -> bool {
    let own = sys::thread_id();
    let known = |id: &i32| *id == own || snapshot.members().iter().any(|m| m.kernel_id == *id);
    signals_can_wake() || !kernel::tasks().is_some_and(|tasks| tasks.iter().all(known))
}

/// True if the snapshot has all threads of the process.
pub fn all_are_known(snapshot: &Snapshot) -> bool {
    let known = |id: &i32| snapshot.members().iter().any(|m| m.kernel_id == *id);
    kernel::tasks().is_some_and(|tasks| tasks.iter().all(known))
}

/// Notes a wait while the thread does something else that is none.
pub fn noted<R>(thread: &mut Thread, blocked: &Blocked, what: impl FnOnce(&Thread) -> R) -> R {
    begin_wait(thread, blocked);
    let result = what(thread);
    end_wait(thread, blocked);
    result
}

/// Reports tasks and threads of which none can ever go on.
pub fn emit_stuck(legs: Vec<Leg>) {
    emit(legs, Certainty::Proved, true);
}

/// Reports tasks that wait for each other, while others go on.
pub fn emit_cycle(legs: Vec<Leg>) {
    emit(legs, Certainty::Proved, false);
}

/// As [`emit_cycle`], of those that something else might let go on.
pub fn emit_observed(legs: Vec<Leg>) {
    emit(legs, Certainty::Observed, false);
}

/// True if the member's futex still has the value that it waits on, so that it
/// would go to sleep.
fn would_block(member: &Member) -> bool {
    let Some(seen) = member.untimed() else {
        return false;
    };
    seen.blocked.call != Call::Futex
        || kernel::word_at(seen.blocked.addr) == Some(seen.blocked.expected)
}

/// The thread is about to block: does that close a cycle?
fn look_for_cycle(thread: &mut Thread) {
    if !may_close_cycle(thread) {
        return;
    }
    thread.busy += 1;
    thread.waiting.set_looking(true);
    confirm_cycle(thread);
    thread.waiting.set_looking(false);
    thread.busy -= 1;
}

#[cold]
fn confirm_cycle(thread: &Thread) {
    for ms in SLICES_MS {
        let snapshot = Snapshot::take(std::ptr::null(), true);
        let Some(cycle) = snapshot.graph(true).cycle_through(thread.id) else {
            return;
        };
        let own_is_stuck = snapshot.member(thread.id).is_some_and(would_block);
        if !own_is_stuck {
            return;
        }
        let others: Vec<ThreadId> = cycle
            .iter()
            .copied()
            .filter(|id| *id != thread.id)
            .collect();
        let again = || Snapshot::take(std::ptr::null(), true).graph(true);
        if snapshot.confirm(&others) && again().cycle_through(thread.id) == Some(cycle.clone()) {
            report_cycle(&snapshot, &cycle, Certainty::Proved);
            return;
        }
        nap(ms);
    }
}

/// Reports a cycle, once.
fn report_cycle(snapshot: &Snapshot, cycle: &[ThreadId], certainty: Certainty) {
    let mut threads = cycle.to_vec();
    threads.sort_unstable();
    {
        let mut reported = REPORTED.lock();
        if reported.contains(&threads) {
            return;
        }
        reported.push(threads);
    }
    emit(cycle_legs(snapshot, cycle), certainty, false);
}

/// True if the thread is in a cycle that was reported.
pub fn reported(thread: ThreadId) -> bool {
    REPORTED.lock().iter().any(|cycle| cycle.contains(&thread))
}

fn cycle_legs(snapshot: &Snapshot, cycle: &[ThreadId]) -> Vec<Leg> {
    let next = cycle.iter().cycle().skip(1);
    cycle
        .iter()
        .zip(next)
        .filter_map(|(waiter, &owner)| {
            let member = snapshot.member(*waiter)?;
            Some(snapshot.leg(member, Some(owner), None))
        })
        .collect()
}

fn emit(legs: Vec<Leg>, certainty: Certainty, fatal: bool) {
    findings::emit(&deadlock(legs, certainty, fatal));
}

/// What is told of a deadlock.
pub fn deadlock(legs: Vec<Leg>, certainty: Certainty, fatal: bool) -> Finding {
    Finding {
        kind: Kind::Deadlock,
        certainty,
        legs,
        memory: None,
        said: None,
        fatal,
        asked: Vec::new(),
    }
}

/// Reports the cycles of threads, or where there are none tasks and threads, and
/// ends the process.
#[cold]
pub fn report_stuck(snapshot: &Snapshot) -> ! {
    let here = task::here();
    let cycles = snapshot.graph(false).cycles();
    for cycle in &cycles {
        emit(cycle_legs(snapshot, cycle), Certainty::Proved, true);
    }
    if cycles.is_empty() {
        idle::report(snapshot, &here);
    }
    end::stuck()
}
