//! Four granules at a time: the front words of 32 bytes of the program lie in
//! one cache line. In memory that is filled, copied and freed as a whole they
//! are alike.

use std::sync::atomic::Ordering;

use super::{HALF, Pair, front};
use crate::shadow::word::GRANULE;

/// Granules of a line.
const GRANULES: usize = 4;
/// Bytes of the program that a line describes, and their alignment.
pub const LINE: usize = GRANULES * GRANULE;

/// The front words of the granules of the line at `addr`.
///
/// # Safety
/// `addr` is a multiple of [`LINE`], and [`covers`](super::covers) holds for all
/// of the line.
#[inline(always)]
unsafe fn line(addr: usize) -> &'static [Pair; GRANULES] {
    // SAFETY: as the caller says; the image of a line is contiguous, and aligned
    // as the line is.
    unsafe { &*std::ptr::from_ref(front(addr)).cast() }
}

/// The words of the first granule of the line at `addr`.
///
/// # Safety
/// As for [`line`].
#[inline(always)]
pub unsafe fn first(addr: usize) -> [u64; HALF] {
    // SAFETY: as the caller says.
    let [first, second] = &unsafe { line(addr) }[0];
    [first, second].map(|word| word.load(Ordering::Relaxed))
}

/// The words of each granule of the line at `addr`, if all have the same.
///
/// # Safety
/// As for [`line`].
#[inline(always)]
pub unsafe fn alike(addr: usize) -> Option<[u64; HALF]> {
    // SAFETY: as the caller says.
    let words = unsafe { first(addr) };
    // SAFETY: as the caller says.
    unsafe { all_are(addr, words) }.then_some(words)
}

/// True if all granules of the line at `addr` have these words.
///
/// # Safety
/// As for [`line`].
#[inline(always)]
pub unsafe fn all_are(addr: usize, words: [u64; HALF]) -> bool {
    let mut differs = 0;
    // SAFETY: as the caller says.
    for granule in unsafe { line(addr) } {
        for (word, like) in granule.iter().zip(words) {
            differs |= word.load(Ordering::Relaxed) ^ like;
        }
    }
    differs == 0
}

/// Stores a word in all granules of the line at `addr`: the first, or the
/// second.
///
/// # Safety
/// As for [`line`].
#[inline(always)]
pub unsafe fn fill(addr: usize, index: usize, word: u64) {
    // SAFETY: as the caller says.
    for granule in unsafe { line(addr) } {
        granule[index % HALF].store(word, Ordering::Relaxed);
    }
}

/// As [`fill`], in those granules that still have `old` there.
///
/// # Safety
/// As for [`line`].
#[inline(always)]
pub unsafe fn swap(addr: usize, index: usize, old: u64, new: u64) {
    // SAFETY: as the caller says.
    for granule in unsafe { line(addr) } {
        let word = &granule[index % HALF];
        // What came meanwhile stays.
        let _ = word.compare_exchange(old, new, Ordering::SeqCst, Ordering::Relaxed);
    }
}
