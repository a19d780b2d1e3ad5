//! A test in which nothing can happen any more, though a thread of it waits for
//! events of the kernel: what asynchronous tasks that wait for each other leave.
//!
//! A thread that waits for events without a timeout does so in slices, and looks
//! after each that passed without one. Nothing can happen if every thread
//! sleeps in a wait that has no end of its own, no signal can come, and each epoll
//! instance watches only what this process alone can write to: eventfds, and
//! pipes and pairs of sockets whose two ends it has. Then nobody is left who could
//! make an event, and that is proved; a task that is to be polled has no thread
//! that would do so.
//!
//! What it misses: processes that listen, are connected, have children or timers,
//! or wait for events by another call than `epoll_wait`; threads that wait with
//! a timeout although nothing comes of it, such as those of tokio's blocking
//! pool for ten seconds.

use super::fd;
use super::kernel;
use super::sides::Sides;
use super::snapshot::{Member, Snapshot};
use super::stuck;
use super::task::maps;
use super::task::world::Here;
use crate::report::wire::{Moment, ThreadId};
use crate::rt::thread::Thread;
use crate::rt::waiting::{Blocked, Call};

/// The first slices of a wait, in milliseconds; the last is repeated.
const SLICES_MS: [i32; 4] = [50, 100, 400, 1000];

/// Waits for events without a timeout: `wait` gets milliseconds, or −1.
pub fn wait_for_events(thread: &mut Thread, blocked: &Blocked, wait: impl Fn(i32) -> i32) -> i32 {
    if !stuck::is_test() {
        return stuck::blocking(thread, blocked, || wait(-1));
    }
    for ms in SLICES_MS.into_iter().chain(std::iter::repeat(SLICES_MS[3])) {
        let ready = stuck::blocking(thread, blocked, || wait(ms));
        if ready != 0 {
            return ready;
        }
        thread.busy += 1;
        // What it waits for counts as one until the look is over.
        let ready = stuck::noted(thread, blocked, |thread| look(thread.id, &wait));
        thread.busy -= 1;
        if ready != 0 {
            return ready;
        }
    }
    0
}

/// Ends the process if nothing can happen any more. Otherwise what the wait
/// gives at once.
fn look(own: ThreadId, wait: &dyn Fn(i32) -> i32) -> i32 {
    if !is_idle(&Snapshot::take(std::ptr::null(), false)) || !nothing_from_outside() {
        return 0;
    }
    let snapshot = Snapshot::take(std::ptr::null(), true);
    let others: Vec<ThreadId> = snapshot
        .members()
        .iter()
        .map(|member| member.id)
        .filter(|id| *id != own)
        .collect();
    let ready = wait(0);
    if ready != 0 {
        return ready;
    }
    if is_idle(&snapshot)
        && snapshot.confirm(&others)
        && nothing_from_outside()
        && snapshot.confirm(&others)
    {
        stuck::report_stuck(&snapshot)
    }
    0
}

/// Tasks told of at most where none waits for another by name.
const MOST: usize = 16;

/// Reports the cycles of tasks and threads of a process that can never go on, or
/// where there are none all of them.
#[cold]
pub fn report(snapshot: &Snapshot, here: &Here) {
    let mut sides = Sides::of(snapshot);
    let mut cycles = sides.graph.cycles();
    if cycles.is_empty() {
        cycles = sides.cycles_by_memory(here);
    }
    for cycle in &cycles {
        stuck::emit_stuck(sides.take(cycle, Moment::Exit));
    }
    if cycles.is_empty() {
        sides.waiting.truncate(MOST);
        // The main thread last: as a rule it only waits for the others.
        let mut members: Vec<ThreadId> = snapshot.members().iter().map(|m| m.id).collect();
        members.sort_by_key(|id| (*id == ThreadId(0), *id));
        members.splice(0..0, sides.waiting.iter().copied());
        stuck::emit_stuck(sides.take(&members, Moment::Exit));
    }
}

/// True if every thread says that it waits for others, or for events.
fn is_idle(snapshot: &Snapshot) -> bool {
    let waits = |member: &Member| {
        let events = member
            .seen
            .is_some_and(|seen| seen.blocked.call == Call::Events && !seen.blocked.timed);
        let untimed = member.untimed().is_some_and(|seen| seen.blocked.private);
        member.kernel_id != 0 && (events || untimed)
    };
    snapshot.members().iter().all(waits) && stuck::all_are_known(snapshot)
}

/// True if no signal, child or descriptor can bring anything.
fn nothing_from_outside() -> bool {
    !stuck::signals_can_wake()
        && !kernel::has_children()
        && maps::watched().is_some_and(|watched| watched.into_iter().all(fd::stays_inside))
}
