//! What a task leaves in memory of its thread's own, and another finds there: only a
//! task that the same thread polls can, so the thread orders the two.
//!
//! It happens in each poll that uses such memory, and is asked for now and then: what
//! is noted is when, and which tasks that were is looked up afterwards.

use std::collections::VecDeque;

use crate::ids::Epoch;

/// Remembered of a thread.
const KEPT: usize = 1024;

/// What was left was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handed {
    /// When it was left: an epoch of the thread.
    pub left: Epoch,
    /// When it was found: the first epoch of the poll.
    pub found: Epoch,
    /// Where the log was then.
    pub logged: u64,
    /// Where it was, unless in a thread-local variable.
    pub addr: Option<usize>,
}

/// All of a thread, oldest first.
#[derive(Debug)]
pub struct HandedOver(VecDeque<Handed>);

impl HandedOver {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self(VecDeque::new())
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds one, unless the latest says the same.
    pub fn add(&mut self, handed: Handed) {
        let again = self.0.back().is_some_and(|last| {
            let same = |at: &Handed| (at.left, at.found, at.addr);
            same(last) == same(&handed)
        });
        if again {
            return;
        }
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(handed);
    }

    /// Those since the log was at `logged`; none if they are not all there any more.
    pub fn since(&self, logged: u64) -> Option<impl Iterator<Item = &Handed>> {
        let forgotten = self.0.len() == KEPT && self.0[0].logged > logged;
        let first = self.0.partition_point(|handed| handed.logged < logged);
        (!forgotten).then(|| self.0.range(first..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(logged: u64) -> Handed {
        Handed {
            left: Epoch::new(logged),
            found: Epoch::new(logged + 1),
            logged,
            addr: None,
        }
    }

    #[test]
    fn the_same_is_kept_once() {
        let mut handed = HandedOver::new();
        for logged in [1, 1, 2] {
            handed.add(at(logged));
        }
        let all: Vec<_> = handed.since(0).unwrap().copied().collect();
        assert_eq!(all, [at(1), at(2)]);
        assert_eq!(handed.since(2).unwrap().count(), 1);
    }

    #[test]
    fn what_is_forgotten_is_not_taken_for_nothing() {
        let mut handed = HandedOver::new();
        for logged in 0..=KEPT as u64 {
            handed.add(at(logged));
        }
        assert!(handed.since(0).is_none());
        assert_eq!(handed.since(1).unwrap().count(), KEPT);
    }
}
