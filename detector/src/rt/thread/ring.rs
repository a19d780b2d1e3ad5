//! The history ring of a slot, as its threads write it; what the words say is
//! [`crate::history`]'s.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::history::{PART_WORDS, SNAPSHOT_FRAMES};
use crate::ids::Slot;
use crate::rt::sys;

/// Parts of a ring at most.
const PARTS: usize = 32;

/// Parts of the ring of a slot beyond [`FEW`]: where there are so many threads,
/// few of them do much, and their histories must not fill the memory.
const PARTS_OF_MANY: usize = 8;

/// Slots with a whole ring.
const FEW: usize = 256;

/// A part with less left than that is not gone on with by another thread: half
/// of one, so that what the thread repeats at its beginning fits.
const LEAST_REST: usize = PART_WORDS / 2;

const _: () = assert!(LEAST_REST > SNAPSHOT_FRAMES + 64);

/// The history ring of a slot. It outlives the threads that have the slot.
#[repr(C)]
pub struct Ring {
    words: [[u64; PART_WORDS]; PARTS],
    /// How many of them are used.
    parts: usize,
    /// Which part is being written; parts written so far, in all.
    turn: AtomicUsize,
}

impl Ring {
    /// A new ring for this slot, or null.
    pub fn map(slot: Slot) -> *mut Self {
        let ring: *mut Self = sys::map(size_of::<Self>()).cast();
        if !ring.is_null() {
            let parts = if slot.index() < FEW {
                PARTS
            } else {
                PARTS_OF_MANY
            };
            // SAFETY: nobody else has it yet.
            unsafe { (*ring).parts = parts };
        }
        ring
    }

    /// What is left of the part that was written last, if that is worth while:
    /// threads that end soon share a part, and what is never written takes no
    /// memory.
    ///
    /// # Safety
    /// The ring is one that [`Ring::map`] made, and nobody else writes it.
    pub unsafe fn rest(ring: *const Self) -> Option<Range<*mut u64>> {
        // SAFETY: as the caller says.
        let part = part(ring, unsafe { &(*ring).turn }.load(Ordering::Relaxed));
        // SAFETY: the words of the part; what is written ends with a zero.
        let written = (0..PART_WORDS).position(|index| unsafe { part.add(index).read() } == 0)?;
        // SAFETY: both are in the part, or at its end.
        let rest = unsafe { part.add(written)..part.add(PART_WORDS) };
        (written <= PART_WORDS - LEAST_REST).then_some(rest)
    }

    /// The next part, which is the current one from now on.
    ///
    /// # Safety
    /// As [`Ring::rest`].
    pub unsafe fn turn_over(ring: *mut Self) -> Range<*mut u64> {
        // SAFETY: as the caller says.
        let turn = unsafe { &(*ring).turn };
        let next = turn.load(Ordering::Relaxed) + 1;
        let part = part(ring, next);
        // SAFETY: nobody copies the part before its turn.
        unsafe { part.write(0) };
        turn.store(next, Ordering::Release);
        // SAFETY: the part is `PART_WORDS` long.
        unsafe { part..part.add(PART_WORDS) }
    }

    /// A copy of all whole parts and of the one being written, oldest first.
    /// Another thread may be writing: what it overwrites meanwhile is left out.
    ///
    /// # Safety
    /// The ring is one that [`Ring::map`] made.
    pub unsafe fn copy(ring: *const Self) -> Vec<u64> {
        // SAFETY: rings stay mapped for good; the words are read one by one.
        let (turn, parts) = unsafe { (&(*ring).turn, (*ring).parts) };
        let last = turn.load(Ordering::Acquire);
        let first = last.saturating_sub(parts - 2);
        let mut copies = Vec::new();
        for part in first..=last {
            let at = self::part(ring, part);
            // SAFETY: `at` is a part of the ring; volatile, since it may change.
            let words = (0..PART_WORDS).map(|i| unsafe { at.add(i).read_volatile() });
            copies.push((part, words.collect::<Vec<_>>()));
        }
        let oldest = turn.load(Ordering::Acquire).saturating_sub(parts - 2);
        copies
            .into_iter()
            .filter(|(part, _)| *part >= oldest)
            .flat_map(|(_, words)| words.into_iter().take_while(|word| *word != 0))
            .collect()
    }
}

/// The first word of a part.
fn part(ring: *const Ring, part: usize) -> *mut u64 {
    // SAFETY: rings stay mapped for good, and this one has no more parts than
    // `words`; no reference is made.
    unsafe {
        let index = part % (*ring).parts;
        (&raw const (*ring).words)
            .cast::<u64>()
            .add(index * PART_WORDS)
            .cast_mut()
    }
}

/// Writes words at the end of a history, and returns where the next one goes:
/// who copies the part sees all of them or none, and a zero behind them.
///
/// # Safety
/// The part has room for them, and for one more.
#[inline(always)]
pub unsafe fn put<const COUNT: usize>(at: *mut u64, words: [u64; COUNT]) -> *mut u64 {
    // SAFETY: as the caller says. The first word is written last, in place of
    // the zero at the end.
    unsafe {
        let end = at.add(COUNT);
        end.write(0);
        for index in (1..COUNT).rev() {
            at.add(index).write(words[index]);
        }
        AtomicU64::from_ptr(at).store(words[0], Ordering::Release);
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history;
    use crate::ids::Epoch;
    use crate::report::wire::{AccessOp, ThreadId};
    use crate::rt::thread::Thread;
    use crate::shadow::word::{Access, Cell, Class};

    #[test]
    fn a_copy_ends_with_what_was_written_last() {
        copy_ends_with_the_last(Slot::new(0));
        copy_ends_with_the_last(Slot::new(FEW));
    }

    fn copy_ends_with_the_last(slot: Slot) {
        let mut thread = Thread::new(1 << 16);
        thread.clocks.start(slot, Epoch::new(1), &[]);
        let ring = Ring::map(slot);
        thread.start(ThreadId(1), ring);
        let write = Access::write(Class::Plain);
        for addr in 1..2 * PARTS * PART_WORDS {
            thread.log(0x50, write, AccessOp::Write, addr, 1);
            if addr % 999 == 0 {
                // SAFETY: made by `map`.
                let words = unsafe { Ring::copy(ring) };
                let last = history::access(0x50, write, AccessOp::Write, addr, 1);
                assert!(words.ends_with(&last), "{addr}");
                let oldest = words.iter().rposition(|word| *word >> 60 == 4);
                assert!(oldest.is_some_and(|part| words.len() - part <= PART_WORDS));
            }
        }
    }

    #[test]
    fn threads_that_end_soon_share_a_part() {
        let ring = Ring::map(Slot::new(0));
        let write = Access::write(Class::Plain);
        let mut copies = Vec::new();
        for id in 1..=3 {
            let mut thread = Thread::new(1 << 16);
            let epoch = Epoch::new(id.into());
            thread.clocks.start(Slot::new(0), epoch, &[]);
            thread.start(ThreadId(id), ring);
            thread.log(0x50, write, AccessOp::Write, id as usize * 8, 1);
            // SAFETY: made by `map`.
            copies.push((thread.stamp_value(), unsafe { Ring::copy(ring) }));
        }
        // SAFETY: as above.
        let words = unsafe { Ring::copy(ring) };
        for (at, (stamp, then)) in copies.into_iter().enumerate() {
            assert!(words.starts_with(&then));
            let cell = Cell::new(stamp, write, 1);
            let restored = history::restore(&words, cell, (at + 1) * 8);
            assert_eq!(restored.map(|then| then.thread.0), Some(at as u32 + 1));
        }
        // SAFETY: as above.
        assert_eq!(unsafe { &(*ring).turn }.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_part_that_is_half_full_is_left() {
        let ring = Ring::map(Slot::new(0));
        let write = Access::write(Class::Plain);
        let mut thread = Thread::new(1 << 16);
        thread.clocks.start(Slot::new(0), Epoch::new(1), &[]);
        thread.start(ThreadId(1), ring);
        for addr in 0..PART_WORDS / 4 {
            thread.log(0x50, write, AccessOp::Write, addr * 8, 1);
        }
        // SAFETY: made by `map`.
        let turn = || unsafe { &(*ring).turn }.load(Ordering::Relaxed);
        assert_eq!(turn(), 0);
        thread.start(ThreadId(2), ring);
        assert_eq!(turn(), 1);
    }
}
