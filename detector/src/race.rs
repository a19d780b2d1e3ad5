//! The race check: one access against the cells of its granule.
//!
//! A data race is two conflicting accesses, not ordered by happens-before in
//! this execution (C11 5.1.2.4 p25). [`step`] decides, for one access, whether
//! it races with a recorded one and how the granule's words change. It is
//! pure: the caller loads the words, stores the one that changes with a
//! compare-and-swap, and calls again if it lost.
//!
//! A cell leaves the words only when no race can be missed by that:
//! - it is *superseded*: ordered before the new access, its bytes all covered
//!   by it, of an access no stronger;
//! - it is *dead*: known to every live thread, so that nothing can race with
//!   it any more.
//!
//! Otherwise the granule overflows into a list. Nothing is evicted.

use crate::shadow::word::Cell;

/// What to do with the words of a granule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Update {
    /// Nothing: it is already recorded.
    Nothing,
    /// Replace a word.
    Store {
        /// Which.
        index: usize,
        /// What it held.
        old: Cell,
        /// What it becomes.
        cell: Cell,
    },
    /// Neither word can go: move to an overflow list.
    Overflow,
}

/// The outcome of [`step`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Step {
    /// A recorded access that the new one races with.
    pub race: Option<Cell>,
    /// How the words change.
    pub update: Update,
}

/// Checks `new` against `words` and decides where it goes.
///
/// `ordered` tells whether a cell of another slot happens before the new
/// access; `dead` whether every live thread knows it. Words fill from the
/// first on: behind an empty one there is none.
#[inline(always)]
pub fn step<const N: usize>(
    words: &[Cell; N],
    new: Cell,
    ordered: impl Fn(Cell) -> bool,
    dead: impl Fn(Cell) -> bool,
) -> Step {
    let mut race = Cell::EMPTY;
    // Where it goes, and what is there now; N if nowhere.
    let (mut index, mut old) = (N, Cell::EMPTY);
    let mut merges = false;
    for (at, &cell) in words.iter().enumerate() {
        if cell.is_empty() {
            if index == N {
                index = at;
            }
            break;
        }
        if cell.same_slot(new) {
            if cell.says(new) {
                return Step {
                    race: None,
                    update: Update::Nothing,
                };
            }
            if cell.same_stamp(new) && cell.same_access(new) {
                (index, old, merges) = (at, cell, true);
            } else if index == N && cell.superseded_by(new) {
                (index, old) = (at, cell);
            }
        } else {
            let conflicts = cell.conflicts(new);
            let superseded = index == N && cell.superseded_by(new);
            if conflicts || superseded {
                // A race is told once: from then on the cell counts as
                // ordered.
                let before = ordered(cell);
                if conflicts && !before {
                    race = cell;
                }
                if superseded && (before || conflicts) {
                    (index, old) = (at, cell);
                }
            }
        }
    }
    let cell = if merges {
        old.with_mask(new.mask())
    } else {
        new
    };
    let update = if index < N {
        Update::Store { index, old, cell }
    } else {
        crowded(words, new, dead)
    };
    let race = (!race.is_empty()).then_some(race);
    Step { race, update }
}

/// Where a cell goes if no word is free.
#[cold]
#[inline(never)]
fn crowded(words: &[Cell], new: Cell, dead: impl Fn(Cell) -> bool) -> Update {
    let free = redundant(words, new).or_else(|| words.iter().position(|&cell| dead(cell)));
    match free {
        Some(index) => Update::Store {
            index,
            old: words[index],
            cell: new,
        },
        None => Update::Overflow,
    }
}

/// A word of `new`'s own thread whose bytes it has accessed again since, as
/// strongly: with `new` and by what other words say.
fn redundant(words: &[Cell], new: Cell) -> Option<usize> {
    words.iter().position(|&cell| {
        cell.slot() == new.slot() && outdated(cell, words.iter().copied().chain([new]))
    })
}

/// True if every byte of `cell` was accessed again by the same thread in a
/// later epoch, as strongly, as some of `cells` say.
pub fn outdated(cell: Cell, cells: impl Iterator<Item = Cell>) -> bool {
    let later = cells.filter(|later| {
        later.slot() == cell.slot()
            && later.epoch() > cell.epoch()
            && cell
                .with_mask(0)
                .superseded_by(later.with_mask(cell.mask()))
    });
    let covered = later.fold(0, |mask, later| mask | later.mask());
    !cell.is_empty() && cell.as_overflow().is_none() && cell.mask() & !covered == 0
}
