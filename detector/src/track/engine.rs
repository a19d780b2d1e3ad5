//! The engine's state under the source front end: what synchronises strands,
//! and what they access.
//!
//! The rules are those of the pure parts: [`crate::sync`] orders,
//! [`crate::race`] decides. There is no lock around all of it: objects, locks
//! and the shadow are tables in parts ([`super::sharded`]), each strand has a
//! lock of its own ([`super::strand`]), and a thread that repeats an access in
//! an epoch takes none ([`super::local`]). Locks are taken in this order: a
//! part of `LOCKS` or `OBJECTS`, or the record of a task; then one strand;
//! then a part of the shadow.
//!
//! *Never claims an order that is missing.* An atomic operation and the hook
//! beside it are two steps, so what an object publishes is only ever added to,
//! and is published before the operation. A lock's guard may outlive what the
//! attribute sees of it ([`super::locks`]). Both order too much, and hide races
//! that the whole-program front end finds.
//!
//! *When a race is certain.* Code that is not tracked may synchronise. For it
//! to order an access `a` before an access `b`, something in the past of `b`
//! must have acquired after `a` in real time. Each strand keeps when that was
//! last possible, in two clock components that all known edges carry on:
//!
//! - `OPAQUE`: it ran code that is not tracked, or an operation that sees
//!   the drop of a value as well, as a channel does;
//! - `ACQUIRED`: it acquired a known lock or atomic, which code that is not
//!   tracked may have released. That matters only if the strand of `a` has
//!   released anything since, or has ended; if it has dropped what it shares
//!   with others, as a count or an open file; or if it has taken a lock whose
//!   release is not seen.
//!
//! A race on a static variable with neither is certain, if no call in between
//! was taken for that of a tracked function and was not ([`super::direct`]).
//! Other memory may have been freed in between and be another variable now.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{Thread, ThreadId};

use super::direct;
use super::found;
use super::shadow::{self, Access, Record};
use super::sharded::Sharded;
use super::site::Site;
use super::snapshot::Snapshot;
use super::strand::{self, ACQUIRED, OPAQUE, RESERVED, Strand, Who};
use super::variable;
use crate::sync::{Order, ReleaseClock};

/// What synchronises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    /// The object at this address.
    Address(usize),
    /// All objects that carry this type: channels, whose ends share nothing
    /// else that can be seen.
    Carried(u64),
    /// The spawns of one place, whose functions cannot carry theirs.
    Handoff(u64),
    /// The end of this thread.
    Thread(ThreadId),
    /// The wake-ups of this parked thread.
    Unpark(ThreadId),
    /// The ends of all that was spawned.
    Ended,
}

static OBJECTS: Sharded<Key, ReleaseClock> = Sharded::new();
/// What spawns publish to what has not begun to run, by their number.
static SPAWNS: Sharded<u64, ReleaseClock> = Sharded::new();
static SEQUENCE: AtomicU64 = AtomicU64::new(1);

/// Now, in the sequence of recorded accesses.
#[inline]
pub fn sequence() -> u64 {
    SEQUENCE.load(Ordering::Relaxed)
}

/// What a spawned function knows when it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spawned {
    /// What the spawn of this number has published.
    By(u64),
    /// What all spawns of a place have, of which this is one.
    OneOf {
        /// The place.
        handoff: u64,
        /// The spawn.
        number: u64,
    },
}

impl Spawned {
    fn published(self) -> Option<Vec<u64>> {
        let clock = |object: Option<&ReleaseClock>| object.map(|it| it.as_slice().to_vec());
        match self {
            Self::By(number) => SPAWNS.with(&number, |spawns| clock(spawns.get(&number))),
            Self::OneOf { handoff, .. } => {
                let key = Key::Handoff(handoff);
                OBJECTS.with(&key, |objects| clock(objects.get(&key)))
            }
        }
    }
}

/// Begins the strand of `thread`. Unless its spawn was seen and published by
/// `spawn`, untracked code has run before.
pub fn begin(thread: &Thread, spawn: Option<Spawned>) -> Arc<Strand> {
    let published = spawn.and_then(Spawned::published);
    let known = published.unwrap_or_else(|| vec![sequence(); RESERVED]);
    Strand::begin(thread, &known)
}

/// The strand spawns what has this number.
pub fn spawn(strand: &Strand, number: u64) {
    SPAWNS.with(&number, |spawns| {
        publish(strand, spawns.entry(number).or_default());
    });
}

/// What was spawned begins to run on this strand, which exists. False if the
/// spawn never was seen.
pub fn begin_spawned(strand: &Strand, spawned: Spawned) -> bool {
    match spawned {
        Spawned::By(number) => {
            let published = SPAWNS.with(&number, |spawns| spawns.remove(&number));
            if let Some(object) = &published {
                learn_from(strand, object);
            }
            published.is_some()
        }
        Spawned::OneOf { handoff, number } => {
            let known = acquire(strand, Key::Handoff(handoff));
            SPAWNS.with(&number, |spawns| spawns.remove(&number));
            known
        }
    }
}

/// Makes clocks shorter if it is time to.
fn shorten(strand: &Strand) {
    if strand.with(strand::State::is_to_shorten) == Some(true) {
        strand::shorten(|each| {
            SPAWNS.each(|spawns| spawns.values().for_each(|it| each(it.as_slice())));
        });
    }
}

/// The strand runs what was spawned at `site`.
pub fn runs(strand: &Strand, site: &'static Site) {
    strand.with(|state| {
        state.who = Arc::new(Who {
            name: state.who.name.clone(),
            spawned: Some(site),
        });
    });
}

/// The strand knows what the object publishes. False if nothing ever was
/// published there.
pub fn acquire(strand: &Strand, key: Key) -> bool {
    OBJECTS.with(&key, |objects| {
        let Some(object) = objects.get(&key) else {
            return false;
        };
        learn_from(strand, object);
        true
    })
}

/// As [`acquire`], by the only one who ever does.
pub fn acquire_last(strand: &Strand, key: Key) -> bool {
    let object = OBJECTS.with(&key, |objects| objects.remove(&key));
    if let Some(object) = &object {
        learn_from(strand, object);
    }
    shorten(strand);
    object.is_some()
}

/// The object publishes what the strand knows.
pub fn release(strand: &Strand, key: Key) {
    OBJECTS.with(&key, |objects| {
        publish(strand, objects.entry(key).or_default());
    });
    shorten(strand);
}

/// As [`release`], into a task's clock.
pub fn release_into(strand: &Strand, task: &mut Snapshot) {
    strand.with(|state| {
        task.release(&state.clocks, &mut state.last);
        state.tick();
    });
    shorten(strand);
}

/// The object publishes what the strand knows.
pub fn publish(strand: &Strand, object: &mut ReleaseClock) {
    strand.with(|state| {
        state.clocks.release(object);
        object.by_nobody();
        state.tick();
    });
}

/// As [`acquire`], from a task's clock.
pub fn acquire_from(strand: &Strand, task: &Snapshot) {
    strand.with(|state| task.acquire(&mut state.clocks));
}

fn learn_from(strand: &Strand, object: &ReleaseClock) {
    strand.with(|state| state.clocks.load(object, true));
}

/// An atomic load of what is at `addr` has happened.
pub fn load(strand: &Strand, addr: usize, acquire: bool) {
    let key = Key::Address(addr);
    OBJECTS.with(&key, |objects| {
        if let Some(object) = objects.get(&key) {
            strand.with(|state| state.clocks.load(object, acquire));
        }
    });
}

/// An atomic store to what is at `addr` is about to happen.
pub fn store(strand: &Strand, addr: usize, order: Order) {
    let publishes = strand.with(|state| order.release || state.clocks.has_released());
    if publishes != Some(true) {
        return;
    }
    let key = Key::Address(addr);
    OBJECTS.with(&key, |objects| {
        let object = objects.entry(key).or_default();
        strand.with(|state| {
            // As a read-modify-write: what the object has published stays.
            if state.clocks.read_modify_write(object, order) {
                object.by_nobody();
                state.tick();
            }
        });
    });
}

/// A fence.
pub fn fence(strand: &Strand, order: Order) {
    strand.with(|state| {
        if state.clocks.fence(order) {
            state.tick();
        }
    });
}

/// Checks and records an access. The stamp at which it was recorded.
pub fn access(strand: &Arc<Strand>, access: &Access) -> Option<u64> {
    let (races, record, stamp, past) = strand.with(|state| {
        let stamp = state.accesses();
        let record = Record {
            site: access.site,
            owner: access.owner,
            strand: Arc::clone(strand),
            who: Arc::clone(&state.who),
            sequence: SEQUENCE.fetch_add(1, Ordering::Relaxed),
            epoch: stamp.epoch(),
            context: access.context,
            locks: state.held.iter().map(|(_, site)| *site).collect(),
            type_name: access.type_name,
            writes: access.writes,
        };
        let clocks = &state.clocks;
        let races = shadow::access(access, stamp, &record, |cell| clocks.ordered(cell));
        let past = [clocks.now()[OPAQUE], clocks.now()[ACQUIRED]];
        (races, record, stamp, past)
    })?;
    for (earlier, stays) in races {
        let [opaque, acquired] = past;
        let acquired = acquired > earlier.sequence;
        let published = || {
            let Record {
                sequence, epoch, ..
            } = earlier;
            earlier.strand.may_have_published(sequence, epoch)
        };
        let ran_unseen = opaque > earlier.sequence;
        let ordered_unseen = ran_unseen || acquired && published();
        // If it has ended, most likely what ran waited for its end.
        if !(ran_unseen && earlier.strand.has_ended()) {
            let stays = stays || variable::at(access.addr).is_some();
            let certain = stays && !ordered_unseen && direct::all_since(earlier.sequence);
            found::tell_race(&earlier, &record, access.addr, certain);
        }
    }
    Some(stamp.bits())
}
