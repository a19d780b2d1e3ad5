//! A second look at cells that replaced another thread's.

use std::sync::atomic::Ordering;

use super::{Seen, contended};
use crate::report::wire::AccessOp;
use crate::rt::thread::Thread;
use crate::shadow::overflow;
use crate::shadow::word::{Cell, MORE};

/// Cells looked at again in one go.
const CELLS: usize = 32;

/// A cell that took the place of another thread's.
#[derive(Debug, Clone, Copy)]
struct Stored {
    at: usize,
    cell: Cell,
    pc: u64,
}

/// The cells of a thread that it is to look at again before its next release.
#[derive(Debug)]
pub struct Again {
    cells: [Stored; CELLS],
    len: usize,
}

impl Default for Again {
    fn default() -> Self {
        let nothing = Stored {
            at: 0,
            cell: Cell::EMPTY,
            pc: 0,
        };
        Self {
            cells: [nothing; CELLS],
            len: 0,
        }
    }
}

impl Again {
    /// True if there is none.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets them all.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// One more, in the granule at `at`. If there is no room left, the older
    /// ones are old enough: the store that could have destroyed them has long
    /// been seen.
    #[inline]
    pub fn push(&mut self, at: usize, cell: Cell, pc: u64) {
        self.cells[self.len % CELLS] = Stored { at, cell, pc };
        self.len += 1;
    }
}

/// Records anew what a plain store of another thread has destroyed.
#[inline(never)]
pub fn look_again(thread: &mut Thread) {
    let last = thread.again.len;
    for index in last.saturating_sub(CELLS)..last {
        let Stored { at, cell, pc } = thread.again.cells[index % CELLS];
        // SAFETY: what was recorded there is covered.
        let places = unsafe { super::words(at) };
        let (words, more) = super::load(places);
        let unseen = !(words[2].is_empty() && words[super::LAST].is_empty());
        if more == 0 && unseen {
            places[1].fetch_or(MORE, Ordering::Relaxed);
        }
        let said = |there: &Cell| there.same_slot(cell) && there.says(cell);
        let here = words.iter().any(said)
            || words[super::LAST]
                .as_overflow()
                .is_some_and(|list| overflow::find(list, |there| said(&there)).is_some());
        if here {
            continue;
        }
        let access = cell.access();
        let seen = Seen {
            addr: at + cell.mask().trailing_zeros() as usize,
            size: cell.mask().count_ones() as usize,
            access,
            op: if access.is_read() {
                AccessOp::Read
            } else {
                AccessOp::Write
            },
            pc,
        };
        contended(thread, at, cell, seen, true);
    }
    thread.again.clear();
}
