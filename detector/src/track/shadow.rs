//! The shadow of what tracked code accesses: cells by granule, as in
//! [`crate::shadow::word`], in a table, with the record that each stands for.
//!
//! What it misses: beyond `ROOM` cells of a granule the oldest is dropped;
//! of an access larger than `LARGEST` bytes only the first are looked at; a
//! table of more than `GRANULES` entries forgets all but static variables.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::context::ContextId;
use super::sharded::Sharded;
use super::site::{Owner, Site};
use super::strand::{Strand, Who};
use crate::ids::Epoch;
use crate::race::{self, Update};
use crate::shadow::word::{self, Cell, GRANULE, Mask, Stamp};

/// Cells of a granule.
const ROOM: usize = 8;
/// Bytes of an access that are looked at.
const LARGEST: usize = 4096;
/// Entries of the table.
const GRANULES: usize = 1 << 20;

/// An access, as a hook tells it.
#[derive(Debug, Clone, Copy)]
pub struct Access {
    /// First byte.
    pub addr: usize,
    /// Bytes.
    pub size: usize,
    /// True for a write.
    pub writes: bool,
    /// Plain or volatile.
    pub class: word::Class,
    /// True for a static variable, whose memory is never another's.
    pub stays: bool,
    /// Type of what is accessed.
    pub type_name: &'static str,
    /// Where.
    pub site: &'static Site,
    /// What the field belongs to, if it is one.
    pub owner: Option<Owner>,
    /// What it belongs to.
    pub context: ContextId,
}

#[derive(Debug, Default)]
struct Granule {
    stays: bool,
    cells: Vec<Recorded>,
}

#[derive(Debug)]
struct Recorded {
    cell: Cell,
    /// The accesses that share the cell, by their bytes.
    of: Vec<(Mask, Record)>,
}

/// An access, for the shadow and for the report.
#[derive(Debug, Clone)]
pub struct Record {
    /// Where.
    pub site: &'static Site,
    /// What the field belongs to, if it is one.
    pub owner: Option<Owner>,
    /// By whom.
    pub strand: Arc<Strand>,
    /// Who that was then.
    pub who: Arc<Who>,
    /// When, in the sequence of all recorded accesses.
    pub sequence: u64,
    /// When, of its slot.
    pub epoch: Epoch,
    /// What it belongs to.
    pub context: ContextId,
    /// Locks held, where they were taken.
    pub locks: Vec<&'static Site>,
    /// The type of what is accessed.
    pub type_name: &'static str,
    /// True for a write.
    pub writes: bool,
}

/// The table.
static SHADOW: Sharded<usize, Granule> = Sharded::new();
/// Entries of it that may be forgotten.
static FLEETING: AtomicUsize = AtomicUsize::new(0);

/// Calls `f` with the entry of each granule of a range, and its bytes in it.
fn each(addr: usize, size: usize, mut f: impl FnMut(&mut Granule, Mask)) {
    let end = addr.saturating_add(size.min(LARGEST));
    let mut at = addr & !(GRANULE - 1);
    while at < end {
        let first = addr.max(at) - at;
        let last = end.min(at + GRANULE) - at;
        let mask = ((((1u16 << (last - first)) - 1) << first) & 0xff) as Mask;
        SHADOW.with(&at, |granules| {
            let granule = granules.entry(at).or_insert_with(|| {
                FLEETING.fetch_add(1, Ordering::Relaxed);
                Granule::default()
            });
            f(granule, mask);
        });
        at += GRANULE;
    }
}

/// This memory is a static variable's.
pub fn stays(addr: usize, size: usize) {
    each(addr, size, |granule, _| granule.stays = true);
}

/// Checks an access and records it. The earlier accesses that it races
/// with, and whether the memory is a static variable.
pub fn access(
    access: &Access,
    stamp: Stamp,
    record: &Record,
    ordered: impl Fn(Cell) -> bool,
) -> Vec<(Record, bool)> {
    let kind = if access.writes {
        word::Access::write(access.class)
    } else {
        word::Access::read(access.class)
    };
    if FLEETING.load(Ordering::Relaxed) > GRANULES {
        FLEETING.store(0, Ordering::Relaxed);
        SHADOW.each(|granules| granules.retain(|_, granule| granule.stays));
    }
    let mut races = Vec::new();
    each(access.addr, access.size, |granule, mask| {
        granule.stays |= access.stays;
        let stays = granule.stays;
        let race = granule.step(Cell::new(stamp, kind, mask), record, &ordered);
        races.extend(race.map(|race| (race, stays)));
    });
    races
}

impl Granule {
    fn step(
        &mut self,
        new: Cell,
        record: &Record,
        ordered: impl Fn(Cell) -> bool,
    ) -> Option<Record> {
        let mut words = [Cell::EMPTY; ROOM];
        for (word, recorded) in words.iter_mut().zip(&self.cells) {
            *word = recorded.cell;
        }
        let step = race::step(&words, new, ordered, |_| false);
        let race = step.race.and_then(|earlier| self.record_of(earlier, new));
        let of = (new.mask(), record.clone());
        match step.update {
            Update::Nothing => {}
            Update::Store { index, old, cell } => match self.cells.get_mut(index) {
                Some(recorded) if old.same_stamp(cell) && old.same_access(cell) => {
                    recorded.cell = cell;
                    recorded.of.push(of);
                }
                Some(recorded) => *recorded = Recorded { cell, of: vec![of] },
                None => self.cells.push(Recorded { cell, of: vec![of] }),
            },
            Update::Overflow => {
                self.cells.remove(0);
                let of = vec![of];
                self.cells.push(Recorded { cell: new, of });
            }
        }
        race
    }

    /// The access of `earlier` that has a byte in common with `new`.
    fn record_of(&self, earlier: Cell, new: Cell) -> Option<Record> {
        let recorded = self.cells.iter().find(|it| it.cell == earlier)?;
        let common = recorded
            .of
            .iter()
            .find(|(mask, _)| mask & new.mask() & earlier.mask() != 0);
        common.map(|(_, record)| record.clone())
    }
}
