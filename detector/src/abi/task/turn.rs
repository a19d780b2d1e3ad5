//! Which thread a task that is ready would be polled by: one of the pool that has
//! its scheduler, or who drives a runtime of one thread.
//!
//! Only names who is to act where nothing moves any more, and proves nothing.
//!
//! What it misses: tasks of other executors than tokio's; of several threads that
//! are in the middle of polls of one pool, any but the one that spawned the task.

use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;

use super::record::Record;
use crate::report::wire::ThreadId;
use crate::rt::replaceable::Replaceable;

/// Words of a runtime's handle that are looked at.
const WORDS: usize = 16;
/// In the word of a [`Scheduler`]: not a pool.
const ALONE: usize = 1;

/// What polls a task: its address, which is even, and whether it is no pool.
#[derive(Debug, Default)]
pub struct Scheduler(AtomicUsize);

impl Scheduler {
    /// Notes it.
    pub fn is(&self, address: usize, alone: bool) {
        let flag = if alone { ALONE } else { 0 };
        self.0.store(address & !ALONE | flag, Ordering::Relaxed);
    }

    /// True if it is known to be a pool.
    pub fn is_pool(&self) -> bool {
        self.get().is_some_and(|(_, alone)| !alone)
    }

    /// True if it is known to be none, but one thread.
    pub fn is_alone(&self) -> bool {
        self.get().is_some_and(|(_, alone)| alone)
    }

    /// The address, and whether it is no pool.
    fn get(&self) -> Option<(usize, bool)> {
        let word = self.0.load(Ordering::Relaxed);
        (word > ALONE).then_some((word & !ALONE, word & ALONE != 0))
    }
}

/// A runtime that a thread blocks on: the words of its handle.
type Driven = Vec<usize>;

static DRIVEN: Replaceable<DashMap<ThreadId, Vec<Driven>>> = Replaceable::new();

/// The thread begins to block on a runtime.
///
/// # Safety
/// So many words can be read there.
pub unsafe fn drives(thread: ThreadId, handle: *const usize, words: usize) {
    let word = |at| {
        // SAFETY: as the caller says. Some of it may be padding.
        unsafe { handle.add(at).read_volatile() }
    };
    let handle: Driven = (0..words.min(WORDS)).map(word).collect();
    DRIVEN.get().entry(thread).or_default().push(handle);
}

/// It is back.
pub fn leaves(thread: ThreadId) {
    let Some(mut driven) = DRIVEN.get().get_mut(&thread) else {
        return;
    };
    driven.pop();
    let empty = driven.is_empty();
    drop(driven);
    if empty {
        DRIVEN.get().remove_if(&thread, |_, left| left.is_empty());
    }
}

/// In the child of a fork.
pub fn reset() {
    DRIVEN.replace(DashMap::new());
}

/// The thread that a ready task waits for, if it is known: `polled` are the tasks in
/// the middle of a poll, and their threads.
pub fn of(ready: &Record, polled: &[(&Record, ThreadId)]) -> Option<ThreadId> {
    let spawner = ready.origin.thread;
    if ready.origin.stays {
        return Some(spawner);
    }
    let (scheduler, alone) = ready.scheduler.get()?;
    let mut threads: Vec<ThreadId> = if alone {
        let drives = |driven: &[Driven]| driven.iter().any(|words| words.contains(&scheduler));
        let driven = DRIVEN.get().iter();
        driven
            .filter(|entry| drives(entry.value()))
            .map(|entry| *entry.key())
            .collect()
    } else {
        let same = |task: &Record| task.scheduler.get() == Some((scheduler, false));
        let polled = polled.iter().filter(|(task, _)| same(task));
        polled.map(|(_, thread)| *thread).collect()
    };
    threads.sort_unstable();
    threads.dedup();
    match threads[..] {
        [only] => Some(only),
        _ => threads.into_iter().find(|thread| *thread == spawner),
    }
}
