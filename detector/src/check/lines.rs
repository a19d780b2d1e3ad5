//! Ranges of memory whose granules are alike, four granules at a time.
//!
//! What is answered here is what would be answered of each granule.

use std::ops::Range;
use std::sync::atomic::Ordering;

use super::end::harmless;
use super::small::quick;
use crate::rt::thread::Thread;
use crate::shadow::map::{HALF, line};
use crate::shadow::word::{Cell, MORE};

/// Bytes from which on it is worth while.
const LONG: usize = 4 * line::LINE;

/// True if it is worth while to look at the lines of a range of that many bytes.
#[inline(always)]
pub const fn is_long(size: usize) -> bool {
    size >= LONG
}

/// True if a line of the range begins at `at`.
#[inline(always)]
pub fn begins(at: usize, range: &Range<usize>) -> bool {
    at >= range.start && at.is_multiple_of(line::LINE)
}

/// Goes from `at` on through the lines of a range, as long as all granules
/// of a line have the same front words and there is an answer to these, with
/// which `store` is called for each. Returns where that ends.
#[inline(always)]
fn each<A>(
    mut at: usize,
    range: &Range<usize>,
    answer: impl Fn(usize, [u64; HALF]) -> Option<A>,
    store: impl Fn(usize, [u64; HALF], &A),
) -> usize {
    while at + line::LINE <= range.end {
        // SAFETY: a line of the range, which the caller knows to be covered.
        let Some(words) = (unsafe { line::alike(at) }) else {
            break;
        };
        let Some(answer) = answer(at, words) else {
            break;
        };
        loop {
            store(at, words, &answer);
            at += line::LINE;
            // SAFETY: as above.
            if at + line::LINE > range.end || !unsafe { line::all_are(at, words) } {
                break;
            }
        }
    }
    at
}

/// Skips the lines from `at` on that say `new`, an access to whole granules,
/// already.
#[inline(never)]
pub fn skip_recorded(at: usize, range: &Range<usize>, new: Cell) -> usize {
    let said = |_, words: [u64; HALF]| {
        let [first, second] = [words[0], words[1] & !MORE].map(Cell::from_bits);
        (first.says(new) || second.says(new)).then_some(())
    };
    each(at, range, said, |_, _, &()| {})
}

/// Records `new`, an access to whole granules which is in the history, in the
/// lines from `at` on where that is easy: as [`quick`] does it in the first
/// granule of those that are alike.
#[inline(never)]
pub fn take(thread: &Thread, at: usize, range: &Range<usize>, new: Cell) -> usize {
    let answer = |at, words: [u64; HALF]| {
        // SAFETY: a line of the range, which the caller knows to be covered.
        let (word, cell) = unsafe { quick(thread, at, new) }?;
        word.store(cell.bits(), Ordering::Relaxed);
        // SAFETY: as above.
        let becomes = unsafe { line::first(at) };
        let expected = |(word, becomes): (u64, u64)| {
            let [cell, becomes] = [word, becomes].map(Cell::from_bits);
            let freed = becomes == Cell::reserved(cell.stamp());
            cell == becomes || cell.same_slot(new) || freed
        };
        let known = words.into_iter().zip(becomes).all(expected);
        known.then_some(becomes)
    };
    each(at, range, answer, |at, words, &becomes| {
        for (index, (word, becomes)) in words.into_iter().zip(becomes).enumerate() {
            if word == becomes {
                continue;
            }
            // SAFETY: a line of the range, which the caller knows to be covered.
            unsafe {
                if Cell::from_bits(word).same_slot(new) {
                    line::fill(at, index, becomes);
                } else {
                    line::swap(at, index, word, becomes);
                }
            }
        }
    })
}

/// Keeps the end of memory, `end`, in the lines from `at` on where it races with
/// neither of two cells.
#[inline(never)]
pub fn end(thread: &Thread, at: usize, range: &Range<usize>, end: Cell) -> usize {
    let few = |_, words: [u64; HALF]| {
        let harmless = |word| harmless(thread, Cell::from_bits(word), end);
        (words[1] & MORE == 0 && words.into_iter().all(harmless)).then_some(())
    };
    each(at, range, few, |at, words, &()| {
        reset(at, words, [end, Cell::EMPTY]);
    })
}

/// Reserves fresh memory, in the lines from `at` on with two cells at most, for
/// this thread and for the one that had it last.
#[inline(never)]
pub fn fresh(thread: &Thread, at: usize, range: &Range<usize>) -> usize {
    let mine = Cell::from_bits(thread.reserved());
    let answer = |_, [first, second]: [u64; HALF]| {
        let first = Cell::from_bits(first);
        let other = if first.is_empty() || first.same_slot(mine) {
            Cell::EMPTY
        } else {
            Cell::reserved(first.stamp())
        };
        (second & MORE == 0).then_some([mine, other])
    };
    each(at, range, answer, |at, words, &cells| {
        reset(at, words, cells)
    })
}

/// Gives the granules of a line new words.
#[inline(always)]
fn reset(at: usize, words: [u64; HALF], cells: [Cell; HALF]) {
    // SAFETY: the callers give a line that is covered.
    unsafe {
        line::fill(at, 0, cells[0].bits());
        if words[1] != cells[1].bits() {
            line::fill(at, 1, cells[1].bits());
        }
    }
}
