//! Locks whose waiters only the owner of the guard can let go on.
//!
//! A lock that somebody shares who runs is live, and the list of its waiters leads to
//! them. But that wakes none of them: who runs can only wait behind them. The guard
//! does, and it borrows the lock, so that it has an address in it: where nothing that
//! is live has one, nobody is left to give the lock back. The address of a counted
//! block's counts is what an owner of the block has, which is no guard.
//!
//! That goes for the guards of several readers, too. A writer that waits before others
//! and goes away may let them go on: it has an address in the lock as well.
//!
//! What it misses: guards that own the lock; the caller leaves these out. A reference to
//! the lock is taken for a guard.

use std::ops::Range;

use super::{Search, WORD};

/// A lock that is taken by guards which borrow it, and by no others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// The list of its waiters begins there.
    pub waiters: usize,
    /// The static variable that has it; none if a block has.
    pub variable: Option<Range<usize>>,
}

/// Bytes before the value of a counted block.
const COUNTS: usize = 2 * WORD;
/// Bytes in which the list of waiters keeps its ends.
const LIST: usize = 8 * WORD;

impl<R: Fn(usize) -> usize> Search<'_, R> {
    /// True if the word at `at`, an address in the task's block, is of the list of
    /// waiters of the lock that it waits for, and nothing that is live can give that
    /// back.
    pub(super) fn is_kept_out(&self, task: usize, at: usize) -> bool {
        self.tasks[task].lock.is_some_and(|lock| {
            let waiters = self.space.locks[lock].waiters;
            !self.open[lock] && (waiters..waiters + LIST).contains(&at)
        })
    }

    /// Something that is live has this address: it may be a guard.
    pub(super) fn open_locks(&mut self, word: usize) {
        for lock in 0..self.open.len() {
            if self.guards[lock].contains(&word) && !self.open[lock] {
                self.open[lock] = true;
                for task in 0..self.tasks.len() {
                    if self.tasks[task].lock == Some(lock) && self.tasks[task].wakers != Some(0) {
                        self.revive(task);
                    }
                }
            }
        }
    }

    /// For each lock, which addresses a guard of it may have.
    pub(super) fn guards(&self) -> Vec<Range<usize>> {
        let guards = |Lock { waiters, variable }: &Lock| {
            let in_block = |block| {
                let range = self.range(block);
                let is_counted = *waiters >= range.start + COUNTS && self.counted(block).is_some();
                let counts = if is_counted { 1 } else { 0 };
                range.start + counts..range.end
            };
            let block = || self.block_at(*waiters).map(in_block);
            // Anything, if it is not known where it lies.
            variable.clone().or_else(block).unwrap_or(1..usize::MAX)
        };
        self.space.locks.iter().map(guards).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::{Memory, ROOT, VTABLE, WORD, block, task};
    use super::super::{Reach, Task};
    use super::Lock;

    /// Where the first task has the node by which it waits.
    const NODE: usize = block(0) + 2 * WORD;

    /// True if the first task, which waits for the lock, counts as never woken. The
    /// second block is that of the lock, if it is in none of its own in the root.
    fn is_dead(lock: Lock, shared: [usize; 4], root: [usize; 4]) -> bool {
        let waits = Task {
            lock: Some(0),
            ..task(0)
        };
        let memory = Memory {
            tasks: vec![waits],
            blocks: vec![[0, 0, VTABLE, block(0)], shared],
            roots: vec![root],
            locks: vec![lock],
        };
        memory.unreachable().iter().all(Reach::is_dead)
    }

    /// A lock in a counted block, in which the task waits.
    fn shared() -> (Lock, [usize; 4]) {
        let lock = Lock {
            waiters: block(1) + 2 * WORD,
            variable: None,
        };
        (lock, [1, 1, NODE, NODE])
    }

    #[test]
    fn who_shares_a_lock_gives_it_to_nobody() {
        let (lock, block_of_lock) = shared();
        assert!(is_dead(lock, block_of_lock, [block(1), 0, 0, 0]));
    }

    #[test]
    fn who_has_the_guard_does() {
        let (lock, block_of_lock) = shared();
        let guard = [block(1), block(1) + 2 * WORD, 0, 0];
        assert!(!is_dead(lock, block_of_lock, guard));
    }

    #[test]
    fn a_block_that_is_not_counted_begins_with_what_a_guard_has() {
        let lock = Lock {
            waiters: block(1),
            variable: None,
        };
        assert!(!is_dead(lock, [NODE, NODE, 0, 0], [block(1), 0, 0, 0]));
    }

    #[test]
    fn a_waker_elsewhere_is_one() {
        let (lock, block_of_lock) = shared();
        assert!(!is_dead(lock, block_of_lock, [VTABLE, block(0), 0, 0]));
        // A node in another list, too.
        let (lock, block_of_lock) = shared();
        assert!(!is_dead(lock, block_of_lock, [NODE, 0, 0, 0]));
    }

    #[test]
    fn a_static_lock_leads_to_nobody_by_itself() {
        let lock = || Lock {
            waiters: ROOT,
            variable: Some(ROOT..ROOT + 3 * WORD),
        };
        assert!(is_dead(lock(), [0; 4], [NODE, NODE, 0, 0]));
        // A guard of it, beside it.
        assert!(!is_dead(lock(), [0; 4], [NODE, NODE, 0, ROOT]));
    }
}
