//! The slots of the clocks: how they come to strands, and are used again, so
//! that clocks are only as long as strands are many at a time.
//!
//! A slot is *past* for a clock whose holder can have no race with its former
//! strand that would be told: it knows the strand's last epoch, or untracked
//! code ran in its past after the strand's end (see [`super::engine`]: such a
//! race with a strand that has ended is not told, and the component is carried
//! on along every edge). A slot that is past for the clock with which a strand
//! begins goes to that strand. One that is past for all that is there, each
//! live strand and each spawn that has not begun, is past for all that will
//! ever be. If it is among the last slots, clocks end before it
//! ([`Slots::shorten`]), and who begins later knows its last epoch
//! ([`Slots::floor`]).
//!
//! So who knows an epoch of a slot need not know what its strand knew then:
//! an object does not say that it is all of an epoch
//! ([`ReleaseClock::by_nobody`](crate::sync::ReleaseClock::by_nobody)).
//!
//! What it misses: a strand that stays keeps its slot, and all before it. Of
//! some thousand ended slots that are past for nobody, the oldest is used again.
//!
//! Pure: the locks are in [`super::strand`].

use super::strand::{OPAQUE, RESERVED};
use crate::clock;
use crate::ids::{Epoch, Slot};

/// Ended strands whose slot is kept though nobody saw their end.
const FORGET_ABOVE: usize = 4096;

/// A slot whose strand has ended.
#[derive(Debug, Clone, Copy)]
struct Ended {
    slot: Slot,
    /// Its last epoch.
    last: Epoch,
    /// After its last access, in the sequence of accesses.
    sequence: u64,
}

impl Ended {
    fn is_past(&self, clock: &[u64]) -> bool {
        clock::covers(clock, self.slot, self.last)
            || clock
                .get(OPAQUE)
                .is_some_and(|&opaque| opaque >= self.sequence)
    }
}

/// All slots.
#[derive(Debug, Default)]
pub struct Slots {
    ended: Vec<Ended>,
    /// By slot: the last epoch that is past for everybody.
    floor: Vec<u64>,
    /// Slots of strands, and of strands that have ended.
    count: usize,
}

impl Slots {
    /// No slot is in use.
    pub const fn new() -> Self {
        Self {
            ended: Vec::new(),
            floor: Vec::new(),
            count: 0,
        }
    }

    /// Components that a clock needs.
    pub const fn limit(&self) -> usize {
        RESERVED + self.count
    }

    /// What a strand knows when it begins, whatever else it knows.
    pub fn floor(&self) -> &[u64] {
        &self.floor
    }

    /// A slot and its first epoch for a strand that knows this clock: the first
    /// that is past for it, a new one, or, beyond a limit, the one that ended
    /// first.
    pub fn take(&mut self, clock: &[u64]) -> (Slot, Epoch) {
        let past = self
            .ended
            .iter()
            .enumerate()
            .filter(|(_, ended)| ended.is_past(clock))
            .min_by_key(|(_, ended)| ended.slot.index())
            .map(|(at, _)| at);
        let reused = match past {
            Some(at) => Some(self.ended.remove(at)),
            None if self.ended.len() > FORGET_ABOVE || self.limit() == Slot::COUNT => {
                Some(self.ended.remove(0))
            }
            None => None,
        };
        if let Some(Ended { slot, last, .. }) = reused {
            return (slot, Epoch::new(last.get() + 1));
        }
        let slot = Slot::new(self.limit());
        self.count += 1;
        let last = self.floor.get(slot.index()).copied().unwrap_or_default();
        (slot, Epoch::new(last + 1))
    }

    /// The strand of a slot has ended, with this epoch; `sequence` is after its
    /// last access.
    pub fn end(&mut self, slot: Slot, last: Epoch, sequence: u64) {
        self.ended.push(Ended {
            slot,
            last,
            sequence,
        });
    }

    /// The first of the slots behind which no strand is.
    fn tail(&self) -> usize {
        let mut ended = vec![false; self.limit()];
        for it in &self.ended {
            ended[it.slot.index()] = true;
        }
        let live = ended.iter().rposition(|ended| !ended);
        live.map_or(RESERVED, |live| (live + 1).max(RESERVED))
    }

    /// Gives back the last slots that are past for everybody. `each` calls with
    /// the clock of all live strands, then with those of all spawns that have
    /// not begun. Returns the clocks that it was called with.
    pub fn shorten(&mut self, each: impl FnOnce(&mut dyn FnMut(&[u64]))) -> usize {
        let mut first = self.tail();
        if first >= self.limit() {
            return 0;
        }
        let mut clocks = 0;
        each(&mut |clock| {
            clocks += 1;
            for ended in &self.ended {
                if ended.slot.index() >= first && !ended.is_past(clock) {
                    first = ended.slot.index() + 1;
                }
            }
        });
        if self.floor.len() < self.limit() {
            self.floor.resize(self.limit(), 0);
        }
        for ended in &self.ended {
            let at = ended.slot.index();
            if at >= first {
                self.floor[at] = ended.last.get();
            }
        }
        self.ended.retain(|ended| ended.slot.index() < first);
        self.count = first - RESERVED;
        clocks
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::shadow::word::{Access, Cell, Class, Stamp};
    use crate::sync::{Clocks, ReleaseClock};

    /// What a strand knows, by strands that are never numbered again.
    #[derive(Clone, Default)]
    struct Naive {
        known: BTreeMap<usize, u64>,
        opaque: u64,
    }

    impl Naive {
        fn learn(&mut self, other: &Self) {
            for (&strand, &epoch) in &other.known {
                let own = self.known.entry(strand).or_default();
                *own = (*own).max(epoch);
            }
            self.opaque = self.opaque.max(other.opaque);
        }
    }

    /// A strand, in both models.
    struct Both {
        clocks: Clocks,
        used: bool,
        number: usize,
        naive: Naive,
        epoch: u64,
    }

    #[derive(Default)]
    struct Published {
        object: ReleaseClock,
        naive: Naive,
    }

    struct Accessed {
        stamp: Stamp,
        strand: usize,
        epoch: u64,
        sequence: u64,
    }

    /// What both say of the same run.
    struct Run {
        slots: Slots,
        live: Vec<Both>,
        spawns: Vec<Published>,
        objects: [Published; 3],
        accessed: Vec<Accessed>,
        ended: Vec<bool>,
        sequence: u64,
    }

    impl Run {
        fn new() -> Self {
            Self {
                slots: Slots::new(),
                live: Vec::new(),
                spawns: Vec::new(),
                objects: Default::default(),
                accessed: Vec::new(),
                ended: Vec::new(),
                sequence: 1,
            }
        }

        fn begin(&mut self, known: &[u64], naive: Naive) {
            let (slot, epoch) = self.slots.take(known);
            let mut clocks = Clocks::new();
            clocks.start(slot, epoch, known);
            clocks.learn(self.slots.floor());
            let number = self.ended.len();
            self.ended.push(false);
            self.live.push(Both {
                clocks,
                used: false,
                number,
                naive,
                epoch: 1,
            });
        }

        fn step(&mut self, what: u8, who: usize, at: usize) -> Result<(), TestCaseError> {
            let limit = self.slots.limit();
            let count = self.live.len();
            if what == 0 || count == 0 {
                // Its spawn was not seen.
                let naive = Naive {
                    opaque: self.sequence,
                    ..Naive::default()
                };
                self.begin(&[self.sequence; RESERVED], naive);
                return Ok(());
            }
            if what == 1 && !self.spawns.is_empty() {
                let spawn = self.spawns.remove(at % self.spawns.len());
                self.begin(spawn.object.as_slice(), spawn.naive);
                return Ok(());
            }
            if what == 2 {
                let Self {
                    slots,
                    live,
                    spawns,
                    ..
                } = self;
                slots.shorten(|each| {
                    live.iter().for_each(|both| each(both.clocks.known()));
                    let spawns = spawns.iter();
                    spawns.for_each(|spawn| each(spawn.object.as_slice()));
                });
                return Ok(());
            }
            let both = &mut self.live[who % count];
            both.clocks.shorten(limit);
            match what {
                3 | 4 => {
                    let published = if what == 3 {
                        self.spawns.push(Published::default());
                        self.spawns.last_mut().unwrap()
                    } else {
                        &mut self.objects[at % 3]
                    };
                    both.clocks.release(&mut published.object);
                    published.object.by_nobody();
                    both.naive.known.insert(both.number, both.epoch);
                    published.naive.learn(&both.naive);
                    both.used = false;
                    both.epoch += 1;
                    assert!(!both.clocks.tick());
                }
                5 | 6 => {
                    let published = &self.objects[at % 3];
                    both.clocks.load(&published.object, true);
                    both.naive.learn(&published.naive);
                }
                7 => {
                    both.naive.opaque = self.sequence;
                    both.clocks.learn(&[self.sequence]);
                }
                8 => {
                    let both = self.live.remove(who % count);
                    self.ended[both.number] = true;
                    let stamp = both.clocks.stamp();
                    let last = stamp.epoch().get() - u64::from(!both.used);
                    self.slots
                        .end(stamp.slot(), Epoch::new(last), self.sequence);
                }
                _ => {
                    both.used = true;
                    for earlier in &self.accessed {
                        if earlier.strand == both.number {
                            continue;
                        }
                        let has_ended = self.ended[earlier.strand];
                        let cell = Cell::new(earlier.stamp, Access::write(Class::Plain), 1);
                        let unseen = both.clocks.now()[OPAQUE] > earlier.sequence;
                        let told = !(both.clocks.ordered(cell) || unseen && has_ended);
                        let known = both.naive.known.get(&earlier.strand).copied();
                        let ordered = known.unwrap_or_default() >= earlier.epoch;
                        let unseen = both.naive.opaque > earlier.sequence;
                        let expected = !(ordered || unseen && has_ended);
                        prop_assert_eq!(told, expected);
                    }
                    self.accessed.push(Accessed {
                        stamp: both.clocks.stamp(),
                        strand: both.number,
                        epoch: both.epoch,
                        sequence: self.sequence,
                    });
                    self.sequence += 1;
                }
            }
            Ok(())
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        /// What would be told is the same as if no slot were ever used again
        /// and no clock ever shortened.
        #[test]
        fn recycled_slots_neither_lose_nor_invent(
            steps in prop::collection::vec((0_u8..13, 0_usize..6, 0_usize..6), 0..120)
        ) {
            let mut run = Run::new();
            for (what, who, at) in steps {
                run.step(what, who, at)?;
            }
        }
    }

    /// Who has a slot again does not know what its former strand knew: it must
    /// still learn that from what that one has published.
    #[test]
    fn who_takes_a_slot_learns_what_its_strand_knew() {
        let mut run = Run::new();
        let steps = [
            (0, 0, 0),
            (0, 0, 0),
            (9, 0, 0),
            (4, 0, 0),
            (5, 1, 0),
            (9, 1, 0),
            (4, 1, 1),
            (8, 1, 0),
            (0, 0, 0),
            (5, 1, 1),
            (9, 1, 0),
        ];
        for (what, who, at) in steps {
            run.step(what, who, at).unwrap();
        }
        assert_eq!(run.slots.limit(), RESERVED + 2);
    }

    /// Many at once, all joined: clocks are short again.
    #[test]
    fn clocks_are_short_again_once_many_have_ended() {
        let mut run = Run::new();
        run.step(0, 0, 0).unwrap();
        for _ in 0..100 {
            run.step(3, 0, 0).unwrap();
        }
        for _ in 0..100 {
            run.step(1, 0, 0).unwrap();
        }
        assert_eq!(run.slots.limit(), RESERVED + 101);
        for _ in 0..100 {
            run.step(9, 1, 0).unwrap();
            run.step(4, 1, 0).unwrap();
            run.step(8, 1, 0).unwrap();
        }
        // Nobody knows of their ends.
        run.step(2, 0, 0).unwrap();
        assert_eq!(run.slots.limit(), RESERVED + 101);
        run.step(5, 0, 0).unwrap();
        run.step(2, 0, 0).unwrap();
        assert_eq!(run.slots.limit(), RESERVED + 1);
        run.step(4, 0, 1).unwrap();
        assert_eq!(run.live[0].clocks.now().len(), RESERVED + 1);
        assert_eq!(run.objects[1].object.as_slice().len(), RESERVED + 1);
    }
}
