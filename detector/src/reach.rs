//! Which tasks nothing can wake: a conservative mark phase over memory, as of
//! a garbage collector (Boehm and Weiser, *Garbage Collection in an
//! Uncooperative Environment*, 1988), with tasks in the place of goroutines
//! (Saioc et al., *Dynamic Partial Deadlock Detection and Recovery via Garbage
//! Collection*, ASPLOS 2025).
//!
//! The roots and the tasks that can run are live; a word that may be an
//! address makes the heap block live that it points into. An executor keeps
//! the addresses of all its tasks, so that the address of a task alone does
//! not make it live. One of its wakers does, which is that address beside the
//! address of the waker's functions, and so does an address *inside* of the
//! task: a node of a list of waiters that is a part of its future.
//!
//! A task that was not reached counts as unreachable only if all of its wakers
//! were found, in what only such tasks reach: a waker in memory that was not
//! searched, or in a form that is not recognised, keeps it live.
//!
//! A pointer counts as one if it is kept as an address, with a tag or without,
//! inverted, as a distance from where it is kept, or as the exclusive or with the
//! address of its predecessor, as in a list of half the links: see `forms`. Others are
//! not known, so the owners of what is found are counted as well: see `owners`.
//!
//! Pure: the caller stops the world and reads the memory.

mod forms;
mod keepers;
mod living;
mod locks;
mod mark;
#[cfg(test)]
mod memory;
mod owners;

use std::ops::Range;

pub use self::keepers::{RootOf, Waiter, Wakes, keepers};
pub use self::locks::Lock;
pub use self::owners::Holders;

const WORD: usize = size_of::<usize>();

/// A heap block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Its first byte.
    pub start: usize,
    /// Its size in bytes.
    pub size: usize,
}

/// A task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Task {
    /// The words of its wakers.
    pub waker: [usize; 2],
    /// Which of them is the address of the task: the start of its block.
    pub data_word: usize,
    /// It waits.
    pub waits: bool,
    /// How many wakers it has; none if it can run, or be ended otherwise.
    pub wakers: Option<u64>,
    /// Who polled its join handle: it is live if that one is, or does not have
    /// the handle in its own block.
    pub joined_by: Option<Joiner>,
    /// The place of the lock that it waits for.
    pub lock: Option<usize>,
}

/// A task that joins another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joiner {
    /// Its place among the tasks.
    pub task: usize,
    /// Where the handle lies.
    pub handle: usize,
}

impl Task {
    fn address(&self) -> usize {
        self.waker[self.data_word & 1]
    }
}

/// What is searched.
pub struct Space<'a, R> {
    /// All heap blocks, by address.
    pub blocks: &'a [Block],
    /// What is live besides.
    pub roots: &'a [Range<usize>],
    /// Locks that tasks wait for.
    pub locks: &'a [Lock],
    /// Reads the word at an address in a block or a root.
    pub read: R,
}

/// What a search found of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Something that is live leads to it, as far as it is known who.
    Live(Holders),
    /// Nothing was found that does, but somebody is missing who owns what leads to
    /// it.
    Unaccounted(Holders),
    /// Nothing that is live leads to it.
    Unreachable(Holders),
}

impl Reach {
    /// True if nothing was found that leads to it.
    pub fn is_dead(&self) -> bool {
        match self {
            Self::Live(_) => false,
            Self::Unaccounted(_) | Self::Unreachable(_) => true,
        }
    }
}

struct Search<'a, R> {
    space: &'a Space<'a, R>,
    tasks: &'a [Task],
    /// For each block, its task.
    task_of: Vec<Option<u32>>,
    /// For each task, its block.
    block_of: Vec<Option<usize>>,
    marked: Vec<bool>,
    live: Vec<bool>,
    /// What is to be visited, and the address that led to what led there.
    queue: Vec<(Range<usize>, usize)>,
    /// The address that led to what is visited, if it is known.
    via: Vec<usize>,
    /// For each lock, whether something that is live may have its guard.
    open: Vec<bool>,
    /// Which addresses that would have.
    guards: Vec<Range<usize>>,
}

/// For each task, whether something that is live reaches one of its wakers. A
/// task whose address is not the start of a block is live.
pub fn unreachable<R: Fn(usize) -> usize>(space: &Space<'_, R>, tasks: &[Task]) -> Vec<Reach> {
    let mut search = Search::new(space, tasks);
    for (number, task) in tasks.iter().enumerate() {
        let handle_elsewhere = task
            .joined_by
            .is_some_and(|joiner| !search.has_handle(joiner, number));
        if task.wakers.is_none() || search.block_of[number].is_none() || handle_elsewhere {
            search.revive(number);
        }
    }
    for root in space.roots {
        search.visit(root.clone(), 0, 0);
    }
    search.settle();
    if search.live.iter().all(|live| *live) {
        return search.living().into_iter().map(Reach::Live).collect();
    }
    let dead: Vec<bool> = search.live.iter().map(|live| !live).collect();
    let holders = search.revive_unaccounted();
    let found = dead.into_iter().zip(&search.live).zip(holders);
    found
        .zip(search.living())
        .map(|(((dead, live), holders), living)| match (dead, live) {
            (false, _) => Reach::Live(living),
            (true, true) => Reach::Unaccounted(holders),
            (true, false) => Reach::Unreachable(holders),
        })
        .collect()
}

/// The addresses of all words of a range.
fn words(range: &Range<usize>) -> impl Iterator<Item = usize> + use<> {
    let start = range.start.next_multiple_of(WORD);
    let end = range.end / WORD * WORD;
    (start..end.max(start)).step_by(WORD)
}

impl<'a, R: Fn(usize) -> usize> Search<'a, R> {
    fn new(space: &'a Space<'a, R>, tasks: &'a [Task]) -> Self {
        let mut search = Self {
            space,
            tasks,
            task_of: vec![None; space.blocks.len()],
            block_of: vec![None; tasks.len()],
            marked: vec![false; space.blocks.len()],
            live: vec![false; tasks.len()],
            queue: Vec::new(),
            via: vec![0; space.blocks.len()],
            open: vec![false; space.locks.len()],
            guards: Vec::new(),
        };
        for (number, task) in tasks.iter().enumerate() {
            let at = search.block_at(task.address());
            let at = at.filter(|&at| space.blocks[at].start == task.address());
            if let Some(at) = at {
                search.task_of[at] = Some(number as u32);
                search.block_of[number] = Some(at);
            }
        }
        search.guards = search.guards();
        search
    }

    /// The block that holds an address.
    fn block_at(&self, addr: usize) -> Option<usize> {
        let blocks = self.space.blocks;
        let (first, last) = (blocks.first()?, blocks.last()?);
        if addr < first.start || addr >= last.start + last.size.max(1) {
            return None;
        }
        let at = blocks
            .partition_point(|block| block.start <= addr)
            .checked_sub(1)?;
        (addr < blocks[at].start + blocks[at].size.max(1)).then_some(at)
    }

    fn range(&self, block: usize) -> Range<usize> {
        let Block { start, size } = self.space.blocks[block];
        start..start + size
    }

    /// The task can run: all that it holds is live.
    fn revive(&mut self, task: usize) {
        if !self.live[task] {
            self.live[task] = true;
            if let Some(block) = self.block_of[task] {
                self.marked[block] = true;
                self.queue.push((self.range(block), 0));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::memory::{Memory, ROOT, VTABLE, WORD, block, task};
    use super::{Joiner, Reach, Task};

    /// Blocks and a root; tasks are in the first blocks.
    struct Heap {
        root: [usize; 4],
        blocks: Vec<[usize; 4]>,
    }

    impl Heap {
        /// Whether each task is unreachable, by how many wakers it has.
        fn unreachable(&self, tasks: &[Option<u64>]) -> Vec<bool> {
            let tasks: Vec<_> = tasks.iter().map(|wakers| (*wakers, None)).collect();
            self.unreachable_joined(&tasks)
        }

        /// As above; each task with the one that polled its handle.
        fn unreachable_joined(&self, tasks: &[(Option<u64>, Option<Joiner>)]) -> Vec<bool> {
            let of = |(number, &(wakers, joined_by)): (usize, &_)| Task {
                waits: Option::is_some(&wakers),
                wakers,
                joined_by,
                ..task(number)
            };
            let memory = Memory {
                tasks: tasks.iter().enumerate().map(of).collect(),
                blocks: self.blocks.clone(),
                roots: vec![self.root],
                locks: Vec::new(),
            };
            memory.unreachable().iter().map(Reach::is_dead).collect()
        }
    }

    /// Two tasks: the first polled the handle of the second, whose block has its
    /// waker.
    fn joined(handle_at: usize, second: [usize; 4], root: [usize; 4]) -> Vec<bool> {
        let first = [0, block(1), 0, 0];
        let memory = Heap {
            root,
            blocks: vec![first, second],
        };
        let joiner = Joiner {
            task: 0,
            handle: handle_at,
        };
        memory.unreachable_joined(&[(Some(1), None), (Some(0), Some(joiner))])
    }

    #[test]
    fn a_joined_task_lives_as_long_as_who_has_its_handle() {
        let waker = [0, VTABLE, block(0), 0];
        let inside = block(0) + WORD;
        assert_eq!(joined(inside, waker, [0; 4]), [true, true]);
        // Something can wake the first: it may abort the second.
        let live = [VTABLE, block(0), 0, 0];
        assert_eq!(joined(inside, waker, live), [false, false]);
        // The handle is elsewhere: somebody else may have it too.
        let shared = [block(1), 0, 0, 0];
        assert_eq!(joined(ROOT, waker, shared), [false, false]);
    }

    /// A task that waits on a channel (block 1), in which its waker is.
    fn channel(root: [usize; 4], in_task: [usize; 4]) -> Heap {
        Heap {
            root,
            blocks: vec![in_task, [2, VTABLE, block(0), 0]],
        }
    }

    #[test]
    fn a_channel_that_only_the_task_has() {
        let memory = channel([0; 4], [0, block(1), 0, 0]);
        assert_eq!(memory.unreachable(&[Some(1)]), [true]);
    }

    #[test]
    fn a_channel_that_a_root_has() {
        let memory = channel([0, block(1), 0, 0], [0, block(1), 0, 0]);
        assert_eq!(memory.unreachable(&[Some(1)]), [false]);
        // By an address inside of it too.
        let memory = channel([0, block(1) + 9, 0, 0], [0, block(1), 0, 0]);
        assert_eq!(memory.unreachable(&[Some(1)]), [false]);
    }

    #[test]
    fn a_channel_that_a_tagged_pointer_leads_to() {
        for tagged in [block(1) | 1, block(1) | 7 << 48, block(1) << 16 | 7] {
            let memory = channel([0, tagged, 0, 0], [0, block(1), 0, 0]);
            assert_eq!(memory.unreachable(&[Some(1)]), [false], "{tagged:x}");
        }
    }

    #[test]
    fn a_channel_that_a_disguised_pointer_leads_to() {
        // Inverted, or a distance from where it is kept.
        for word in [!block(1), block(1).wrapping_sub(ROOT + WORD)] {
            let memory = channel([0, word, 0, 0], [0, block(1), 0, 0]);
            assert_eq!(memory.unreachable(&[Some(1)]), [false], "{word:x}");
        }
    }

    /// A list that is linked by the exclusive or of two, as far as the node that has
    /// the task's channel, with these links there and before.
    fn half_the_links(last_but_one: usize, last: usize) -> Heap {
        Heap {
            root: [block(2), 0, 0, 0],
            blocks: vec![
                [0, block(1), 0, 0],
                [2, VTABLE, block(0), 0],
                [block(3), 0, 0, 0],
                [last_but_one, 0, 0, 0],
                [last, 0, block(1), 0],
            ],
        }
    }

    #[test]
    fn a_channel_that_a_list_of_half_the_links_leads_to() {
        let link = block(2) ^ block(4);
        // The last one, one before another, and one before a root.
        for last in [block(3), block(3) ^ block(2), block(3) ^ ROOT] {
            let memory = half_the_links(link, last);
            assert_eq!(memory.unreachable(&[Some(1)]), [false], "{last:x}");
        }
        let memory = half_the_links(block(2), block(3));
        assert_eq!(memory.unreachable(&[Some(1)]), [true]);
    }

    #[test]
    fn a_number_that_would_be_a_link_but_for_the_way_back_is_none() {
        let link = block(2) ^ block(4);
        // What is there leads nowhere from the one before: it is zero, an address
        // of its own, or another number.
        for last in [0, VTABLE, 7 << 48] {
            let memory = half_the_links(link, last);
            assert_eq!(memory.unreachable(&[Some(1)]), [true], "{last:x}");
        }
    }

    #[test]
    fn the_address_of_a_task_alone_is_no_waker() {
        let memory = channel([block(0), 7, block(0), 0], [0, block(1), 0, 0]);
        assert_eq!(memory.unreachable(&[Some(1)]), [true]);
        let memory = channel([0, VTABLE, block(0), 0], [0, block(1), 0, 0]);
        assert_eq!(memory.unreachable(&[Some(1)]), [false]);
    }

    #[test]
    fn a_node_inside_of_a_task_keeps_it() {
        let memory = channel([block(0) + 8, 0, 0, 0], [0, block(1), 0, 0]);
        assert_eq!(memory.unreachable(&[Some(1)]), [false]);
    }

    #[test]
    fn a_waker_that_is_not_found_keeps_it() {
        let memory = channel([0; 4], [0, block(1), 0, 0]);
        assert_eq!(memory.unreachable(&[Some(2)]), [false]);
        let nowhere = Heap {
            root: [0; 4],
            blocks: vec![[0; 4]],
        };
        assert_eq!(nowhere.unreachable(&[Some(1)]), [false]);
        assert_eq!(nowhere.unreachable(&[Some(0)]), [true]);
    }

    #[test]
    fn tasks_that_only_wait_for_each_other() {
        // Each has the channel in which the other's waker is.
        let memory = |root| Heap {
            root,
            blocks: vec![
                [0, block(2), block(3), 0],
                [0, block(2), block(3), 0],
                [1, VTABLE, block(0), 0],
                [1, VTABLE, block(1), 0],
            ],
        };
        let tasks = [Some(1), Some(1)];
        assert_eq!(memory([0; 4]).unreachable(&tasks), [true, true]);
        let rooted = memory([block(3), 0, 0, 0]);
        assert_eq!(rooted.unreachable(&tasks), [false, false]);
        // One of them can run.
        assert_eq!(memory([0; 4]).unreachable(&[Some(1), None]), [false, false]);
    }

    #[test]
    fn what_a_revived_task_has_is_live() {
        // The second is kept by a waker nobody finds; it has the channel of
        // the first.
        let memory = Heap {
            root: [0; 4],
            blocks: vec![
                [0, block(2), 0, 0],
                [0, block(2), 0, 0],
                [1, VTABLE, block(0), 0],
            ],
        };
        assert_eq!(memory.unreachable(&[Some(1), Some(1)]), [false, false]);
        assert_eq!(memory.unreachable(&[Some(1), Some(0)]), [true, true]);
    }

    #[test]
    fn a_task_outside_of_the_heap_is_live() {
        let memory = Heap {
            root: [0; 4],
            blocks: Vec::new(),
        };
        assert_eq!(memory.unreachable(&[Some(1)]), [false]);
    }
}
