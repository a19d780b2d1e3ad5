//! Whether one access of a task happens before a moment of another task,
//! leaving out that one thread polled both: a walk forward through what was
//! logged since, from who knows of the access to whom they told it.
//!
//! All that is released at an object is taken to be acquired by whoever
//! acquires there later, however the object was written between. That is more
//! than happens-before has, so that what this calls unordered is unordered.
//!
//! Pure.

use std::collections::HashSet;

use crate::report::wire::ThreadId;
use crate::shadow::word::Stamp;

/// Where one strand hands over to another: the address of a sync object, or
/// the turn or the end of a task or thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Object(u64);

impl Object {
    const TURN: u64 = 1 << 62;
    const END: u64 = 1 << 63;

    /// A sync object.
    pub const fn address(addr: usize) -> Self {
        Self(addr as u64 & !(Self::TURN | Self::END))
    }

    /// That a task or thread runs: from who spawned or woke it.
    pub const fn turn_of(who: ThreadId) -> Self {
        Self(Self::TURN | who.0 as u64)
    }

    /// That it has run: to who joins it, or drops it.
    pub const fn end_of(who: ThreadId) -> Self {
        Self(Self::END | who.0 as u64)
    }

    /// What it leaves in memory of the thread's that polls it.
    pub const fn left_by(who: ThreadId) -> Self {
        Self(Self::TURN | Self::END | who.0 as u64)
    }

    /// As it is logged.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// As [`Object::bits`] gave it.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

/// A synchronisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// By which task or thread.
    pub who: ThreadId,
    /// It acquires, before it releases.
    pub acquires: bool,
    /// It releases.
    pub releases: bool,
    /// Slot and epoch of the thread: what it did up to then is released.
    pub stamp: Stamp,
    /// Where.
    pub at: Object,
}

/// True if the access that `who` made at `stamp` happens before what `to` does
/// after all of `events`, which begin no later than the poll of that access.
pub fn reaches(
    events: impl IntoIterator<Item = Event>,
    who: ThreadId,
    stamp: Stamp,
    to: ThreadId,
) -> bool {
    let mut knows = HashSet::from([who]);
    let mut told: HashSet<Object> = HashSet::new();
    for event in events {
        if event.acquires && told.contains(&event.at) {
            if event.who == to {
                return true;
            }
            knows.insert(event.who);
        }
        let before = event.who == who
            && event.stamp.slot() == stamp.slot()
            && event.stamp.epoch() < stamp.epoch();
        if event.releases && !before && knows.contains(&event.who) {
            told.insert(event.at);
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Epoch, Slot};

    const LOCK: Object = Object::address(0x1000);
    const OTHER: Object = Object::address(0x2000);

    fn at(epoch: u64) -> Stamp {
        Stamp::new(Slot::new(1), Epoch::new(epoch))
    }

    fn event(who: u32, acquires: bool, releases: bool, epoch: u64, at_: Object) -> Event {
        Event {
            who: ThreadId(who),
            acquires,
            releases,
            stamp: at(epoch),
            at: at_,
        }
    }

    fn release(who: u32, epoch: u64, at: Object) -> Event {
        event(who, false, true, epoch, at)
    }

    fn acquire(who: u32, at: Object) -> Event {
        event(who, true, false, 9, at)
    }

    fn ordered(events: &[Event]) -> bool {
        reaches(events.iter().copied(), ThreadId(1), at(5), ThreadId(2))
    }

    #[test]
    fn what_is_released_after_the_access_is_acquired() {
        assert!(ordered(&[release(1, 5, LOCK), acquire(2, LOCK)]));
        assert!(!ordered(&[release(1, 4, LOCK), acquire(2, LOCK)]));
        assert!(!ordered(&[release(1, 5, LOCK), acquire(2, OTHER)]));
        assert!(!ordered(&[acquire(2, LOCK), release(1, 5, LOCK)]));
        assert!(!ordered(&[]));
    }

    #[test]
    fn others_hand_it_on() {
        let on = [
            release(1, 6, LOCK),
            acquire(3, LOCK),
            release(3, 1, OTHER),
            acquire(2, OTHER),
        ];
        assert!(ordered(&on));
        let other_way = [release(3, 1, OTHER), acquire(2, OTHER), release(1, 6, LOCK)];
        assert!(!ordered(&other_way));
    }

    #[test]
    fn an_exchange_acquires_first() {
        let swap = event(3, true, true, 7, LOCK);
        assert!(ordered(&[release(1, 5, LOCK), swap, acquire(2, LOCK)]));
        let both = [release(1, 5, OTHER), event(2, true, true, 7, LOCK)];
        assert!(!ordered(&both));
    }

    #[test]
    fn objects_are_told_apart() {
        let id = ThreadId(7);
        let all = [
            Object::address(7),
            Object::turn_of(id),
            Object::end_of(id),
            Object::left_by(id),
        ];
        assert!(
            all.iter()
                .enumerate()
                .all(|(at, one)| !all[at + 1..].contains(one))
        );
        assert_eq!(Object::from_bits(all[1].bits()), all[1]);
    }
}
