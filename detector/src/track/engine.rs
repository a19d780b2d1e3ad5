//! The engine's state under the source front end: strands and their clocks,
//! what synchronises them, the shadow of what they access, what was found.
//!
//! The rules are those of the pure parts: [`crate::sync`] orders,
//! [`crate::race`] decides. One lock guards all of it; a thread that repeats
//! an access in an epoch does not come here ([`super::strand`]).
//!
//! *Never claims an order that is missing.* An atomic operation and the hook
//! beside it are two steps, so what an object publishes is only ever added to,
//! and is published before the operation. A lock's guard may outlive what the
//! attribute sees of it, so who acquires a lock knows all that its holder has
//! done up to then, unless the release itself was seen ([`Engine::unlock`]).
//! Both order too much, and hide races that the whole-program front end finds.
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
//!   released anything since, or has ended.
//!
//! A race on a static variable with neither is certain. Other memory may have
//! been freed in between and be another variable now.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Thread, ThreadId};

use super::context::ContextId;
use super::found;
use super::shadow::Shadow;
use super::site::Site;
use super::strand::{Shared, StrandId};
use crate::ids::{Epoch, Slot};
use crate::report::source::Finding;
use crate::sync::{Clocks, Order, ReleaseClock};

/// The component of each clock that tells when untracked code last ran.
const OPAQUE: usize = 0;
/// The component that tells when a known object was last acquired.
const ACQUIRED: usize = 1;
/// Components before those of strands.
const RESERVED: usize = 2;

/// Ended strands whose slot is kept though nobody saw their end.
const FORGET_ABOVE: usize = 4096;

/// Findings that one process keeps.
const FINDINGS: usize = 200;

/// A table whose keys are addresses and numbers of our own.
pub type Map<K, V> = HashMap<K, V, BuildHasherDefault<Mix>>;

type Set = HashSet<usize, BuildHasherDefault<Mix>>;

/// Hashes a few words, quickly: nobody chooses them to collide.
#[derive(Debug, Default, Clone, Copy)]
pub struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn write_isize(&mut self, word: isize) {
        self.write_u64(word.cast_unsigned() as u64);
    }
}

/// What synchronises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    /// The object at this address.
    Address(usize),
    /// All objects that carry this type: channels, whose ends share nothing
    /// else that can be seen.
    Carried(u64),
    /// A spawn, from the spawner to what is spawned.
    Spawn(u64),
    /// The end of this thread.
    Thread(ThreadId),
    /// The ends of all that was spawned.
    Ended,
}

/// Who has a lock, as far as is seen.
#[derive(Debug, Clone, Copy)]
struct Holder {
    strand: StrandId,
    /// For reading.
    shared: bool,
    /// The release that will be seen; zero if none will.
    release: u64,
    /// The guard may be on another thread by now.
    wanders: bool,
}

#[derive(Debug, Default)]
struct Lock {
    clock: ReleaseClock,
    holders: Vec<Holder>,
}

/// A strand that has not ended.
#[derive(Debug)]
struct Live {
    slot: Slot,
    clocks: Clocks,
    shared: Arc<Shared>,
    /// Locks that it surely holds: their release, and where they were taken.
    held: Vec<(u64, &'static Site)>,
    /// Locks that it has taken and that nobody else has taken since, as far
    /// as is known; more than that at worst.
    taken: Set,
}

/// What is known of a strand for good.
#[derive(Debug, Clone)]
pub struct Who {
    /// The thread's name.
    pub name: Option<String>,
    /// Where it was spawned, if that was tracked.
    pub spawned: Option<&'static Site>,
    /// What it belongs to.
    pub context: ContextId,
}

/// An access, for the shadow and for the report.
#[derive(Debug, Clone)]
pub struct Record {
    /// Where.
    pub site: &'static Site,
    /// By whom.
    pub strand: StrandId,
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

/// Something found, and the contexts it belongs to.
#[derive(Debug, Clone)]
pub struct Found {
    /// What.
    pub finding: Finding,
    /// Of its legs.
    pub contexts: Vec<ContextId>,
}

/// Whether a race is one for sure.
enum Doubt {
    None,
    Some,
}

/// The engine.
#[derive(Default)]
pub struct Engine {
    live: BTreeMap<StrandId, Live>,
    who: HashMap<StrandId, Who>,
    ended: Vec<(Slot, Epoch)>,
    spare: Vec<Clocks>,
    slots: usize,
    strands: u64,
    objects: Map<Key, ReleaseClock>,
    locks: Map<usize, Lock>,
    shadow: Shadow,
    found: Vec<Found>,
    told: HashSet<[(&'static str, u32, u32); 2]>,
    dropped: u64,
}

static ENGINE: Mutex<Option<Engine>> = Mutex::new(None);
static SEQUENCE: AtomicU64 = AtomicU64::new(1);

/// Now, in the sequence of recorded accesses.
#[inline]
pub fn sequence() -> u64 {
    SEQUENCE.load(Ordering::Relaxed)
}

/// Calls `f` with the engine, under its lock.
pub fn with<R>(f: impl FnOnce(&mut Engine) -> R) -> R {
    let mut engine = ENGINE.lock().unwrap_or_else(PoisonError::into_inner);
    f(engine.get_or_insert_default())
}

impl Engine {
    /// Begins the strand of `thread`. Its number and its first stamp. Unless
    /// its spawn was seen and published by `spawn`, untracked code has run
    /// before.
    pub fn begin_strand(
        &mut self,
        thread: &Thread,
        shared: Arc<Shared>,
        spawn: Option<Key>,
    ) -> (StrandId, u64) {
        let known = spawn.and_then(|key| self.objects.get(&key));
        let known = known.map_or_else(
            || vec![sequence(); RESERVED],
            |object| object.as_slice().to_vec(),
        );
        let (slot, epoch) = self.take_slot(&known);
        let mut clocks = self.spare.pop().unwrap_or_default();
        clocks.start(slot, epoch, &known);
        let stamp = clocks.stamp().bits();
        let id = StrandId(self.strands);
        self.strands += 1;
        self.live.insert(
            id,
            Live {
                slot,
                clocks,
                shared,
                held: Vec::new(),
                taken: Set::default(),
            },
        );
        self.who.insert(
            id,
            Who {
                name: thread.name().map(str::to_owned),
                spawned: None,
                context: ContextId::ROOT,
            },
        );
        (id, stamp)
    }

    /// A slot for a strand that knows this clock: one whose last epoch it
    /// knows, a new one, or, beyond a limit, the one that ended first.
    fn take_slot(&mut self, clock: &[u64]) -> (Slot, Epoch) {
        let known = |&(slot, last): &(Slot, Epoch)| crate::clock::covers(clock, slot, last);
        let reused = match self.ended.iter().rposition(known) {
            Some(at) => Some(self.ended.remove(at)),
            None if self.ended.len() > FORGET_ABOVE || self.slots + RESERVED == Slot::COUNT => {
                Some(self.ended.remove(0))
            }
            None => None,
        };
        if let Some((slot, last)) = reused {
            return (slot, Epoch::new(last.get() + 1));
        }
        let slot = Slot::new(RESERVED + self.slots);
        self.slots += 1;
        (slot, Epoch::new(1))
    }

    /// The thread of this strand ends.
    pub fn end_strand(&mut self, id: StrandId) {
        let Some(mut live) = self.live.remove(&id) else {
            return;
        };
        for addr in std::mem::take(&mut live.taken) {
            if let Some(lock) = self.locks.get_mut(&addr)
                && lock.holders.iter().any(|holder| holder.strand == id)
            {
                live.clocks.release(&mut lock.clock);
                lock.holders.retain(|holder| holder.strand != id);
            }
        }
        let stamp = live.clocks.stamp();
        self.ended.push((live.slot, stamp.epoch()));
        self.spare.push(live.clocks);
    }

    /// What is known of a strand.
    pub fn who(&self, id: StrandId) -> Option<&Who> {
        self.who.get(&id)
    }

    /// The strand runs what was spawned at `spawned`.
    pub fn belongs(&mut self, id: StrandId, spawned: Option<&'static Site>, context: ContextId) {
        if let Some(who) = self.who.get_mut(&id) {
            who.spawned = spawned;
            who.context = context;
        }
    }

    fn live(&mut self, id: StrandId) -> Option<&mut Live> {
        self.live.get_mut(&id).map(Live::up_to_date)
    }

    /// The strand knows what the object publishes. False if nothing ever was
    /// published there.
    pub fn acquire(&mut self, id: StrandId, key: Key) -> bool {
        let Some(object) = self.objects.get(&key) else {
            return false;
        };
        if let Some(live) = self.live.get_mut(&id) {
            live.up_to_date().clocks.load(object, true);
        }
        true
    }

    /// Nobody acquires it again.
    pub fn forget(&mut self, key: Key) {
        self.objects.remove(&key);
    }

    /// The object publishes what the strand knows. The strand's next stamp.
    pub fn release(&mut self, id: StrandId, key: Key) -> Option<u64> {
        let live = self.live.get_mut(&id)?.up_to_date();
        live.clocks.release(self.objects.entry(key).or_default());
        Some(live.tick())
    }

    /// As [`Engine::release`], into a clock that the caller keeps.
    pub fn release_into(&mut self, id: StrandId, object: &mut ReleaseClock) -> Option<u64> {
        let live = self.live(id)?;
        live.clocks.release(object);
        Some(live.tick())
    }

    /// As [`Engine::acquire`], from a clock that the caller keeps.
    pub fn acquire_from(&mut self, id: StrandId, object: &ReleaseClock) {
        if let Some(live) = self.live(id) {
            live.clocks.load(object, true);
        }
    }

    /// An atomic load of what is at `addr` has happened.
    pub fn load(&mut self, id: StrandId, addr: usize, acquire: bool) {
        let object = self.objects.get(&Key::Address(addr));
        if let (Some(object), Some(live)) = (object, self.live.get_mut(&id)) {
            live.up_to_date().clocks.load(object, acquire);
        }
    }

    /// An atomic store to what is at `addr` is about to happen.
    pub fn store(&mut self, id: StrandId, addr: usize, order: Order) -> Option<u64> {
        let live = self.live.get_mut(&id)?.up_to_date();
        if !order.release && !live.clocks.has_released() {
            // It publishes nothing.
            return Some(live.clocks.stamp().bits());
        }
        let object = self.objects.entry(Key::Address(addr)).or_default();
        // As a read-modify-write: what the object has published stays.
        if live.clocks.read_modify_write(object, order) {
            Some(live.tick())
        } else {
            Some(live.clocks.stamp().bits())
        }
    }

    /// A fence.
    pub fn fence(&mut self, id: StrandId, order: Order) -> Option<u64> {
        let live = self.live(id)?;
        if live.clocks.fence(order) {
            Some(live.tick())
        } else {
            Some(live.clocks.stamp().bits())
        }
    }

    /// The strand has acquired a lock; `release` is not zero if the hook of
    /// its release will be called.
    pub fn lock(
        &mut self,
        id: StrandId,
        addr: usize,
        shared: bool,
        site: &'static Site,
        release: u64,
        wanders: bool,
    ) {
        let mut lock = self.locks.remove(&addr).unwrap_or_default();
        for holder in &lock.holders {
            if !(shared && holder.shared) {
                self.learn(id, holder);
            }
        }
        lock.holders
            .retain(|holder| shared && holder.shared && holder.strand != id);
        if let Some(live) = self.live(id) {
            live.clocks.acquire(&lock.clock);
            live.taken.insert(addr);
            if release != 0 {
                live.held.push((release, site));
            }
        }
        lock.holders.push(Holder {
            strand: id,
            shared,
            release,
            wanders,
        });
        self.locks.insert(addr, lock);
    }

    /// The strand knows all that the holder has done.
    fn learn(&mut self, id: StrandId, holder: &Holder) {
        let mut known: Vec<Vec<u64>> = Vec::new();
        for (other, live) in &mut self.live {
            if *other != id && (holder.wanders || *other == holder.strand) {
                known.push(live.clocks.now().to_vec());
                // What it does next is not among it.
                live.tick();
            }
        }
        if let Some(live) = self.live(id) {
            for clock in known {
                live.clocks.learn(&clock);
            }
        }
    }

    /// A lock whose release is seen was released.
    pub fn unlock(&mut self, id: StrandId, addr: usize, release: u64) -> Option<u64> {
        for live in self.live.values_mut() {
            live.held.retain(|(held, _)| *held != release);
        }
        if let Some(live) = self.live.get_mut(&id) {
            live.taken.remove(&addr);
        }
        let mut lock = self.locks.remove(&addr)?;
        let held = lock.holders.iter().any(|holder| holder.release == release);
        let mut stamp = None;
        if held {
            lock.holders.retain(|holder| holder.release != release);
            stamp = self.release_into(id, &mut lock.clock);
        }
        self.locks.insert(addr, lock);
        stamp
    }

    /// The strand waited with a lock released, and has it again.
    pub fn relock(&mut self, id: StrandId) {
        let mine = match self.live.get(&id) {
            Some(live) => live.taken.clone(),
            None => Set::default(),
        };
        for addr in mine {
            let Some(lock) = self.locks.remove(&addr) else {
                continue;
            };
            for holder in lock.holders.iter().filter(|holder| holder.strand != id) {
                self.learn(id, holder);
            }
            if let Some(live) = self.live(id) {
                live.clocks.acquire(&lock.clock);
            }
            self.locks.insert(addr, lock);
        }
    }

    /// This memory is a static variable's.
    pub fn stays(&mut self, addr: usize, size: usize) {
        self.shadow.stays(addr, size);
    }

    /// Checks and records an access. The strand's stamp.
    pub fn access(&mut self, id: StrandId, access: &super::shadow::Access) -> Option<u64> {
        let live = self.live(id)?;
        let locks = live.held.iter().map(|(_, site)| *site).collect();
        let stamp = live.clocks.stamp();
        let record = Record {
            site: access.site,
            strand: id,
            sequence: SEQUENCE.fetch_add(1, Ordering::Relaxed),
            epoch: stamp.epoch(),
            context: access.context,
            locks,
            type_name: access.type_name,
            writes: access.writes,
        };
        let clocks = &self.live[&id].clocks;
        let races = self
            .shadow
            .access(access, stamp, &record, |cell| clocks.ordered(cell));
        for (earlier, stays) in races {
            match self.doubt(&earlier, id) {
                Doubt::None => self.tell(&earlier, &record, stays),
                Doubt::Some if self.live.contains_key(&earlier.strand) => {
                    self.tell(&earlier, &record, false);
                }
                // Most likely somebody waited for its end.
                Doubt::Some => {}
            }
        }
        Some(stamp.bits())
    }

    /// Whether something unseen can have ordered `earlier` before what `id`
    /// does now.
    fn doubt(&self, earlier: &Record, id: StrandId) -> Doubt {
        let Some(live) = self.live.get(&id) else {
            return Doubt::Some;
        };
        let now = live.clocks.now();
        let released = match self.live.get(&earlier.strand) {
            Some(other) => other.clocks.stamp().epoch() > earlier.epoch,
            None => true,
        };
        let opaque = now[OPAQUE] > earlier.sequence;
        let acquired = now[ACQUIRED] > earlier.sequence;
        if opaque || (acquired && released) {
            Doubt::Some
        } else {
            Doubt::None
        }
    }

    fn tell(&mut self, earlier: &Record, now: &Record, certain: bool) {
        let allowed = [earlier, now]
            .iter()
            .any(|record| record.site.item.allows("data_race").is_some());
        let mut pair = [earlier.site, now.site].map(|site| (site.file, site.line, site.column));
        pair.sort_unstable();
        if allowed || self.told.contains(&pair) {
            return;
        }
        if self.found.len() >= FINDINGS {
            self.dropped += 1;
            return;
        }
        self.told.insert(pair);
        let finding = found::race(self, earlier, now, certain);
        self.found.push(Found {
            finding,
            contexts: vec![earlier.context, now.context],
        });
    }

    /// Takes the findings of some contexts out.
    pub fn take(&mut self, belongs: impl Fn(&Found) -> bool) -> Vec<Finding> {
        let (taken, kept) = std::mem::take(&mut self.found)
            .into_iter()
            .partition(belongs);
        self.found = kept;
        let taken: Vec<Found> = taken;
        taken.into_iter().map(|found| found.finding).collect()
    }
}

impl Live {
    /// With what it has told without the engine's lock.
    fn up_to_date(&mut self) -> &mut Self {
        let opaque = self.shared.opaque.load(Ordering::Relaxed);
        let acquired = self.shared.acquired.load(Ordering::Relaxed);
        let now = self.clocks.now();
        if now[OPAQUE] < opaque || now[ACQUIRED] < acquired {
            self.clocks.learn(&[opaque, acquired]);
        }
        self
    }

    /// Ends the epoch. The next stamp.
    fn tick(&mut self) -> u64 {
        // The last epochs of a slot are never used up: after 2^38 releases of
        // one thread its further ones share an epoch, which hides races and
        // invents none.
        let left = self.clocks.stamp().epoch().get() + 2 < Epoch::MAX.get();
        let retire = left && self.clocks.tick();
        debug_assert!(!retire, "the last epoch is not reached");
        self.clocks.stamp().bits()
    }
}
