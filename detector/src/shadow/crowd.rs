//! The cells of a granule that has more than its words hold, in the order in
//! which they came.
//!
//! An entry knows whether its access came *after all* that stand before it, in
//! the order of happens-before. Who knows such an entry, the last one, knows
//! them all, and need look at none: under a lock, this is how every thread
//! finds a granule. What stands before such an entry, of an access no stronger,
//! goes byte by byte: what races with the earlier one races with the later one
//! too (Flanagan and Freund, *FastTrack*, PLDI 2009, section 3). That is done
//! when room is needed.
//!
//! An entry to which its thread adds bytes later in the same epoch keeps what it
//! is: who knows of one access of an epoch knows of all.
//!
//! Pure: where the entries are is [`super::overflow`]'s business.

use super::word::{Cell, Class, MORE, Mask};

/// A cell of a list, and whether it came after all before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry(u64);

impl Entry {
    /// No entry.
    pub const NONE: Self = Self(0);
    /// The bit that is free in a cell.
    const AFTER_ALL: u64 = MORE;

    /// The entry of a cell.
    #[inline(always)]
    pub const fn new(cell: Cell, after_all: bool) -> Self {
        Self(cell.bits() | if after_all { Self::AFTER_ALL } else { 0 })
    }

    /// As it is stored.
    #[inline(always)]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// As it is stored.
    #[inline(always)]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The access.
    #[inline(always)]
    pub const fn cell(self) -> Cell {
        Cell::from_bits(self.0 & !Self::AFTER_ALL)
    }

    /// True if all before it in the list happen before it.
    #[inline(always)]
    pub const fn is_after_all(self) -> bool {
        self.0 & Self::AFTER_ALL != 0
    }
}

/// Which bytes later accesses cover, and how: a byte for each class.
#[derive(Default, Clone, Copy)]
struct Covered {
    by_writes: u64,
    by_any: u64,
}

impl Covered {
    /// Also what `cell` covers, if `when`.
    #[inline(always)]
    fn add(&mut self, cell: Cell, when: bool) {
        let mask = if when { u64::from(cell.mask()) } else { 0 };
        let mask = mask << Self::shift(cell);
        self.by_any |= mask;
        self.by_writes |= if cell.access().is_read() { 0 } else { mask };
    }

    /// The bytes of an earlier access that are left: what an access of the same
    /// class, or a plain one, covers as strongly is not.
    #[inline(always)]
    fn rest(self, cell: Cell) -> Mask {
        const { assert!(Class::Plain as u32 == 0) };
        let by = if cell.access().is_read() {
            self.by_any
        } else {
            self.by_writes
        };
        #[expect(clippy::cast_possible_truncation, reason = "a byte of it is meant")]
        let by = (by | by >> Self::shift(cell)) as Mask;
        cell.mask() & !by
    }

    #[inline(always)]
    fn shift(cell: Cell) -> u32 {
        cell.access().class() as u32 * Mask::BITS
    }
}

/// What became of an access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Added {
    /// How many entries there are now; 0 if nothing changes, since one says it
    /// already.
    pub len: usize,
    /// An access that it races with.
    pub race: Option<Cell>,
    /// True if its thread had an entry.
    pub own: bool,
}

/// Checks an access against the first `len` entries and adds it to them. What it
/// or a later entry supersedes goes.
///
/// # Panics
/// If there is no room for one more.
#[inline(always)]
pub fn add(entries: &mut [Entry], len: usize, new: Cell, ordered: impl Fn(Cell) -> bool) -> Added {
    let (mut later, mut own_later) = (Covered::default(), Covered::default());
    let (mut race, mut own, mut after_all) = (None, false, true);
    // True before an entry that the thread knows and that came after all.
    let mut all_known = false;
    let mut kept = len;
    for at in (0..len).rev() {
        let entry = entries[at];
        let cell = entry.cell();
        let mut rest = later.rest(cell);
        let mine = cell.same_slot(new);
        if mine {
            own = true;
            if cell.says(new) {
                return Added {
                    len: 0,
                    race: None,
                    own,
                };
            }
            rest &= own_later.rest(cell);
            own_later.add(cell, true);
        }
        let known = all_known || mine || ordered(cell);
        let races = !known && cell.conflicts(new);
        if races {
            race = race.or(Some(cell));
        }
        // Told once, it counts as known.
        if (known || races) && cell.weaker_or_equal(new) {
            rest &= !new.mask();
        }
        later.add(cell, entry.is_after_all());
        all_known |= known && entry.is_after_all();
        if rest != 0 {
            after_all &= known;
            kept -= 1;
            let cell = cell.without(!rest);
            entries[kept] = Entry::new(cell, entry.is_after_all());
        }
    }
    entries.copy_within(kept..len, 0);
    let mut len = len - kept;
    match entries[..len].last_mut() {
        Some(last) if last.cell().joins(new) => {
            let after_all = after_all || last.is_after_all();
            *last = Entry::new(last.cell().with_mask(new.mask()), after_all);
        }
        _ => {
            entries[len] = Entry::new(new, after_all);
            len += 1;
        }
    }
    Added { len, race, own }
}

/// As [`add`], of an access that knows all entries and comes after them: what
/// is left of them, in the same order. How many are left.
#[inline(always)]
pub fn condense(entries: &mut [Entry], new: Cell) -> usize {
    let mut later = Covered::default();
    later.add(new, true);
    let len = entries.len();
    let mut kept = len;
    for at in (0..len).rev() {
        let entry = entries[at];
        let cell = entry.cell();
        let rest = later.rest(cell);
        later.add(cell, entry.is_after_all());
        entries[kept - 1] = Entry::new(cell.without(!rest), entry.is_after_all());
        kept -= usize::from(rest != 0);
    }
    entries.copy_within(kept..len, 0);
    len - kept
}

/// Drops the entries of which `gone` holds. How many are left.
pub fn drop_gone(entries: &mut [Entry], gone: impl Fn(Cell) -> bool) -> usize {
    let mut kept = 0;
    for at in 0..entries.len() {
        if !gone(entries[at].cell()) {
            entries[kept] = entries[at];
            kept += 1;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Epoch, Slot};
    use crate::shadow::word::{Access, Stamp};

    const READ: Access = Access::read(Class::Plain);
    const WRITE: Access = Access::write(Class::Plain);

    fn cell(slot: usize, epoch: u64, access: Access, mask: Mask) -> Cell {
        Cell::new(Stamp::new(Slot::new(slot), Epoch::new(epoch)), access, mask)
    }

    /// Adds accesses one after the other, each with whether it knows those
    /// before it: what is left, and how often a race was found.
    fn list(accesses: &[(Cell, bool)]) -> (Vec<Entry>, usize) {
        let (mut entries, mut len, mut races) = ([Entry::NONE; 32], 0, 0);
        for &(new, knows) in accesses {
            let added = add(&mut entries, len, new, |_| knows);
            races += usize::from(added.race.is_some());
            len = if added.len == 0 { len } else { added.len };
        }
        (entries[..len].to_vec(), races)
    }

    #[test]
    fn under_a_lock_the_latest_of_each_byte_is_left() {
        let accesses = [
            (cell(1, 1, WRITE, 0x0f), true),
            (cell(2, 1, READ, 0xff), true),
            (cell(1, 2, READ, 0xf3), true),
            (cell(2, 2, WRITE, 0x01), true),
        ];
        let left = [
            Entry::new(cell(1, 1, WRITE, 0x0e), true),
            Entry::new(cell(2, 1, READ, 0x0c), true),
            Entry::new(cell(1, 2, READ, 0xf2), true),
            Entry::new(cell(2, 2, WRITE, 0x01), true),
        ];
        assert_eq!(list(&accesses), (left.to_vec(), 0));
    }

    #[test]
    fn who_does_not_know_all_supersedes_nothing_of_others() {
        let accesses = [
            (cell(1, 1, READ, 0xff), true),
            (cell(2, 1, READ, 0xff), false),
            (cell(3, 1, READ, 0x0f), true),
        ];
        let left = [
            Entry::new(cell(1, 1, READ, 0xf0), true),
            Entry::new(cell(2, 1, READ, 0xf0), false),
            Entry::new(cell(3, 1, READ, 0x0f), true),
        ];
        assert_eq!(list(&accesses), (left.to_vec(), 0));
    }

    #[test]
    fn a_later_entry_supersedes_what_it_came_after_for_all() {
        let accesses = [
            (cell(1, 1, READ, 0x0f), true),
            (cell(2, 1, READ, 0x0f), true),
            (cell(3, 1, READ, 0xf0), false),
        ];
        let left = [
            Entry::new(cell(2, 1, READ, 0x0f), true),
            Entry::new(cell(3, 1, READ, 0xf0), false),
        ];
        assert_eq!(list(&accesses), (left.to_vec(), 0));
    }

    #[test]
    fn an_atomic_access_leaves_plain_ones_and_those_of_other_sizes() {
        let atomic = |size| Access::write(Class::atomic(size));
        let accesses = [
            (cell(1, 1, WRITE, 0x01), true),
            (cell(1, 2, atomic(4), 0x0f), true),
            (cell(2, 1, atomic(1), 0x01), true),
            (cell(1, 3, atomic(4), 0x0f), true),
        ];
        let left = [
            Entry::new(cell(1, 1, WRITE, 0x01), true),
            Entry::new(cell(2, 1, atomic(1), 0x01), true),
            Entry::new(cell(1, 3, atomic(4), 0x0f), true),
        ];
        assert_eq!(list(&accesses), (left.to_vec(), 0));
    }

    #[test]
    fn a_race_is_told_once() {
        let accesses = [
            (cell(1, 1, WRITE, 0x01), true),
            (cell(2, 1, WRITE, 0x01), false),
            (cell(2, 2, WRITE, 0x01), false),
        ];
        let left = [Entry::new(cell(2, 2, WRITE, 0x01), true)];
        assert_eq!(list(&accesses), (left.to_vec(), 1));
    }

    #[test]
    fn what_is_said_already_changes_nothing() {
        let mut entries = [Entry::NONE; 2];
        entries[0] = Entry::new(cell(1, 1, WRITE, 0xff), true);
        let added = add(&mut entries, 1, cell(1, 1, READ, 0x0f), |_| true);
        assert_eq!((added.len, added.race), (0, None));
    }

    #[test]
    fn what_is_gone_makes_room() {
        let mut entries = [1, 2, 3].map(|slot| Entry::new(cell(slot, 1, READ, 1), false));
        let left = drop_gone(&mut entries, |cell| cell.slot() == Slot::new(2));
        let slots = entries[..left].iter().map(|entry| entry.cell().slot());
        assert_eq!(slots.collect::<Vec<_>>(), [Slot::new(1), Slot::new(3)]);
    }
}
