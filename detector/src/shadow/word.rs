//! A shadow cell: one access to some bytes of a granule, in 64 bits.
//!
//! | bits | field |
//! |---|---|
//! | 0–7 | mask: which bytes of the granule |
//! | 8 | read: set if the access only reads |
//! | 9–11 | class: plain, atomic of 1, 2, 4, 8, 16 bytes, volatile |
//! | 12–25 | slot of the thread |
//! | 26–62 | epoch of that slot |
//! | 63 | in the second word only: there may be more in the last two |
//!
//! A granule has four words. A word is empty (zero), a cell, or, with mask zero:
//! - the first word: *reserved* for the first access of the thread that
//!   allocated the memory;
//! - the last: a reference to an overflow list, which holds the cells that do
//!   not fit.
//!
//! The atomic class keeps the size because two atomic accesses of
//! different sizes that overlap do conflict, and cells merge: two neighbouring
//! `AtomicU8` share a cell and are still one byte each.
//!
//! All pure: storing words is the map's business.

use crate::ids::{Epoch, Slot};

/// Bytes that one group of words describes.
pub const GRANULE: usize = 8;

/// Words of a granule: how many accesses it keeps without a list. Two threads
/// that read and write, with different bytes of the granule, need four.
pub const WORDS: usize = 4;

/// Which bytes of a granule: bit n is byte n.
pub type Mask = u8;

const READ_SHIFT: u32 = 8;
const CLASS_SHIFT: u32 = 9;
const SLOT_SHIFT: u32 = 12;
const EPOCH_SHIFT: u32 = SLOT_SHIFT + Slot::BITS;
const CLASS_MASK: u64 = 0b111;
const CLASS_BITS: u64 = CLASS_MASK << CLASS_SHIFT;
const ATOMIC_FIRST: u64 = (Class::Atomic1 as u64) << CLASS_SHIFT;
const ATOMIC_LAST: u64 = (Class::Atomic16 as u64) << CLASS_SHIFT;
const MASK_BITS: u64 = 0xff;
const SLOT_MASK: u64 = (Slot::COUNT as u64 - 1) << SLOT_SHIFT;

const _: () = assert!(EPOCH_SHIFT + Epoch::BITS == MORE.trailing_zeros());

/// Set in the second word of a granule if the last two are in use; no part of
/// a cell.
pub const MORE: u64 = 1 << 63;

/// How memory is touched, besides reading or writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Class {
    /// An ordinary access.
    Plain = 0,
    /// Atomic, of 1 byte.
    Atomic1 = 1,
    /// Atomic, of 2 bytes.
    Atomic2 = 2,
    /// Atomic, of 4 bytes.
    Atomic4 = 3,
    /// Atomic, of 8 bytes.
    Atomic8 = 4,
    /// Atomic, of 16 bytes.
    Atomic16 = 5,
    /// Volatile: a seqlock's speculative read, or device memory.
    Volatile = 6,
}

impl Class {
    const fn from_bits(bits: u64) -> Self {
        match bits & CLASS_MASK {
            0 => Self::Plain,
            1 => Self::Atomic1,
            2 => Self::Atomic2,
            3 => Self::Atomic4,
            4 => Self::Atomic8,
            5 => Self::Atomic16,
            _ => Self::Volatile,
        }
    }

    /// True for the atomic classes.
    pub const fn is_atomic(self) -> bool {
        !matches!(self, Self::Plain | Self::Volatile)
    }

    /// The atomic class of a size in bytes.
    pub const fn atomic(size: usize) -> Self {
        match size {
            1 => Self::Atomic1,
            2 => Self::Atomic2,
            4 => Self::Atomic4,
            8 => Self::Atomic8,
            _ => Self::Atomic16,
        }
    }
}

/// An access: what a cell says besides who and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Access(u64);

impl Access {
    /// A read of this class.
    pub const fn read(class: Class) -> Self {
        Self((1 << READ_SHIFT) | ((class as u64) << CLASS_SHIFT))
    }

    /// A write, or a read-modify-write, of this class.
    pub const fn write(class: Class) -> Self {
        Self((class as u64) << CLASS_SHIFT)
    }

    /// The bits that this access sets in a cell.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// True if it only reads.
    pub const fn is_read(self) -> bool {
        self.0 & (1 << READ_SHIFT) != 0
    }

    /// Its class.
    pub const fn class(self) -> Class {
        Class::from_bits(self.0 >> CLASS_SHIFT)
    }
}

/// Who and when, in the bits of a cell: slot and epoch, the rest zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp(u64);

impl Stamp {
    /// The bits of a cell that are its stamp's.
    pub const BITS: u64 = !((1 << SLOT_SHIFT) - 1);

    /// The stamp of `slot` at `epoch`.
    pub const fn new(slot: Slot, epoch: Epoch) -> Self {
        Self(((slot.index() as u64) << SLOT_SHIFT) | (epoch.get() << EPOCH_SHIFT))
    }

    /// As bits of a cell.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The next epoch of the same slot. The caller retires the slot before
    /// [`Epoch::MAX`].
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + (1 << EPOCH_SHIFT))
    }

    /// The slot.
    pub const fn slot(self) -> Slot {
        Cell(self.0).slot()
    }

    /// The epoch.
    pub const fn epoch(self) -> Epoch {
        Cell(self.0).epoch()
    }
}

/// A word of shadow memory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Cell(u64);

impl Cell {
    /// The empty word.
    pub const EMPTY: Self = Self(0);

    /// The cell of an access.
    #[inline(always)]
    pub const fn new(stamp: Stamp, access: Access, mask: Mask) -> Self {
        Self(stamp.0 | access.0 | mask as u64)
    }

    /// A word as it is stored.
    #[inline(always)]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// As it is stored.
    #[inline(always)]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The word that is reserved for the first access of `stamp`'s slot.
    #[inline(always)]
    pub const fn reserved(stamp: Stamp) -> Self {
        Self((stamp.0 & SLOT_MASK) | (CLASS_MASK << CLASS_SHIFT))
    }

    /// True for a word that says nothing of any byte: empty, reserved, or a
    /// reference.
    #[inline(always)]
    pub const fn says_nothing(self) -> bool {
        self.mask() == 0
    }

    /// The reference to the overflow list number `index`.
    pub const fn overflow(index: u32) -> Self {
        Self((1 << READ_SHIFT) | ((index as u64) << SLOT_SHIFT))
    }

    /// The overflow list that this word refers to.
    #[inline(always)]
    pub const fn as_overflow(self) -> Option<u32> {
        if self.mask() == 0 && self.0 & (1 << READ_SHIFT) != 0 {
            #[expect(clippy::cast_possible_truncation, reason = "built from a u32")]
            Some((self.0 >> SLOT_SHIFT) as u32)
        } else {
            None
        }
    }

    /// True for the empty word.
    #[inline(always)]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The bytes.
    #[inline(always)]
    pub const fn mask(self) -> Mask {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the low 8 bits are the mask"
        )]
        {
            self.0 as u8
        }
    }

    /// The access.
    #[inline(always)]
    pub const fn access(self) -> Access {
        Access(self.0 & (0b1111 << READ_SHIFT))
    }

    /// Who and when.
    #[inline(always)]
    pub const fn stamp(self) -> Stamp {
        Stamp(self.0 & Stamp::BITS)
    }

    /// The slot.
    #[inline(always)]
    pub const fn slot(self) -> Slot {
        Slot::new(((self.0 >> SLOT_SHIFT) & (Slot::COUNT as u64 - 1)) as usize)
    }

    /// The epoch.
    #[inline(always)]
    pub const fn epoch(self) -> Epoch {
        Epoch::new(self.0 >> EPOCH_SHIFT)
    }

    /// The same cell for more bytes.
    #[inline(always)]
    #[must_use]
    pub const fn with_mask(self, mask: Mask) -> Self {
        Self(self.0 | mask as u64)
    }

    /// The same cell without those bytes.
    #[inline(always)]
    #[must_use]
    pub const fn without(self, mask: Mask) -> Self {
        Self(self.0 & !(mask as u64))
    }

    /// What is left of it after a later access `new` of its own thread.
    #[inline(always)]
    #[must_use]
    pub const fn after(self, new: Self) -> Self {
        if self.weaker_or_equal(new) {
            self.without(new.mask())
        } else {
            self
        }
    }

    /// True if, but for its bytes, `self` is superseded by `new`.
    #[inline(always)]
    pub const fn weaker_or_equal(self, new: Self) -> bool {
        self.access().weaker_or_equal(new.access())
    }

    /// True if both are of one slot.
    #[inline(always)]
    pub const fn same_slot(self, other: Self) -> bool {
        (self.0 ^ other.0) & SLOT_MASK == 0
    }

    /// True if both are of one slot and epoch.
    #[inline(always)]
    pub const fn same_stamp(self, other: Self) -> bool {
        (self.0 ^ other.0) >> SLOT_SHIFT == 0
    }

    /// True if both are the same access of one slot and epoch, to whatever
    /// bytes.
    #[inline(always)]
    pub const fn joins(self, other: Self) -> bool {
        (self.0 ^ other.0) >> READ_SHIFT == 0
    }

    /// True if both are the same access of one slot to the same bytes.
    #[inline(always)]
    pub const fn same_but_epoch(self, other: Self) -> bool {
        (self.0 ^ other.0) & ((1 << EPOCH_SHIFT) - 1) == 0
    }

    /// True if both are the same access, to whatever bytes.
    #[inline(always)]
    pub const fn same_access(self, other: Self) -> bool {
        (self.0 ^ other.0) & (0b1111 << READ_SHIFT) == 0
    }

    /// True if this cell already says all that `new` would say: the same
    /// thread and epoch, all its bytes, an access at least as strong.
    #[inline(always)]
    pub const fn says(self, new: Self) -> bool {
        let missing = new.mask() & !self.mask() != 0;
        self.stamp().0 == new.stamp().0 && !missing && new.access().weaker_or_equal(self.access())
    }

    /// True if the two accesses conflict: a common byte, one of them a write,
    /// not both atomic of one size.
    #[inline(always)]
    pub const fn conflicts(self, other: Self) -> bool {
        let both = self.0 & other.0;
        let class = self.0 & CLASS_BITS;
        let atomic = class.wrapping_sub(ATOMIC_FIRST) <= ATOMIC_LAST - ATOMIC_FIRST;
        both & MASK_BITS != 0
            && both & (1 << READ_SHIFT) == 0
            && !(atomic && class == other.0 & CLASS_BITS)
    }

    /// True if, `self` being ordered before `new`, every access that could
    /// race with `self` would be found racing with `new` as well.
    #[inline(always)]
    pub const fn superseded_by(self, new: Self) -> bool {
        self.mask() & !new.mask() == 0 && self.access().weaker_or_equal(new.access())
    }
}

impl Access {
    /// True if every access that conflicts with `self` conflicts with `other`
    /// in a class not lower: a read is weaker than a write, an atomic and a
    /// volatile access weaker than a plain one.
    #[inline(always)]
    const fn weaker_or_equal(self, other: Self) -> bool {
        let (mine, theirs) = (self.0 & CLASS_BITS, other.0 & CLASS_BITS);
        let weaker = other.0 & !self.0 & (1 << READ_SHIFT) == 0;
        weaker && (mine == theirs || theirs == (Class::Plain as u64) << CLASS_SHIFT)
    }
}

impl std::fmt::Debug for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_empty() {
            return f.write_str("empty");
        }
        if let Some(index) = self.as_overflow() {
            return write!(f, "overflow({index})");
        }
        write!(
            f,
            "{}{:?}[{:08b}]@{}.{}",
            if self.access().is_read() { "r" } else { "w" },
            self.access().class(),
            self.mask(),
            self.slot().index(),
            self.epoch().get()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(slot: usize, epoch: u64, access: Access, mask: Mask) -> Cell {
        Cell::new(Stamp::new(Slot::new(slot), Epoch::new(epoch)), access, mask)
    }

    #[test]
    fn fields_come_back_at_their_limits() {
        let access = Access::read(Class::Volatile);
        let it = cell(Slot::COUNT - 1, Epoch::MAX.get(), access, 0xff);
        assert_eq!(it.slot().index(), Slot::COUNT - 1);
        assert_eq!(it.epoch(), Epoch::MAX);
        assert_eq!(it.access(), access);
        assert_eq!(it.mask(), 0xff);
        assert_eq!(it.as_overflow(), None);
        assert_eq!(Cell::overflow(u32::MAX).as_overflow(), Some(u32::MAX));
        assert_eq!(Cell::overflow(0).as_overflow(), Some(0));
        assert_eq!(Cell::EMPTY.as_overflow(), None);
        let reserved = Cell::reserved(it.stamp());
        assert!(reserved.says_nothing() && reserved.same_slot(it));
        assert_eq!(reserved.as_overflow(), None);
    }

    #[test]
    fn neighbouring_bytes_do_not_conflict() {
        let write = Access::write(Class::Plain);
        assert!(!cell(1, 1, write, 0b0001).conflicts(cell(2, 1, write, 0b0010)));
        assert!(cell(1, 1, write, 0b0011).conflicts(cell(2, 1, write, 0b0010)));
    }

    #[test]
    fn atomics_conflict_with_plain_accesses_and_with_other_sizes() {
        let a4 = cell(1, 1, Access::write(Class::Atomic4), 0x0f);
        assert!(!a4.conflicts(cell(2, 1, Access::write(Class::Atomic4), 0x0f)));
        assert!(!a4.conflicts(cell(2, 1, Access::read(Class::Atomic4), 0x0f)));
        assert!(a4.conflicts(cell(2, 1, Access::read(Class::Plain), 0x0f)));
        assert!(a4.conflicts(cell(2, 1, Access::write(Class::Atomic8), 0xff)));
        assert!(a4.conflicts(cell(2, 1, Access::write(Class::Atomic1), 0x01)));
        assert!(!a4.conflicts(cell(2, 1, Access::write(Class::Atomic4), 0xf0)));
    }

    #[test]
    fn only_stronger_accesses_supersede() {
        let read = cell(1, 1, Access::read(Class::Plain), 0x0f);
        let write = cell(1, 2, Access::write(Class::Plain), 0xff);
        let atomic = cell(1, 3, Access::write(Class::Atomic8), 0xff);
        assert!(read.superseded_by(write));
        assert!(!write.superseded_by(read));
        assert!(!read.superseded_by(atomic));
        assert!(atomic.superseded_by(write));
    }
}
