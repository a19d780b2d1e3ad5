//! The end of the process: who is still alive, and the last record.
//!
//! A handler of the C library's `on_exit`, registered before any constructor
//! of the program, runs after all of the program's own exit handlers: what
//! they join or stop is no leak. It waits for the threads that are left to end
//! or to block, woken by these events (see [`crate::leak`]); the timer is only
//! for threads that do neither.

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use super::kernel;
use super::pause;
use super::process;
use super::real;
use super::sample;
use super::sides;
use super::snapshot::{Member, Snapshot};
use super::stuck;
use super::task;
use crate::findings;
use crate::leak::{self, Alive, Next};
use crate::registry;
use crate::report::kind::Kind;
use crate::report::wire::{End, Finding, Moment, Record, ThreadId, WaitOn};
use crate::rt::hot::current;
use crate::rt::mode;
use crate::rt::sys;
use crate::rt::thread::calls;
use crate::wire;

/// Exit status of a process with findings and nobody to read them, and of one
/// that is stuck.
const FINDINGS_STATUS: i32 = 66;
/// The thread that began the process.
const MAIN: ThreadId = ThreadId(0);

/// How long a thread's search for a cycle is waited for. It takes a quarter of a
/// second, and longer only where the machine is busy.
const SEARCH_NS: u64 = 10_000_000_000;

/// The end has begun: threads that end or block tell so.
static ENDING: AtomicBool = AtomicBool::new(false);
/// Counts these events; a futex.
static EVENTS: AtomicU32 = AtomicU32::new(0);
static GRACE_NS: AtomicU64 = AtomicU64::new(0);

unsafe extern "C" {
    fn on_exit(handler: unsafe extern "C" fn(i32, *mut c_void), argument: *mut c_void) -> i32;
}

/// Registers the handler. Called once, before any constructor.
pub fn init(grace: Option<&str>) {
    let grace = leak::grace(grace).as_nanos();
    GRACE_NS.store(u64::try_from(grace).unwrap_or(u64::MAX), Ordering::Relaxed);
    // SAFETY: the handler takes any status and no argument.
    unsafe { on_exit(at_exit, std::ptr::null_mut()) };
}

/// In the child of a fork, whose end has not begun.
pub fn reset() {
    ENDING.store(false, Ordering::SeqCst);
}

/// True of the thread that has begun the end, and waits for the others' there.
pub fn waits_for_others(thread: ThreadId) -> bool {
    thread == MAIN && ENDING.load(Ordering::Relaxed)
}

/// True if the end has begun.
pub fn has_begun() -> bool {
    ENDING.load(Ordering::SeqCst)
}

/// A thread has blocked.
#[inline]
pub fn thread_blocked() {
    if ENDING.load(Ordering::Relaxed) {
        tell();
    }
}

/// A thread has ended.
pub fn thread_ended() {
    thread_blocked();
}

#[cold]
fn tell() {
    EVENTS.fetch_add(1, Ordering::SeqCst);
    sys::wake_one(&EVENTS);
}

/// Waits for an event after the one counted `seen`, for `ns` at most.
fn wait_for_event(seen: u32, ns: u64) {
    sys::wait_while(&EVENTS, seen, ns);
}

unsafe extern "C" fn at_exit(status: i32, _argument: *mut c_void) {
    let here = task::here();
    if !process::is_owner() || ENDING.swap(true, Ordering::SeqCst) {
        return;
    }
    // SAFETY: the record belongs to this thread.
    let thread = unsafe { current().as_mut() };
    if let Some(thread) = thread {
        thread.busy += 1;
        if mode::leaks_alone() {
            thread.load_calls_around(calls::own_frame(), None);
        }
    }
    report_leaks();
    task::look::report(Moment::Exit, &here);
    task::ends::report();
    last_records(status, false);
    if !wire::supervised() && wire::errors() > 0 && status == 0 {
        // SAFETY: null is all streams.
        unsafe { libc::fflush(std::ptr::null_mut()) };
        sys::exit_now(FINDINGS_STATUS);
    }
}

fn last_records(status: i32, abrupt: bool) {
    findings::write_lanes();
    findings::write_gaps();
    let status = status & 0xff;
    wire::write(&Record::End(End {
        status,
        abrupt,
        threads: registry::created() - task::spawned(),
    }));
}

/// The supervisor ends the process: tells what its threads and tasks wait for in
/// a circle. Called in the handler of SIGTERM, by thread `own`.
pub fn terminated(own: ThreadId) {
    if !ENDING.swap(true, Ordering::SeqCst) {
        let snapshot = Snapshot::take(std::ptr::null(), true);
        stuck::report_cycles(&snapshot, true, Some(own), &[]);
        sides::report_cycles_of_tasks(&snapshot);
        findings::write_gaps();
    }
}

/// All threads are stuck, which has been reported: ends the process.
pub fn stuck() -> ! {
    findings::write_lanes();
    findings::write_gaps();
    sys::exit_now(FINDINGS_STATUS)
}

/// Waits for the threads to end, and reports those that do not.
fn report_leaks() {
    let own = current();
    let begin = kernel::now().saturating_add(GRACE_NS.load(Ordering::Relaxed));
    let paused = pause::paused();
    loop {
        /// Until the next look at a thread that is on its way into a wait.
        const SOON: u64 = 1_000_000;
        let events = EVENTS.load(Ordering::SeqCst);
        let snapshot = Snapshot::take(own, true);
        let left: Vec<&Member> = snapshot
            .members()
            .iter()
            .filter(|member| member.id != MAIN)
            .collect();
        let stuck = stuck_among(&snapshot);
        let is_stuck = |member: &&Member| {
            stuck
                .as_ref()
                .is_some_and(|stuck| stuck.contains(&member.id))
        };
        let alive = Alive {
            threads: left.len(),
            stuck: left.iter().copied().filter(is_stuck).count(),
        };
        // What we make threads wait is not their time.
        let deadline = begin.saturating_add(pause::paused() - paused);
        let now = kernel::now();
        let searching = stuck.is_none() && left.iter().any(|member| member.is_looking());
        let deadline = if searching {
            deadline + SEARCH_NS
        } else {
            deadline
        };
        match leak::next(alive, now >= deadline) {
            Next::Clean => return,
            Next::Wait => {
                let pause = if stuck.is_none() { SOON } else { u64::MAX };
                wait_for_event(events, pause.min(deadline - now));
            }
            Next::Report => {
                let confirmed = stuck.as_deref().unwrap_or_default();
                stuck::report_cycles(&snapshot, others_run(&snapshot), None, confirmed);
                for member in left.iter().filter(|member| !stuck::reported(member.id)) {
                    report(&snapshot, member, is_stuck(member));
                }
                let until = kernel::now() + SEARCH_NS;
                while left.iter().any(|member| member.is_looking()) && kernel::now() < until {
                    wait_for_event(EVENTS.load(Ordering::SeqCst), SOON);
                }
                return;
            }
        }
    }
}

/// True if anything but the snapshot's blocked threads still runs.
fn others_run(snapshot: &Snapshot) -> bool {
    snapshot.members().iter().any(|m| m.untimed().is_none()) || stuck::outside_can_wake(snapshot)
}

/// The threads that can never run again; none if some is on its way into a
/// wait, or out of one.
fn stuck_among(snapshot: &Snapshot) -> Option<Vec<ThreadId>> {
    let graph = snapshot.graph(others_run(snapshot));
    let stuck: Vec<ThreadId> = graph.stuck().into_iter().collect();
    snapshot.confirm(&stuck).then_some(stuck)
}

fn report(snapshot: &Snapshot, member: &Member, is_stuck: bool) {
    let state = kernel::state(member.kernel_id);
    if state.is_none() && member.kernel_id != 0 {
        // Gone meanwhile.
        return;
    }
    let mut leg = snapshot.leg(member, None, state.as_ref());
    if leg
        .wait
        .as_ref()
        .is_some_and(|wait| wait.on == WaitOn::Running)
        && let Some(stack) = sample::stack_of(member.kernel_id)
    {
        leg.stack = stack;
    }
    findings::emit(&Finding {
        kind: Kind::LeakedThread,
        certainty: leak::certainty(is_stuck),
        legs: vec![leg],
        memory: None,
        said: None,
        fatal: false,
        asked: Vec::new(),
    });
}

real::forward! {
    /// The C library's.
    fn _exit(status: i32) -> ()
}

real::forward! {
    /// The C library's.
    fn quick_exit(status: i32) -> ()
}

/// Before an end without exit handlers.
fn abrupt(status: i32) {
    // SAFETY: the record belongs to this thread.
    if let Some(thread) = unsafe { current().as_mut() }
        && thread.busy == 0
        && process::is_owner()
    {
        thread.busy += 1;
        last_records(status, true);
        thread.busy -= 1;
    }
}

/// Interposed function of the C library.
#[unsafe(export_name = "__lc_interpose__exit")]
unsafe extern "C" fn exit_at_once(status: i32) {
    abrupt(status);
    // SAFETY: as the program says.
    unsafe { _exit(status) }
}

/// Interposed function of the C library.
#[unsafe(export_name = "__lc_interpose__Exit")]
unsafe extern "C" fn exit_at_once_by_c99(status: i32) {
    // SAFETY: as the program says.
    unsafe { exit_at_once(status) }
}

/// Interposed function of the C library.
#[unsafe(export_name = "__lc_interpose_quick_exit")]
unsafe extern "C" fn exit_quickly(status: i32) {
    abrupt(status);
    // SAFETY: as the program says.
    unsafe { quick_exit(status) }
}

/// What the runtime itself, its std, calls as `_exit`.
#[unsafe(export_name = "__lc_real__exit")]
unsafe extern "C" fn own_exit(status: i32) -> ! {
    sys::exit_now(status)
}
