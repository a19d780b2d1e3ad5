//! Whether everybody was found who owns what dead tasks wait on.
//!
//! A search finds pointers that are kept as addresses, and a program can keep one
//! in any other form: encrypted, as an index, in the kernel. What such a pointer
//! leads to looks as dead as what was leaked. But what tasks share is counted: an
//! `Arc` begins with the number of its owners. So a task is *unreachable* only if
//! as many owners were found of each counted block around it as there are, all of
//! them in dead tasks or in memory that such owners alone account for, as in a
//! cycle of `Arc`s. Where an owner is missing, because it was forgotten or because
//! it is hidden, both of which look alike, whatever it could lead to is only
//! *unaccounted for*. This is trial deletion (Bacon and Rajan, *Concurrent Cycle
//! Collection in Reference Counted Systems*, ECOOP 2001), by counts that the
//! program keeps itself.
//!
//! What it misses: an owner that is hidden, where as many words as it takes are
//! left behind by owners that were moved; a hidden pointer that is no owner, into
//! what a dead task owns.

use super::{Search, WORD, words};

/// Where an `Arc` or `Rc` can have the address of: its counts, or its value, which
/// follows them as its alignment wants.
pub(super) const OWNED_AT: [usize; 3] = [0, 2 * WORD, 128];

/// Counts above this are no counts.
const MOST_OWNERS: usize = 1 << 24;

/// Who keeps what a task waits on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holders {
    /// Tasks, by their places: of a dead one, those that nothing wakes either, and
    /// the task itself if nobody else does.
    pub tasks: Vec<usize>,
    /// Words of roots, by their addresses: of a live one alone.
    pub roots: Vec<usize>,
    /// Memory that nobody has.
    pub leaked: bool,
}

/// What is known of the blocks that no live task or root leads to.
struct Dead {
    /// For each block: dead tasks lead to it.
    led_to: Vec<bool>,
    /// For each block that they lead to, the first one that does.
    owner: Vec<Option<u32>>,
    /// Words with the address of each block, outside of itself.
    owners: Vec<u32>,
    /// Words with an address inside of it.
    pointers: Vec<u32>,
    /// From blocks that nothing leads to: the block, whose address it has, and
    /// whether that makes an owner.
    floating: Vec<(u32, u32, bool)>,
    /// From dead tasks and what they lead to.
    edges: Vec<(u32, u32)>,
}

impl<R: Fn(usize) -> usize> Search<'_, R> {
    /// Makes live what an owner may lead to that was not found. Returns for each
    /// task that was dead before who keeps what it waits on.
    pub(super) fn revive_unaccounted(&mut self) -> Vec<Holders> {
        let mut dead = self.dead();
        let hidden = self.not_accounted_for(&mut dead);
        let holders = self.holders(&dead);
        for block in hidden {
            if !self.marked[block] {
                self.marked[block] = true;
                self.queue.push((self.range(block), 0));
            }
        }
        self.settle();
        holders
    }

    /// Reads the blocks that nothing live leads to.
    fn dead(&self) -> Dead {
        let count = self.space.blocks.len();
        let mut dead = Dead {
            led_to: vec![false; count],
            owner: vec![None; count],
            owners: vec![0; count],
            pointers: vec![0; count],
            floating: Vec::new(),
            edges: Vec::new(),
        };
        let mut queue: Vec<usize> = Vec::new();
        for (number, block) in self.block_of.iter().enumerate() {
            if let (false, Some(block)) = (self.live[number], *block) {
                dead.led_to[block] = true;
                dead.owner[block] = Some(number as u32);
                queue.push(block);
            }
        }
        while let Some(from) = queue.pop() {
            for (to, owns) in self.pointers(from) {
                dead.count(to, owns);
                dead.edges.push((from as u32, to as u32));
                if !dead.led_to[to] && self.task_of[to].is_none() {
                    dead.led_to[to] = true;
                    dead.owner[to] = dead.owner[from];
                    queue.push(to);
                }
            }
        }
        let floats = |block: &usize| {
            !self.marked[*block] && !dead.led_to[*block] && self.task_of[*block].is_none()
        };
        for from in (0..count).filter(floats).collect::<Vec<_>>() {
            for (to, owns) in self.pointers(from) {
                dead.count(to, owns);
                dead.floating.push((from as u32, to as u32, owns));
            }
        }
        dead
    }

    /// The unmarked blocks that the words of a block point into, but for itself,
    /// and whether a word is as an owner's.
    fn pointers(&self, from: usize) -> impl Iterator<Item = (usize, bool)> {
        words(&self.range(from)).filter_map(move |at| {
            let word = (self.space.read)(at);
            let to = self.block_at(word)?;
            let inside = word - self.space.blocks[to].start;
            (to != from && !self.marked[to]).then_some((to, OWNED_AT.contains(&inside)))
        })
    }

    /// The counts of a block that begins as an `Arc` does: owners.
    pub(super) fn counted(&self, block: usize) -> Option<usize> {
        let range = self.range(block);
        if range.len() < 2 * WORD {
            return None;
        }
        let strong = (self.space.read)(range.start);
        let weak = (self.space.read)(range.start + WORD);
        let is_count = |count: usize| (1..=MOST_OWNERS).contains(&count);
        (is_count(strong) && (is_count(weak) || weak == usize::MAX)).then_some(strong)
    }

    /// Blocks of which an owner was not found.
    fn not_accounted_for(&self, dead: &mut Dead) -> Vec<usize> {
        let mut floats = vec![false; self.space.blocks.len()];
        for &(from, ..) in &dead.floating {
            floats[from as usize] = true;
        }
        dead.floating.sort_unstable();
        let short = |dead: &Dead, block: usize| match self.counted(block) {
            Some(owners) => (dead.owners[block] as usize) < owners,
            // What dead tasks lead to is theirs; else somebody must have it.
            None => !dead.led_to[block] && dead.pointers[block] == 0,
        };
        let mut hidden: Vec<usize> = (0..floats.len())
            .filter(|&block| floats[block] && short(dead, block))
            .collect();
        let mut next = 0;
        for &block in &hidden {
            floats[block] = false;
        }
        // What a hidden owner has does not account for others.
        while let Some(&from) = hidden.get(next) {
            next += 1;
            let first = dead
                .floating
                .partition_point(|&(block, ..)| (block as usize) < from);
            for at in first..dead.floating.len() {
                let (block, to, owns) = dead.floating[at];
                if block as usize != from {
                    break;
                }
                let to = to as usize;
                dead.pointers[to] -= 1;
                dead.owners[to] -= u32::from(owns);
                if floats[to] && short(dead, to) {
                    floats[to] = false;
                    hidden.push(to);
                }
            }
        }
        let led_to = (0..dead.led_to.len())
            .filter(|&block| dead.led_to[block] && self.task_of[block].is_none());
        hidden.extend(led_to.filter(|&block| short(dead, block)));
        hidden
    }

    /// For each task, who has the counted block with its waker.
    fn holders(&self, dead: &Dead) -> Vec<Holders> {
        let mut holders = vec![Holders::default(); self.tasks.len()];
        // The blocks with wakers, and whose.
        let mut waits: Vec<(u32, usize)> = Vec::new();
        for &(from, to) in &dead.edges {
            let shared = self.counted(from as usize).is_some_and(|owners| owners > 1);
            if let (true, Some(task)) = (shared, self.task_of[to as usize])
                && !self.live[task as usize]
                && self.task_of[from as usize].is_none()
            {
                waits.push((from, task as usize));
            }
        }
        waits.sort_unstable();
        waits.dedup();
        let waiting_on = |block: u32| {
            let first = waits.partition_point(|&(waited, _)| waited < block);
            waits[first..]
                .iter()
                .take_while(move |&&(waited, _)| waited == block)
                .map(|&(_, task)| task)
        };
        for &(from, to) in &dead.edges {
            let Some(owner) = dead.owner[from as usize] else {
                continue;
            };
            for task in waiting_on(to) {
                let known = &mut holders[task].tasks;
                if owner as usize != task && !known.contains(&(owner as usize)) && known.len() < 4 {
                    known.push(owner as usize);
                }
            }
        }
        for &(_, to, _) in &dead.floating {
            for task in waiting_on(to) {
                holders[task].leaked = true;
            }
        }
        for (block, task) in waits {
            let all_found = self
                .counted(block as usize)
                .is_some_and(|owners| dead.owners[block as usize] as usize >= owners);
            let of = &mut holders[task];
            if of.tasks.is_empty() && !of.leaked && all_found {
                of.tasks.push(task);
            }
        }
        holders
    }
}

impl Dead {
    fn count(&mut self, to: usize, owns: bool) {
        self.pointers[to] += 1;
        self.owners[to] += u32::from(owns);
    }
}

#[cfg(test)]
mod tests {
    use super::Holders;
    use crate::reach::Reach;
    use crate::reach::memory::{Memory, VTABLE, block, task};

    /// Nowhere a pointer is looked for by this.
    const KEY: usize = 0x5a5a_a5a5_1234_0000;

    /// Of tasks in the first blocks, and no root.
    fn search(tasks: usize, blocks: &[[usize; 4]]) -> Vec<Reach> {
        let memory = Memory {
            tasks: (0..tasks).map(task).collect(),
            blocks: blocks.to_vec(),
            ..Memory::default()
        };
        memory.unreachable()
    }

    fn held_by(tasks: &[usize], leaked: bool) -> Holders {
        Holders {
            tasks: tasks.to_vec(),
            roots: Vec::new(),
            leaked,
        }
    }

    /// A channel with so many owners, in which the first task waits.
    fn channel(owners: usize) -> [usize; 4] {
        [owners, 1, VTABLE, block(0)]
    }

    #[test]
    fn all_owners_are_the_task_itself() {
        let found = search(1, &[[0, block(1), block(1), 0], channel(2)]);
        assert_eq!(found, [Reach::Unreachable(held_by(&[0], false))]);
    }

    #[test]
    fn an_owner_is_another_dead_task() {
        let blocks = [
            [0, block(2), 0, 0],
            [0, block(2), block(3), 0],
            channel(2),
            [1, 1, VTABLE, block(1)],
        ];
        let found = search(2, &blocks);
        assert_eq!(found[0], Reach::Unreachable(held_by(&[1], false)));
    }

    #[test]
    fn an_owner_that_is_not_found_may_be_anywhere() {
        let found = search(1, &[[0, block(1), 0, 0], channel(2)]);
        assert_eq!(found, [Reach::Unaccounted(held_by(&[], false))]);
        // Even where what has it was found, but not who has that.
        let kept = [block(2) ^ KEY, 0, block(1), 0];
        let found = search(1, &[[0, block(1), 0, 0], channel(2), kept]);
        assert_eq!(found, [Reach::Unaccounted(held_by(&[], true))]);
    }

    #[test]
    fn a_cycle_of_owners_accounts_for_itself() {
        let task = [0, block(1), 0, 0];
        let cycle = |owners| {
            [
                task,
                channel(2),
                [owners, 1, block(3), block(1)],
                [1, 1, block(2), 0],
            ]
        };
        let found = search(1, &cycle(1));
        assert_eq!(found, [Reach::Unreachable(held_by(&[], true))]);
        // One more owner of the cycle is somewhere.
        let found = search(1, &cycle(2));
        assert_eq!(found, [Reach::Unaccounted(held_by(&[], true))]);
    }

    #[test]
    fn what_is_not_counted_is_the_tasks_own() {
        let found = search(1, &[[0, block(1), 0, 0], [KEY, VTABLE, block(0), 0]]);
        assert_eq!(found, [Reach::Unreachable(Holders::default())]);
    }

    #[test]
    fn a_task_that_could_be_woken_could_wake_others() {
        // The second waits in a block with an owner that was not found, and has
        // what the first waits on.
        let blocks = [
            [0, block(2), 0, 0],
            [0, block(3), block(2), 0],
            channel(2),
            [2, 1, VTABLE, block(1)],
        ];
        let found = search(2, &blocks);
        assert!(matches!(
            found[..],
            [Reach::Unaccounted(_), Reach::Unaccounted(_)]
        ));
    }
}
