//! The threads of the process by number, live and ended.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use dashmap::DashMap;

use crate::ids::Slot;
use crate::report::wire;
use crate::report::wire::{Stack, ThreadId};
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
    /// True once it has ended.
    pub finished: bool,
    /// Its clock at its end, for who joins it.
    pub end: ReleaseClock,
}

static ENTRIES: LazyLock<DashMap<ThreadId, Entry>> = LazyLock::new(DashMap::new);
static NEXT: AtomicU32 = AtomicU32::new(0);

/// The number of the next thread.
pub fn next_id() -> ThreadId {
    ThreadId(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Threads created so far, the main thread included.
pub fn created() -> u64 {
    u64::from(NEXT.load(Ordering::Relaxed))
}

/// Adds a thread.
pub fn add(id: ThreadId, entry: Entry) {
    ENTRIES.insert(id, entry);
}

/// Changes what is kept of a thread.
pub fn with<R>(id: ThreadId, f: impl FnOnce(&mut Entry) -> R) -> Option<R> {
    ENTRIES.get_mut(&id).map(|mut entry| f(&mut entry))
}

/// The record of a thread, for the wire.
pub fn describe(id: ThreadId) -> Option<wire::Thread> {
    ENTRIES.get(&id).map(|entry| wire::Thread {
        id,
        name: entry.name.clone(),
        parent: entry.parent,
        spawned_at: entry.spawned_at.clone(),
        finished: entry.finished,
    })
}

/// The newest thread that had a slot.
pub fn by_slot(slot: Slot) -> Option<ThreadId> {
    ENTRIES
        .iter()
        .filter(|entry| entry.slot == slot)
        .map(|entry| *entry.key())
        .max()
}
