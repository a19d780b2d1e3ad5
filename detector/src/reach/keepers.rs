//! Who has what a thread or a task waits in: the other end of its channel, what
//! notifies it.
//!
//! Who waits leaves in some memory what wakes it: a task its waker, or the address of
//! a node of its own; a thread the address of what it sleeps on, or of a node on its
//! stack. From there the way
//! goes back, from block to block, to the tasks and threads that lead to it. They are
//! *candidates*: a variable that was moved leaves its words behind, so that who had
//! an end of a channel looks like who has it. The caller, who knows who spawned whom,
//! decides.
//!
//! Explains what is proved otherwise, and proves nothing.
//!
//! What it misses: what a thread waits in on the stack of another one or in a static
//! variable; what many lead to, which nobody has alone.

use std::ops::Range;

use super::{Search, Space, Task, WORD, words};

/// Whose a root is; threads by their places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RootOf {
    /// No thread's.
    Nobody,
    /// On the stack of a thread.
    Stack(usize),
    /// Among the thread-local variables of a thread.
    Locals(usize),
    /// No root: this task leads there.
    Task(usize),
}

/// Who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiter {
    /// The task at this place.
    Task(usize),
    /// A thread.
    Thread {
        /// Its place.
        thread: usize,
        /// What wakes it.
        wakes: Wakes,
    },
}

/// What wakes a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wakes {
    /// The address on which it sleeps.
    pub futex: usize,
    /// What the system calls the thread: this beside an address of the thread's own
    /// block is a join handle, which wakes nobody.
    pub handle: usize,
}

/// Blocks on the ways to one waiter, at most.
const MOST: usize = 256;
/// Words of a join handle.
const HANDLE: usize = 3;

/// A word with an address: what it leads to, where it comes from (a block, or a root
/// beyond the blocks), and where it lies. Only blocks lead to roots: to stacks.
type Pointer = (u32, u32, usize);

/// For each waiter, who leads to what wakes it, but for itself; each once. `roots` says
/// whose each root of the space is.
pub fn keepers<R: Fn(usize) -> usize>(
    space: &Space<'_, R>,
    roots: &[RootOf],
    tasks: &[Task],
    waiters: &[Waiter],
) -> Vec<Vec<RootOf>> {
    let search = Search::new(space, tasks);
    let pointers = search.all_pointers(roots);
    let ways = Ways {
        search: &search,
        roots,
        pointers: &pointers,
    };
    waiters
        .iter()
        .map(|waiter| ways.back_from(*waiter))
        .collect()
}

impl<R: Fn(usize) -> usize> Search<'_, R> {
    /// All words that lead from one block or root to another block or to a stack, by
    /// that.
    fn all_pointers(&self, roots: &[RootOf]) -> Vec<Pointer> {
        let count = self.space.blocks.len();
        let ranges = self.space.roots.iter().zip(roots).enumerate();
        let mut stacks: Vec<(Range<usize>, usize)> = ranges
            .filter(|(_, (_, of))| matches!(of, RootOf::Stack(_)))
            .map(|(root, (range, _))| (range.clone(), count + root))
            .collect();
        stacks.sort_unstable_by_key(|(range, _)| range.start);
        let stack_at = |word: usize| {
            let at = stacks.partition_point(|(range, _)| range.start <= word);
            let (range, root) = &stacks[at.checked_sub(1)?];
            range.contains(&word).then_some(*root)
        };
        let blocks = (0..count).map(|block| self.range(block));
        let mut found = Vec::new();
        for (from, range) in blocks.chain(self.space.roots.iter().cloned()).enumerate() {
            for at in words(&range) {
                let word = (self.space.read)(at);
                let on_a_stack = || (from < count).then(|| stack_at(word)).flatten();
                if let Some(to) = self.block_at(word).or_else(on_a_stack)
                    && to != from
                {
                    found.push((to as u32, from as u32, at));
                }
            }
        }
        found.sort_unstable();
        found
    }
}

/// The ways back.
struct Ways<'a, R> {
    search: &'a Search<'a, R>,
    roots: &'a [RootOf],
    pointers: &'a [Pointer],
}

impl<R: Fn(usize) -> usize> Ways<'_, R> {
    fn back_from(&self, waiter: Waiter) -> Vec<RootOf> {
        let Some(first) = self.waking(waiter) else {
            return Vec::new();
        };
        let mut found: Vec<RootOf> = Vec::new();
        let mut blocks: Vec<usize> = Vec::new();
        let mut next = 0;
        let mut from: Vec<u32> = first;
        loop {
            for from in from {
                match self.whose(from) {
                    Ok(party) if is(party, waiter) => {}
                    Ok(party) if !found.contains(&party) => found.push(party),
                    Err(block) if !blocks.contains(&block) => blocks.push(block),
                    Ok(_) | Err(_) => {}
                }
            }
            if blocks.len() > MOST {
                return vec![RootOf::Nobody];
            }
            let Some(&block) = blocks.get(next) else {
                return found;
            };
            next += 1;
            from = self.leading_to(block).map(|(_, from, _)| from).collect();
        }
    }

    /// Where what wakes the waiter is, besides its own; none if that is in no block.
    fn waking(&self, waiter: Waiter) -> Option<Vec<u32>> {
        let from = |(_, from, _): Pointer| from;
        match waiter {
            Waiter::Task(task) => {
                let block = self.search.block_of[task]?;
                let wakes = |&(_, from, at): &Pointer| {
                    let inside = self.read(at) != self.search.tasks[task].address();
                    inside || self.search.is_waker(task, at, &self.range(from))
                };
                Some(self.leading_to(block).filter(wakes).map(from).collect())
            }
            Waiter::Thread { thread, wakes } => {
                let mut found = self.wakes_thread(thread, wakes);
                let count = self.search.space.blocks.len();
                let own = |(_, of): &(usize, &RootOf)| **of == RootOf::Stack(thread);
                for (root, _) in self.roots.iter().enumerate().filter(own) {
                    found.extend(self.leading_to(count + root).map(from));
                }
                Some(found)
            }
        }
    }

    /// What leads to where the thread sleeps.
    fn wakes_thread(&self, thread: usize, wakes: Wakes) -> Vec<u32> {
        let Some(block) = self.search.block_at(wakes.futex) else {
            return Vec::new();
        };
        let is_own = |(_, from, _): Pointer| self.whose(from) == Ok(RootOf::Locals(thread));
        // What stands for the thread itself is copied to stacks when it is spawned, and
        // left there.
        let stands_for_it = self.leading_to(block).any(is_own);
        let wakes = |&(_, from, at): &Pointer| {
            let on_a_stack = matches!(self.whose(from), Ok(RootOf::Stack(_)));
            !(stands_for_it && (on_a_stack || self.is_beside(at, wakes.handle, from)))
        };
        let found = self.leading_to(block).filter(wakes);
        found.map(|(_, from, _)| from).collect()
    }

    /// True if the word lies near `at`, in the same block or root.
    fn is_beside(&self, at: usize, word: usize, from: u32) -> bool {
        let range = self.range(from);
        let near = (HANDLE - 1) * WORD;
        let near = at.saturating_sub(near).max(range.start)..(at + near + WORD).min(range.end);
        words(&near).any(|at| self.read(at) == word)
    }

    fn leading_to(&self, there: usize) -> impl Iterator<Item = Pointer> {
        let there = there as u32;
        let first = self.pointers.partition_point(|&(to, ..)| to < there);
        self.pointers[first..]
            .iter()
            .copied()
            .take_while(move |&(to, ..)| to == there)
    }

    /// Whose a block or root is, or which block it is that is no task's.
    fn whose(&self, from: u32) -> Result<RootOf, usize> {
        let from = from as usize;
        let blocks = self.search.space.blocks.len();
        match from.checked_sub(blocks) {
            Some(root) => Ok(self.roots[root]),
            None => match self.search.task_of[from] {
                Some(task) => Ok(RootOf::Task(task as usize)),
                None => Err(from),
            },
        }
    }

    fn range(&self, from: u32) -> Range<usize> {
        let from = from as usize;
        match from.checked_sub(self.search.space.blocks.len()) {
            Some(root) => self.search.space.roots[root].clone(),
            None => self.search.range(from),
        }
    }

    fn read(&self, at: usize) -> usize {
        (self.search.space.read)(at)
    }
}

/// True if that is the waiter's own.
fn is(party: RootOf, waiter: Waiter) -> bool {
    match (party, waiter) {
        (RootOf::Task(own), Waiter::Task(task)) => own == task,
        (RootOf::Stack(own) | RootOf::Locals(own), Waiter::Thread { thread, .. }) => own == thread,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Task;
    use super::super::memory::{Memory, VTABLE, WORD, block, root, task};
    use super::{RootOf, Waiter, Wakes};

    /// Of the thread at place 0: its variables and its stack; and the stack of another.
    const LOCALS: usize = root(0);
    const STACK: usize = root(1);
    const ROOTS: [RootOf; 4] = [
        RootOf::Locals(0),
        RootOf::Stack(0),
        RootOf::Stack(1),
        RootOf::Nobody,
    ];
    /// What the system calls the thread.
    const HANDLE: usize = LOCALS + 4 * WORD;

    /// So many tasks, of which nothing is known, in the first of these blocks.
    fn memory(tasks: usize, blocks: &[[usize; 4]]) -> Memory {
        let unknown = |number| Task {
            wakers: None,
            ..task(number)
        };
        Memory {
            tasks: (0..tasks).map(unknown).collect(),
            blocks: blocks.to_vec(),
            roots: vec![[0; 4]; ROOTS.len()],
            locks: Vec::new(),
        }
    }

    impl Memory {
        fn keepers(&self, waiter: Waiter) -> Vec<RootOf> {
            self.with(|space| super::keepers(space, &ROOTS, &self.tasks, &[waiter]).remove(0))
        }
    }

    /// The thread at place 0, in a block that stands for it.
    fn sleeps_in(number: usize) -> Waiter {
        let wakes = Wakes {
            futex: block(number) + WORD,
            handle: HANDLE,
        };
        Waiter::Thread { thread: 0, wakes }
    }

    /// A thread that receives from a channel (block 1), which has the thread's own block
    /// (2); a task has the other end.
    fn channel() -> Memory {
        let blocks = [[0, 0, block(1), 0], [1, 1, block(2), 0], [1, 0, 0, 0]];
        let mut memory = memory(1, &blocks);
        memory.roots[0][0] = block(2);
        memory.roots[1][0] = block(1);
        memory
    }

    #[test]
    fn a_task_has_the_other_end() {
        assert_eq!(channel().keepers(sleeps_in(2)), [RootOf::Task(0)]);
    }

    #[test]
    fn a_thread_has_it_too() {
        let mut memory = channel();
        memory.roots[2][1] = block(1);
        let found = memory.keepers(sleeps_in(2));
        assert_eq!(found, [RootOf::Task(0), RootOf::Stack(1)]);
    }

    #[test]
    fn a_static_variable_has_it_too() {
        let mut memory = channel();
        memory.roots[3][1] = block(1);
        let found = memory.keepers(sleeps_in(2));
        assert_eq!(found, [RootOf::Task(0), RootOf::Nobody]);
    }

    #[test]
    fn a_join_handle_wakes_nobody() {
        let mut memory = channel();
        memory.blocks.push([HANDLE, block(2), 0, 0]);
        memory.roots[3] = [block(3), 0, 0, 0];
        assert_eq!(memory.keepers(sleeps_in(2)), [RootOf::Task(0)]);
        // Without the system's name of the thread it is something that unparks it.
        memory.blocks[3][0] = 0;
        let found = memory.keepers(sleeps_in(2));
        assert_eq!(found, [RootOf::Task(0), RootOf::Nobody]);
    }

    #[test]
    fn what_spawning_has_left_on_a_stack_wakes_nobody() {
        let mut memory = channel();
        memory.roots[2][1] = block(2);
        assert_eq!(memory.keepers(sleeps_in(2)), [RootOf::Task(0)]);
        // Not if it is no block of the thread's own: then it may be a condition variable.
        memory.roots[0][0] = 0;
        let found = memory.keepers(sleeps_in(2));
        assert_eq!(found, [RootOf::Stack(1), RootOf::Task(0)]);
    }

    #[test]
    fn a_list_has_a_node_on_its_stack() {
        let memory = memory(1, &[[0, block(1), 0, 0], [1, 1, STACK + WORD, 0]]);
        let wakes = Wakes {
            futex: LOCALS,
            handle: HANDLE,
        };
        let waiter = Waiter::Thread { thread: 0, wakes };
        assert_eq!(memory.keepers(waiter), [RootOf::Task(0)]);
    }

    #[test]
    fn a_task_waits_for_who_has_its_waker() {
        let blocks = [[0; 4], [0, block(2), 0, 0], [1, 1, VTABLE, block(0)]];
        let mut memory = memory(2, &blocks);
        assert_eq!(memory.keepers(Waiter::Task(0)), [RootOf::Task(1)]);
        // Its address alone is no waker; one inside of it is a node.
        memory.blocks[2] = [1, 1, 0, block(0)];
        assert_eq!(memory.keepers(Waiter::Task(0)), []);
        memory.blocks[2] = [1, 1, 0, block(0) + WORD];
        assert_eq!(memory.keepers(Waiter::Task(0)), [RootOf::Task(1)]);
    }

    #[test]
    fn what_many_share_is_nobodys() {
        let mut memory = channel();
        for _ in 0..super::MOST + 1 {
            memory.blocks.push([block(1), 0, 0, 0]);
        }
        assert_eq!(memory.keepers(sleeps_in(2)), [RootOf::Nobody]);
    }
}
