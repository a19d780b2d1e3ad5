//! The threads of the process by number, live and ended.

use std::sync::atomic::{AtomicU32, Ordering};

use dashmap::DashMap;
use dashmap::try_result::TryResult;

use crate::ids::Slot;
use crate::report::wire;
use crate::report::wire::{Stack, ThreadId};
use crate::rt::replaceable::Replaceable;
use crate::sync::ReleaseClock;

/// What is kept of a thread for good.
#[derive(Debug)]
pub struct Entry {
    /// Its name.
    pub name: Option<String>,
    /// Who spawned it.
    pub parent: Option<ThreadId>,
    /// Where.
    pub spawned_at: Stack,
    /// The slot that it began in.
    pub slot: Slot,
    /// When it was created: nanoseconds of the monotonic clock.
    pub started: u64,
    /// When it ended, once it has.
    pub ended: Option<u64>,
    /// True once it has ended.
    pub finished: bool,
    /// Nobody joins it.
    pub detached: bool,
    /// Its clock at its end, for who joins it.
    pub end: ReleaseClock,
}

static ENTRIES: Replaceable<DashMap<ThreadId, Entry>> = Replaceable::new();
static NEXT: AtomicU32 = AtomicU32::new(0);

/// The number of the next thread.
pub fn next_id() -> ThreadId {
    ThreadId(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Threads and tasks created so far, the main thread included.
pub fn created() -> u64 {
    u64::from(NEXT.load(Ordering::Relaxed))
}

/// Adds a thread.
pub fn add(id: ThreadId, entry: Entry) {
    ENTRIES.get().insert(id, entry);
}

/// Changes what is kept of a thread.
pub fn with<R>(id: ThreadId, f: impl FnOnce(&mut Entry) -> R) -> Option<R> {
    ENTRIES.get().get_mut(&id).map(|mut entry| f(&mut entry))
}

/// The record of a thread, for the wire.
pub fn describe(id: ThreadId) -> Option<wire::Thread> {
    ENTRIES.get().get(&id).map(|entry| wire::Thread {
        id,
        name: entry.name.clone(),
        parent: entry.parent,
        spawned_at: entry.spawned_at.clone(),
        finished: entry.finished,
        task: None,
    })
}

/// When a thread lived, for the wire.
pub fn lane(id: ThreadId) -> Option<wire::Lane> {
    ENTRIES.get().get(&id).map(|entry| wire::Lane {
        thread: id,
        name: entry.name.clone(),
        parent: entry.parent,
        spawned_at: entry.spawned_at.clone(),
        task: None,
        started_us: entry.started / 1000,
        ended_us: entry.ended.map(|ended| ended / 1000),
    })
}

/// The newest thread that had a slot.
pub fn by_slot(slot: Slot) -> Option<ThreadId> {
    ENTRIES
        .get()
        .iter()
        .filter(|entry| entry.slot == slot)
        .map(|entry| *entry.key())
        .max()
}

/// In the child of a fork: the map begins anew, since threads that are not
/// here may hold its locks. What they lock is forgotten; all others but `own`
/// count as ended.
pub fn reset(own: ThreadId) {
    let Some(old) = ENTRIES.replace(DashMap::new()) else {
        return;
    };
    for id in (0..NEXT.load(Ordering::Relaxed)).map(ThreadId) {
        if let TryResult::Present(entry) = old.try_get(&id) {
            let copy = Entry {
                name: entry.name.clone(),
                parent: entry.parent,
                spawned_at: entry.spawned_at.clone(),
                slot: entry.slot,
                started: entry.started,
                ended: entry.ended,
                finished: id != own,
                detached: true,
                end: ReleaseClock::new(),
            };
            add(id, copy);
        }
    }
}
