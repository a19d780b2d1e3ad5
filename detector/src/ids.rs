//! Newtypes for the indices of the engine.
//!
//! A [`Slot`] is an index into vector clocks and is reused once its thread is
//! over; a thread's number ([`crate::report::wire::ThreadId`]) never is.

/// Index of a component of the vector clocks. Fits in [`Slot::BITS`] bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u16);

impl Slot {
    /// Bits of a slot in a shadow cell.
    pub const BITS: u32 = 14;
    /// Number of slots.
    pub const COUNT: usize = 1 << Self::BITS;

    /// The slot with this index.
    ///
    /// # Panics
    /// If `index` is not below [`Slot::COUNT`].
    pub const fn new(index: usize) -> Self {
        assert!(index < Self::COUNT, "slot out of range");
        #[expect(
            clippy::cast_possible_truncation,
            reason = "below 2^14 by the assertion"
        )]
        Self(index as u16)
    }

    /// As an index into a clock.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Logical time of one slot: it advances at every release operation, never
/// wraps (a slot whose time is used up is retired, see [`Epoch::MAX`]), and
/// goes on when the slot is reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(u64);

impl Epoch {
    /// Bits of an epoch in a shadow cell.
    pub const BITS: u32 = 37;
    /// Before the first access of a slot.
    pub const ZERO: Self = Self(0);
    /// The last epoch of a slot.
    pub const MAX: Self = Self((1 << Self::BITS) - 1);

    /// The epoch with this number.
    ///
    /// # Panics
    /// If it is beyond [`Epoch::MAX`].
    pub const fn new(time: u64) -> Self {
        assert!(time <= Self::MAX.0, "epoch out of range");
        Self(time)
    }

    /// As a component of a clock.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// A call stack in the table of stacks; 0 is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StackId(pub u32);
