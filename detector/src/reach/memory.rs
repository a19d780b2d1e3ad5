//! Memory to search in tests: heap blocks and roots of four words each.

use super::{Block, Lock, Reach, Space, Task, unreachable};

pub const WORD: usize = size_of::<usize>();
/// Functions of a waker.
pub const VTABLE: usize = 0x1000;
/// The first root.
pub const ROOT: usize = root(0);

const WORDS: usize = 4;

/// Where a block is, of which the first are those of tasks.
pub const fn block(number: usize) -> usize {
    0x10000 * (number + 1)
}

/// Where a root is.
pub const fn root(number: usize) -> usize {
    0x100 * (number + 1)
}

/// The task in this block, which waits and has one waker.
pub const fn task(number: usize) -> Task {
    Task {
        waker: [VTABLE, block(number)],
        data_word: 1,
        waits: true,
        wakers: Some(1),
        joined_by: None,
        lock: None,
    }
}

/// What is searched.
#[derive(Debug, Default)]
pub struct Memory {
    pub tasks: Vec<Task>,
    pub blocks: Vec<[usize; WORDS]>,
    pub roots: Vec<[usize; WORDS]>,
    pub locks: Vec<Lock>,
}

impl Memory {
    fn read(&self, at: usize) -> usize {
        let (words, first) = if at < block(0) {
            (&self.roots, root(0))
        } else {
            (&self.blocks, block(0))
        };
        words[at / first - 1][at % first / WORD]
    }

    /// Calls `f` with all of it.
    pub fn with<T>(&self, f: impl FnOnce(&Space<'_, &dyn Fn(usize) -> usize>) -> T) -> T {
        let size = WORDS * WORD;
        let blocks: Vec<Block> = (0..self.blocks.len())
            .map(|number| Block {
                start: block(number),
                size,
            })
            .collect();
        let roots: Vec<_> = (0..self.roots.len())
            .map(|number| root(number)..root(number) + size)
            .collect();
        f(&Space {
            blocks: &blocks,
            roots: &roots,
            locks: &self.locks,
            read: &|at| self.read(at),
        })
    }

    /// What leads to each task.
    pub fn unreachable(&self) -> Vec<Reach> {
        self.with(|space| unreachable(space, &self.tasks))
    }
}
