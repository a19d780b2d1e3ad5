//! The mark phase: what is live makes live what it leads to.

use std::ops::Range;

use super::forms::addresses;
use super::{Joiner, Search, Task, WORD, words};

impl<R: Fn(usize) -> usize> Search<'_, R> {
    pub(super) fn mark(&mut self) {
        while let Some((range, before)) = self.queue.pop() {
            let via = self
                .block_at(range.start)
                .map_or(0, |block| self.via[block]);
            self.visit(range, before, via);
        }
    }

    /// Marks what is live, until no task is live any more that was not.
    pub(super) fn settle(&mut self) {
        self.mark();
        loop {
            let found = self.wakers_of_dead();
            let hidden: Vec<usize> = (0..self.tasks.len())
                .filter(|&number| {
                    let Task {
                        wakers, joined_by, ..
                    } = self.tasks[number];
                    // Without wakers it is dead whatever is found.
                    let unfound =
                        wakers.is_some_and(|wakers| wakers > 0 && wakers != found[number]);
                    let joined = joined_by.is_some_and(|joiner| self.live[joiner.task]);
                    !self.live[number] && (unfound || joined)
                })
                .collect();
            if hidden.is_empty() {
                break;
            }
            for number in hidden {
                self.revive(number);
            }
            self.mark();
        }
    }

    /// True if the word at `at`, the address of `task`, belongs to a waker.
    pub(super) fn is_waker(&self, task: usize, at: usize, range: &Range<usize>) -> bool {
        let Task {
            waker, data_word, ..
        } = self.tasks[task];
        let beside = if data_word & 1 == 0 {
            at.checked_add(WORD)
        } else {
            at.checked_sub(WORD)
        };
        let inside = |at: &usize| *at >= range.start && *at + WORD <= range.end;
        beside
            .filter(inside)
            .is_some_and(|beside| (self.space.read)(beside) == waker[1 - (data_word & 1)])
    }

    /// True if the handle of `task` lies in the block of who joins it. A copy of
    /// its word there proves nothing: it may be what is left of one that moved.
    pub(super) fn has_handle(&self, joiner: Joiner, task: usize) -> bool {
        let block = self.block_of[joiner.task].map(|block| self.range(block));
        block.is_some_and(|range| range.contains(&joiner.handle))
            && (self.space.read)(joiner.handle) == self.tasks[task].address()
    }

    /// Follows the words of a live range, which the address `via` led to, from
    /// what the address `before` led to.
    pub(super) fn visit(&mut self, range: Range<usize>, before: usize, via: usize) {
        for at in words(&range) {
            let word = (self.space.read)(at);
            if word == 0 {
                continue;
            }
            for word in addresses(word) {
                self.open_locks(word);
                self.follow(word, at, &range, via);
            }
            let there = [
                self.at_distance(at, word),
                self.linked(at, word, before, via),
            ];
            for there in there.into_iter().flatten() {
                self.follow(there, at, &range, via);
            }
        }
    }

    /// Follows a word that may be an address, found at `at` in what the address
    /// `via` led to.
    pub(super) fn follow(&mut self, word: usize, at: usize, range: &Range<usize>, via: usize) {
        if let Some(block) = self.block_at(word) {
            match self.task_of[block] {
                Some(task) => {
                    let task = task as usize;
                    let inside = word != self.tasks[task].address();
                    if !self.live[task]
                        && self.tasks[task].wakers != Some(0)
                        && (inside || self.is_waker(task, at, range))
                        && !self.is_kept_out(task, at)
                    {
                        self.revive(task);
                    }
                }
                None => {
                    if !self.marked[block] {
                        self.marked[block] = true;
                        self.via[block] = word;
                        self.queue.push((self.range(block), via));
                    }
                }
            }
        }
    }

    /// How many wakers of each task lie in what only dead tasks reach.
    pub(super) fn wakers_of_dead(&self) -> Vec<u64> {
        let mut found = vec![0; self.tasks.len()];
        let mut seen = self.marked.clone();
        let mut queue: Vec<Range<usize>> = Vec::new();
        for (number, block) in self.block_of.iter().enumerate() {
            if let (false, Some(block)) = (self.live[number], *block) {
                seen[block] = true;
                queue.push(self.range(block));
            }
        }
        while let Some(range) = queue.pop() {
            for at in words(&range) {
                let word = (self.space.read)(at);
                let Some(block) = self.block_at(word) else {
                    continue;
                };
                match self.task_of[block] {
                    Some(task) => {
                        let task = task as usize;
                        let address = self.tasks[task].address();
                        found[task] +=
                            u64::from(word == address && self.is_waker(task, at, &range));
                    }
                    None => {
                        if !seen[block] {
                            seen[block] = true;
                            queue.push(self.range(block));
                        }
                    }
                }
            }
        }
        found
    }
}
