//! Who has what a live task waits on: the other end of its channel, what notifies it.
//!
//! A task leaves its waker in something that it shares with who is to wake it: a
//! counted block with a waker of the task, or with the address of a node of the task's
//! own. Who else has the address of that block is told, by the task or the root that
//! alone leads to where it lies. Memory that several lead to is nobody's.
//!
//! What it misses: waiters that are linked behind others, and blocks with one owner;
//! an owner in memory that several share. A word that a variable has left behind when
//! it was moved may stand for an owner.

use super::owners::OWNED_AT;
use super::{Holders, Search, words};
use std::ops::Range;

/// Who leads to a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Label {
    /// Nobody so far.
    Nobody,
    /// A task, by its place.
    Task(usize),
    /// The word of a root, by its address.
    Root(usize),
    /// Several.
    Several,
}

/// Owners told of a task.
const MOST: usize = 4;

impl<R: Fn(usize) -> usize> Search<'_, R> {
    /// For each task, who has what it waits on, besides itself and those that wait on
    /// it as well. Nobody for those that do not wait, or are dead.
    pub(super) fn living(&self) -> Vec<Holders> {
        let mut holders = vec![Holders::default(); self.tasks.len()];
        let waited_on = self.waited_on();
        if waited_on.is_empty() {
            return holders;
        }
        let waiting = |block: usize| {
            let first = waited_on.partition_point(|&(waited, _)| waited < block);
            waited_on[first..]
                .iter()
                .take_while(move |&&(waited, _)| waited == block)
                .map(|&(_, task)| task)
        };
        self.led_by(|label, to, owns| {
            if !owns || waiting(to).any(|task| label == Label::Task(task)) {
                return;
            }
            for task in waiting(to) {
                let of: &mut Holders = &mut holders[task];
                match label {
                    Label::Task(owner) if !of.tasks.contains(&owner) => of.tasks.push(owner),
                    Label::Root(at) if !of.roots.contains(&at) => of.roots.push(at),
                    Label::Task(_) | Label::Root(_) | Label::Nobody | Label::Several => {}
                }
                of.tasks.truncate(MOST);
                of.roots.truncate(MOST);
            }
        });
        holders
    }

    /// The live memory that is a block's, a task's or not.
    fn live_blocks(&self) -> impl Iterator<Item = usize> {
        (0..self.marked.len()).filter(|&block| self.marked[block])
    }

    /// The counted blocks with wakers of live tasks that wait, and whose, in order.
    fn waited_on(&self) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        for from in self.live_blocks() {
            if self.task_of[from].is_some() {
                continue;
            }
            let range = self.range(from);
            for at in words(&range) {
                let word = (self.space.read)(at);
                let Some(task) = self.block_at(word).and_then(|block| self.task_of[block]) else {
                    continue;
                };
                let task = task as usize;
                let inside = word != self.tasks[task].address();
                if self.tasks[task].waits
                    && self.live[task]
                    && (inside || self.is_waker(task, at, &range))
                    && self.counted(from).is_some_and(|owners| owners > 1)
                {
                    found.push((from, task));
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Tells of each word that leads to a block from what is one task's or one root's:
    /// whose it is, the block, and whether the word is as an owner's.
    fn led_by(&self, mut tell: impl FnMut(Label, usize, bool)) {
        let mut left = self.pointed_to();
        let mut labels = vec![Label::Nobody; left.len()];
        let mut queue: Vec<(Range<usize>, Option<usize>)> = Vec::new();
        for (task, block) in self.block_of.iter().enumerate() {
            if let (true, Some(block)) = (self.live[task], *block) {
                labels[block] = Label::Task(task);
                queue.push((self.range(block), Some(block)));
            }
        }
        queue.extend(self.space.roots.iter().map(|root| (root.clone(), None)));
        while let Some((range, from)) = queue.pop() {
            for at in words(&range) {
                let word = (self.space.read)(at);
                let Some(to) = self.followed(word, from) else {
                    continue;
                };
                let label = from.map_or(Label::Root(at), |from| labels[from]);
                let inside = word - self.space.blocks[to].start;
                tell(label, to, OWNED_AT.contains(&inside));
                left[to] -= 1;
                labels[to] = match labels[to] {
                    Label::Nobody => label,
                    same if same == label => label,
                    Label::Task(_) | Label::Root(_) | Label::Several => Label::Several,
                };
                if left[to] == 0 && labels[to] != Label::Several {
                    queue.push((self.range(to), Some(to)));
                }
            }
        }
    }

    /// How many words of live memory lead to each block.
    fn pointed_to(&self) -> Vec<u32> {
        let mut pointers = vec![0; self.space.blocks.len()];
        let blocks = self
            .live_blocks()
            .map(|block| (self.range(block), Some(block)));
        let roots = self.space.roots.iter().map(|root| (root.clone(), None));
        for (range, from) in blocks.chain(roots) {
            for at in words(&range) {
                if let Some(to) = self.followed((self.space.read)(at), from) {
                    pointers[to] += 1;
                }
            }
        }
        pointers
    }

    /// The block, of no task and another one, that a word leads to.
    fn followed(&self, word: usize, from: Option<usize>) -> Option<usize> {
        let to = self.block_at(word)?;
        (self.marked[to] && self.task_of[to].is_none() && from != Some(to)).then_some(to)
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::{Memory, ROOT, VTABLE, WORD, block, task};
    use super::super::{Holders, Reach, Task};

    /// Of tasks in the first blocks, of which those with wakers wait, and a root.
    fn search(waits: &[bool], blocks: &[[usize; 4]], root: [usize; 4]) -> Vec<Reach> {
        let of = |(number, &waits): (usize, &bool)| Task {
            waits,
            wakers: waits.then_some(1),
            ..task(number)
        };
        let memory = Memory {
            tasks: waits.iter().enumerate().map(of).collect(),
            blocks: blocks.to_vec(),
            roots: vec![root],
            locks: Vec::new(),
        };
        memory.unreachable()
    }

    fn live(tasks: &[usize], roots: &[usize]) -> Reach {
        Reach::Live(Holders {
            tasks: tasks.to_vec(),
            roots: roots.to_vec(),
            leaked: false,
        })
    }

    /// A channel with two owners, in which the first task waits.
    const fn channel() -> [usize; 4] {
        [2, 1, VTABLE, block(0)]
    }

    #[test]
    fn a_task_that_runs_has_the_other_end() {
        let blocks = [[0, block(2), 0, 0], [0, block(2), 0, 0], channel()];
        let found = search(&[true, false], &blocks, [0; 4]);
        assert_eq!(found[0], live(&[1], &[]));
        assert_eq!(found[1], live(&[], &[]));
    }

    #[test]
    fn it_is_in_a_box_of_that_task() {
        let blocks = [
            [0, block(2), 0, 0],
            [0, block(3), 0, 0],
            channel(),
            [0, block(2), 0, 0],
        ];
        let found = search(&[true, false], &blocks, [0; 4]);
        assert_eq!(found[0], live(&[1], &[]));
    }

    #[test]
    fn it_is_in_a_root() {
        let blocks = [[0, block(1), 0, 0], channel()];
        let found = search(&[true], &blocks, [0, 0, block(1), 0]);
        assert_eq!(found[0], live(&[], &[ROOT + 2 * WORD]));
    }

    #[test]
    fn what_two_tasks_share_is_nobodys() {
        let blocks = [
            [0, block(3), 0, 0],
            [0, block(4), 0, 0],
            [0, block(4), 0, 0],
            channel(),
            [2, 1, block(3), 0],
        ];
        let found = search(&[true, false, false], &blocks, [0; 4]);
        assert_eq!(found[0], live(&[], &[]));
    }

    #[test]
    fn who_waits_on_it_as_well_is_not_told() {
        let blocks = [
            [0, block(2), 0, 0],
            [0, block(2), 0, 0],
            [3, 1, block(0) + WORD, block(1) + WORD],
        ];
        let found = search(&[true, true], &blocks, [block(2), 0, 0, 0]);
        assert_eq!(found[0], live(&[], &[ROOT]));
        assert_eq!(found[1], live(&[], &[ROOT]));
    }
}
