//! The live tasks, by number and by the data pointer of their wakers.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use dashmap::DashMap;

use super::own;
use super::record::{Origin, Record};
use crate::abi::kernel;
use crate::findings;
use crate::report::wire::{self, ThreadId};
use crate::rt::lock::Spin;
use crate::rt::replaceable::Replaceable;

static LIVE: Replaceable<DashMap<ThreadId, Arc<Record>>> = Replaceable::new();
/// Wakers that executors keep for themselves, by data pointer: they are made
/// before the task is first polled.
static KEPT: Replaceable<DashMap<usize, i64>> = Replaceable::new();
static BY_DATA: Replaceable<DashMap<usize, Arc<Record>, BuildHasherDefault<Address>>> =
    Replaceable::new();
/// Tasks that ended, with the nanoseconds at which they were spawned and
/// ended: the first of them, for a timeline.
static ENDED: Spin<Vec<(Arc<Origin>, u64, u64)>> = Spin::new(Vec::new());

/// Hashes an address, which the program does not choose.
#[derive(Default)]
struct Address(u64);

impl Hasher for Address {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_usize(usize::from(*byte));
        }
    }

    fn write_usize(&mut self, address: usize) {
        self.0 = (self.0 ^ address as u64)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(32);
    }
}

/// Ended tasks kept.
const ENDED_KEPT: usize = 10_000;

/// Adds a task.
pub fn add(record: &Arc<Record>) {
    LIVE.get().insert(record.origin.id, Arc::clone(record));
}

/// The task's wakers have this data pointer.
pub fn bind(record: &Arc<Record>, data: usize) {
    own::task_at(data);
    place(record, data);
}

/// The task's wakers will have this data pointer, or have it.
pub fn place(record: &Arc<Record>, data: usize) {
    if record.placed.swap(data, Ordering::Relaxed) != data {
        BY_DATA.get().insert(data, Arc::clone(record));
    }
}

/// Removes a task.
pub fn remove(record: &Record, data: usize) {
    if LIVE.get().remove(&record.origin.id).is_some() {
        let mut ended = ENDED.lock();
        if ended.len() < ENDED_KEPT {
            ended.push((Arc::clone(&record.origin), record.born, kernel::now()));
        }
    }
    let own = |_: &usize, found: &Arc<Record>| found.origin.id == record.origin.id;
    BY_DATA.get().remove_if(&data, own);
}

/// When tasks lived, for the wire: those that ended as far as they were kept,
/// then the live ones.
pub fn lanes() -> Vec<wire::Lane> {
    let ended = ENDED.lock().clone();
    let ended = ended.iter().map(|(origin, born, ended)| {
        let description = origin.describe(true);
        life(description, *born, Some(*ended))
    });
    let live = live();
    let live = live
        .iter()
        .map(|record| life(record.origin.describe(false), record.born, None));
    ended.chain(live).collect()
}

/// When a live task lived, for the wire; none if the number is none of one.
pub fn lane(id: ThreadId) -> Option<wire::Lane> {
    let record = LIVE.get().get(&id).map(|record| Arc::clone(&record))?;
    Some(life(record.origin.describe(false), record.born, None))
}

fn life(task: wire::Thread, born: u64, ended: Option<u64>) -> wire::Lane {
    wire::Lane {
        thread: task.id,
        name: None,
        parent: task.parent,
        spawned_at: task.spawned_at,
        task: task.task,
        started_us: born / 1000,
        ended_us: ended.map(|ended| ended / 1000),
    }
}

/// The task whose wakers have this data pointer.
pub fn by_data(data: usize) -> Option<Arc<Record>> {
    BY_DATA.get().get(&data).map(|found| Arc::clone(&found))
}

/// The executor keeps `count` more wakers with this data pointer for itself.
pub fn keep(data: usize, count: i64) {
    let mut kept = KEPT.get().entry(data).or_default();
    *kept += count;
    if *kept <= 0 {
        drop(kept);
        KEPT.get().remove_if(&data, |_, kept| *kept <= 0);
    }
}

/// How many wakers with this data pointer the executor keeps for itself.
pub fn kept(data: usize) -> u64 {
    let kept = KEPT.get().get(&data).map_or(0, |kept| *kept);
    u64::try_from(kept).unwrap_or(0)
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

/// Where a live task comes from; none if it is no task.
pub fn origin_of(id: ThreadId) -> Option<Arc<Origin>> {
    LIVE.get().get(&id).map(|record| Arc::clone(&record.origin))
}

/// How often the live task was polled; none if it is no task.
pub fn polls_of(id: ThreadId) -> Option<u64> {
    Some(LIVE.get().get(&id)?.notes.count())
}

/// A live task and the tasks that it comes from, for the wire; nothing if
/// the number is none of a live task.
pub fn describe(id: ThreadId) -> Vec<wire::Thread> {
    let origin = LIVE.get().get(&id).map(|record| Arc::clone(&record.origin));
    origin.map_or_else(Vec::new, |origin| line(&origin))
}

/// A task and the tasks that it comes from.
fn line(origin: &Arc<Origin>) -> Vec<wire::Thread> {
    let mut described = Vec::new();
    let mut next = Some(origin);
    while let Some(origin) = next {
        let finished = !LIVE.get().contains_key(&origin.id);
        described.push(origin.describe(finished));
        next = origin.parent.as_ref();
    }
    described
}

/// Writes who a task is, that may have ended, and who spawned it.
pub fn mention(origin: &Arc<Origin>) {
    let line = line(origin);
    let spawners: Vec<ThreadId> = line.iter().filter_map(|task| task.parent).collect();
    findings::mention(&spawners);
    for task in line {
        crate::wire::write(&wire::Record::Thread(task));
    }
}

/// In the child of a fork: the executors' threads are not here, and their
/// tasks never run there.
pub fn reset() {
    LIVE.replace(DashMap::new());
    BY_DATA.replace(DashMap::default());
    KEPT.replace(DashMap::new());
    ENDED.reset();
    ENDED.lock().clear();
}
