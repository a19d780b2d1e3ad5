//! The live tasks, by number and by the data pointer of their wakers.

use std::sync::Arc;

use dashmap::DashMap;

use super::record::{Origin, Record};
use crate::report::wire::{self, ThreadId};
use crate::rt::replaceable::Replaceable;

static LIVE: Replaceable<DashMap<ThreadId, Arc<Record>>> = Replaceable::new();
static BY_DATA: Replaceable<DashMap<usize, Arc<Record>>> = Replaceable::new();

/// Adds a task.
pub fn add(record: &Arc<Record>) {
    LIVE.get().insert(record.origin.id, Arc::clone(record));
}

/// The task's wakers have this data pointer.
pub fn bind(record: &Arc<Record>, data: usize) {
    BY_DATA.get().insert(data, Arc::clone(record));
}

/// Removes a task.
pub fn remove(record: &Record, data: usize) {
    LIVE.get().remove(&record.origin.id);
    let own = |_: &usize, found: &Arc<Record>| found.origin.id == record.origin.id;
    BY_DATA.get().remove_if(&data, own);
}

/// The task whose wakers have this data pointer.
pub fn by_data(data: usize) -> Option<Arc<Record>> {
    BY_DATA.get().get(&data).map(|found| Arc::clone(&found))
}

/// All live tasks, in the order in which they were spawned.
pub fn live() -> Vec<Arc<Record>> {
    let mut live: Vec<Arc<Record>> = LIVE
        .get()
        .iter()
        .map(|entry| Arc::clone(entry.value()))
        .collect();
    live.sort_unstable_by_key(|record| record.origin.id);
    live
}

/// A live task and the tasks that it comes from, for the wire; nothing if
/// the number is none of a live task.
pub fn describe(id: ThreadId) -> Vec<wire::Thread> {
    let origin = LIVE.get().get(&id).map(|record| Arc::clone(&record.origin));
    let mut described = Vec::new();
    let mut next = origin;
    while let Some(origin) = next {
        let finished = !LIVE.get().contains_key(&origin.id);
        described.push(origin.describe(finished));
        next = origin.parent.as_ref().map(Arc::<Origin>::clone);
    }
    described
}

/// In the child of a fork: the executors' threads are not here, and their
/// tasks never run there.
pub fn reset() {
    LIVE.replace(DashMap::new());
    BY_DATA.replace(DashMap::new());
}
