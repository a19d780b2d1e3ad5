//! The history of a slot: a ring of events from which the stack of an earlier
//! access is restored, as in ThreadSanitizer's trace (LLVM,
//! `tsan_trace.h`).
//!
//! Differences: function entries and exits are not logged when they happen
//! but when an access needs them, as the difference between the shadow stack
//! now and the one last logged; an access is logged only when it changes
//! shadow memory. A loop over calls that touch nothing new logs nothing.
//!
//! The ring is made of parts. Each begins with the thread, the epoch and the
//! whole shadow stack, so that the oldest part left can be replayed alone.
//! What it misses: an access whose part was overwritten has no stack any more
//! (the report says so).
//!
//! Words, the tag in the top 4 bits:
//!
//! | tag | payload |
//! |---|---|
//! | 1 push | pc of the call |
//! | 2 pop | number of frames |
//! | 3 epoch | epoch of the slot |
//! | 4 thread | number of the thread that has the slot; the stack is empty |
//! | 5 access | op (4 bits), access bits (4), pc (48); then address and size |
//! | 7 time | microseconds of the monotonic clock: what follows came later |
//! | 6 locks | how many the thread holds from here on; then for each its address and whether it is shared, and where it was taken |
//!
//! No word of an event is zero: a zero ends what is written of a part.
//!
//! This module is the pure part: encoding and replay over a slice.

use crate::ids::{Epoch, StackId};
use crate::report::wire::{AccessOp, Period, Stack, ThreadId};
use crate::shadow::word::{Access, Cell, GRANULE};

const TAG_SHIFT: u32 = 60;
const PC_MASK: u64 = (1 << 48) - 1;
const SIZE_SHIFT: u32 = 48;
const SHARED: u64 = 1 << 63;
/// In the second word of a lock, so that it is not zero.
const TAKEN: u64 = 1 << 63;

/// Words of one part.
pub const PART_WORDS: usize = 2048;

/// Frames of the shadow stack that a part's beginning repeats.
pub const SNAPSHOT_FRAMES: usize = 512;

/// The word for a call at `pc`.
#[inline]
pub const fn push(pc: u64) -> u64 {
    (1 << TAG_SHIFT) | (pc & PC_MASK)
}

/// The word for `frames` returns.
#[inline]
pub const fn pop(frames: usize) -> u64 {
    (2 << TAG_SHIFT) | frames as u64
}

/// The word for a new epoch.
#[inline]
pub const fn epoch(epoch: Epoch) -> u64 {
    (3 << TAG_SHIFT) | epoch.get()
}

/// The word for a moment, in microseconds.
#[inline]
pub const fn time(us: u64) -> u64 {
    (7 << TAG_SHIFT) | (us & PC_MASK)
}

/// Whether a thread that begins this epoch notes when: at first always, then
/// now and then, since asking for the time costs more than an access.
#[inline]
pub const fn is_noted(epoch: Epoch) -> bool {
    epoch.get() < 64 || epoch.get().is_multiple_of(64)
}

/// The word for a thread that takes the slot.
#[inline]
pub const fn thread(id: ThreadId) -> u64 {
    (4 << TAG_SHIFT) | id.0 as u64
}

/// The two words of an access. A size of 65535 or more is stored as that.
#[inline]
pub const fn access(pc: u64, access: Access, op: AccessOp, addr: usize, size: usize) -> [u64; 2] {
    let kind = access.bits() >> 8;
    let size = if size > 0xffff { 0xffff } else { size };
    [
        (5 << TAG_SHIFT) | ((op as u64) << 56) | (kind << 52) | (pc & PC_MASK),
        (addr as u64 & PC_MASK) | ((size as u64) << SIZE_SHIFT),
    ]
}

/// The word for the locks that a thread holds from now on, before two words
/// for each.
#[inline]
pub const fn locks(count: usize) -> u64 {
    (6 << TAG_SHIFT) | count as u64
}

/// The two words of a lock.
#[inline]
pub const fn lock(held: HeldThen) -> [u64; 2] {
    let shared = if held.shared { SHARED } else { 0 };
    [(held.addr & PC_MASK) | shared, TAKEN | held.stack.0 as u64]
}

/// A lock that a thread held at an earlier access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldThen {
    /// Address of the lock word.
    pub addr: u64,
    /// Read lock.
    pub shared: bool,
    /// Where it was taken.
    pub stack: StackId,
}

/// An earlier access, restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The thread that had the slot.
    pub thread: ThreadId,
    /// Its stack, innermost first.
    pub stack: Stack,
    /// What the access did.
    pub op: AccessOp,
    /// Its first byte.
    pub addr: u64,
    /// Its bytes.
    pub size: u64,
    /// The locks that the thread held.
    pub locks: Vec<HeldThen>,
    /// Between which moments it was, as far as they were noted.
    pub during: Option<Period>,
}

/// Finds the last access in `words` (the parts of a ring, oldest first) that
/// `cell`, found at `granule`, records.
pub fn restore(words: &[u64], cell: Cell, granule: usize) -> Option<Restored> {
    let mut stack: Vec<u64> = Vec::new();
    let mut now = Epoch::ZERO;
    let mut owner = ThreadId(0);
    let mut held: Vec<HeldThen> = Vec::new();
    let mut noted = None;
    let mut found: Option<Restored> = None;
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        let payload = word & PC_MASK;
        match word >> TAG_SHIFT {
            1 => stack.push(payload),
            2 => stack.truncate(stack.len().saturating_sub(payload as usize)),
            3 => now = Epoch::new(payload),
            7 => {
                noted = Some(payload);
                let open = found.as_mut().and_then(|found| found.during.as_mut());
                if let Some(during) = open {
                    during.until_us.get_or_insert(payload);
                }
            }
            4 => {
                owner = ThreadId(u32::try_from(payload).unwrap_or(u32::MAX));
                stack.clear();
                held.clear();
            }
            6 => {
                let lock = |words: &mut dyn Iterator<Item = u64>| {
                    let (place, stack) = (words.next()?, words.next()?);
                    Some(HeldThen {
                        addr: place & PC_MASK,
                        shared: place & SHARED != 0,
                        stack: StackId(u32::try_from(stack & !TAKEN).ok()?),
                    })
                };
                held = (0..payload).map_while(|_| lock(&mut words)).collect();
            }
            5 => {
                let Some(place) = words.next() else { break };
                if now != cell.epoch() || !matches(word, place, cell, granule) {
                    continue;
                }
                let frames = std::iter::once(payload).chain(stack.iter().rev().copied());
                found = Some(Restored {
                    thread: owner,
                    stack: frames.map(|pc| pc.saturating_sub(1)).collect(),
                    op: match (word >> 56) & 0xf {
                        0 => AccessOp::Read,
                        1 => AccessOp::Write,
                        2 => AccessOp::Free,
                        _ => AccessOp::Return,
                    },
                    addr: place & PC_MASK,
                    size: place >> SIZE_SHIFT,
                    locks: held.clone(),
                    during: noted.map(|from_us| Period {
                        from_us,
                        until_us: None,
                    }),
                });
            }
            _ => {}
        }
    }
    found
}

/// True if the event says what the cell says: same access, a common byte.
fn matches(word: u64, place: u64, cell: Cell, granule: usize) -> bool {
    if (word >> 52) & 0xf != cell.access().bits() >> 8 {
        return false;
    }
    let first = (place & PC_MASK) as usize;
    let end = match place >> SIZE_SHIFT {
        0xffff => usize::MAX,
        size => first.saturating_add(size as usize),
    };
    (0..GRANULE)
        .any(|byte| cell.mask() & (1 << byte) != 0 && (first..end).contains(&(granule + byte)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Slot;
    use crate::shadow::word::{Class, Stamp};

    const WRITE: Access = Access::write(Class::Plain);

    fn cell(time: u64, mask: u8) -> Cell {
        Cell::new(Stamp::new(Slot::new(3), Epoch::new(time)), WRITE, mask)
    }

    #[test]
    fn the_stack_of_the_last_matching_access_comes_back() {
        let [a, b] = access(0x50, WRITE, AccessOp::Write, 0x1000, 8);
        let [c, d] = access(0x60, WRITE, AccessOp::Write, 0x1000, 8);
        let words = [
            thread(ThreadId(7)),
            epoch(Epoch::new(4)),
            push(0x11),
            push(0x21),
            a,
            b,
            pop(1),
            push(0x31),
            c,
            d,
            epoch(Epoch::new(5)),
            a,
            b,
        ];
        let restored = restore(&words, cell(4, 0xff), 0x1000).expect("it is there");
        assert_eq!(restored.thread, ThreadId(7));
        assert_eq!(restored.stack, [0x5f, 0x30, 0x10]);
        assert_eq!(restore(&words, cell(6, 0xff), 0x1000), None);
        assert_eq!(restore(&words, cell(4, 0xff), 0x1008), None);
    }

    #[test]
    fn an_access_comes_back_with_the_locks_of_then() {
        let lock_at = |addr| HeldThen {
            addr,
            shared: addr == 0x80,
            stack: StackId(addr as u32),
        };
        let [a, b] = access(0x50, WRITE, AccessOp::Write, 0x1000, 8);
        let [c, d] = lock(lock_at(0x80));
        let [e, f] = lock(lock_at(0x90));
        let words = [
            thread(ThreadId(7)),
            epoch(Epoch::new(4)),
            locks(2),
            c,
            d,
            e,
            f,
            a,
            b,
            epoch(Epoch::new(5)),
            locks(0),
            a,
            b,
        ];
        let held = |time| restore(&words, cell(time, 0xff), 0x1000).map(|found| found.locks);
        assert_eq!(held(4), Some(vec![lock_at(0x80), lock_at(0x90)]));
        assert_eq!(held(5), Some(vec![]));
    }

    #[test]
    fn an_access_lies_between_the_moments_that_were_noted() {
        let [a, b] = access(0x50, WRITE, AccessOp::Write, 0x1000, 8);
        let words = [
            thread(ThreadId(7)),
            time(10),
            epoch(Epoch::new(4)),
            a,
            b,
            time(20),
            epoch(Epoch::new(5)),
            a,
            b,
            time(30),
        ];
        let during = |words: &[u64], at| {
            restore(words, cell(at, 0xff), 0x1000).and_then(|found| found.during)
        };
        let period = |from_us, until_us| Some(Period { from_us, until_us });
        assert_eq!(during(&words, 4), period(10, Some(20)));
        assert_eq!(during(&words, 5), period(20, Some(30)));
        assert_eq!(during(&words[..words.len() - 1], 5), period(20, None));
        assert_eq!(during(&words[2..5], 4), None);
        assert!(is_noted(Epoch::new(5)) && is_noted(Epoch::new(192)));
        assert!(!is_noted(Epoch::new(160)));
    }

    #[test]
    fn a_range_covers_its_granules() {
        let [a, b] = access(0x50, WRITE, AccessOp::Free, 0x1004, 24);
        let words = [thread(ThreadId(1)), epoch(Epoch::new(1)), a, b];
        assert_eq!(restore(&words, cell(1, 0x0f), 0x1000), None);
        let hit = restore(&words, cell(1, 0xf0), 0x1000).expect("its last 4 bytes");
        assert_eq!(hit.op, AccessOp::Free);
        assert!(restore(&words, cell(1, 0xff), 0x1018).is_some());
        assert_eq!(restore(&words, cell(1, 0xf0), 0x1018), None);
    }
}
