//! Strands: the threads as the source front end knows them, and their clocks.
//!
//! What others read of a strand on the way are atomics; its clocks are behind
//! a lock of its own, which its own thread takes, and others only when it
//! hands over a lock whose release was not seen.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::Thread;

use super::sharded::{Map, lock};
use super::site::Site;
use super::slots::Slots;
use super::snapshot::Last;
use crate::ids::{Epoch, Slot};
use crate::shadow::word::Stamp;
use crate::sync::Clocks;

/// The component of each clock that tells when untracked code last ran.
pub const OPAQUE: usize = 0;
/// The component that tells when a known object was last acquired.
pub const ACQUIRED: usize = 1;
/// Components before those of strands.
pub const RESERVED: usize = 2;

/// Components up to which a clock costs nothing to speak of.
const SHORT: usize = 16;
/// Components that operations have copied, before somebody looks whether clocks
/// can be shorter.
const COPIED: usize = 1 << 14;

/// Number of a strand: never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StrandId(pub u64);

/// What is known of who runs on a strand.
#[derive(Debug, Default)]
pub struct Who {
    /// The thread's name.
    pub name: Option<String>,
    /// Where it was spawned, if that was tracked.
    pub spawned: Option<&'static Site>,
}

/// A strand.
#[derive(Debug)]
pub struct Strand {
    /// Its number.
    pub id: StrandId,
    /// Slot and epoch, as in a shadow cell; all ones when it has ended.
    stamp: AtomicU64,
    /// It ran code that is not tracked.
    opaque: When,
    /// It called what may turn out not to be tracked; never, once that is known.
    calling: When,
    /// It acquired a known object.
    acquired: When,
    /// It dropped what it shares with others, of whom not all are known.
    shared: When,
    /// None when it has ended.
    state: Mutex<Option<State>>,
}

/// When something last happened, in the sequence of accesses; zero if it never did.
#[derive(Debug, Default)]
struct When(AtomicU64);

impl When {
    /// Who sees it sees what was set before.
    #[inline]
    fn set(&self, now: u64) {
        self.0.store(now, Ordering::Release);
    }

    #[inline]
    fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// The clocks of a strand that has not ended.
#[derive(Debug)]
pub struct State {
    slot: Slot,
    /// What happens before now.
    pub clocks: Clocks,
    /// What tasks were last given of them.
    pub last: Last,
    /// Locks that it surely holds: their release, and where they were taken.
    pub held: Vec<(u64, &'static Site)>,
    /// Locks that it has taken and that nobody else has taken since, as far
    /// as is known, more than that at worst.
    pub taken: Map<usize, Taken>,
    /// Who it is at the moment.
    pub who: Arc<Who>,
    /// It has accessed something in this epoch.
    used: bool,
    /// Components of long clocks that were gone through.
    copied: usize,
}

/// A lock that a strand has taken.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    /// What is left to come of it, its release, will be seen, or has come.
    pub is_seen: bool,
    /// Somebody else has had it since.
    pub is_over: bool,
    /// Its size, in bytes.
    pub size: usize,
    /// What it protects, as in [`super::object::Known::guarded`].
    pub guarded: u64,
    /// Where it was taken last.
    pub site: &'static Site,
}

/// All strands.
struct Strands {
    slots: Slots,
    spare: Vec<Clocks>,
    count: u64,
    live: Map<u64, Arc<Strand>>,
}

static STRANDS: Mutex<Strands> = Mutex::new(Strands {
    slots: Slots::new(),
    spare: Vec::new(),
    count: 0,
    live: Map::with_hasher(std::hash::BuildHasherDefault::new()),
});

/// Components that a clock needs.
static LIMIT: AtomicUsize = AtomicUsize::new(RESERVED);
/// What the next look costs, in components.
static LOOK: AtomicUsize = AtomicUsize::new(COPIED);

/// Gives back slots that are past for everybody; `pending` calls with the clocks
/// of spawns that have not begun.
pub fn shorten(pending: impl FnOnce(&mut dyn FnMut(&[u64]))) {
    let mut strands = lock(&STRANDS);
    let Strands { slots, live, .. } = &mut *strands;
    let before = slots.limit();
    // A spawn is published by what is live, and begins under the lock that is
    // held here: looked at last, none is missed.
    let clocks = slots.shorten(|each| {
        for strand in live.values() {
            strand.with(|state| each(state.clocks.known()));
        }
        pending(each);
    });
    LIMIT.store(slots.limit(), Ordering::Relaxed);
    let next = if slots.limit() < before {
        COPIED
    } else {
        // In vain: not sooner again than it costs next to nothing.
        (clocks * before * 16).max(LOOK.load(Ordering::Relaxed))
    };
    LOOK.store(next.clamp(COPIED, 1 << 30), Ordering::Relaxed);
}

/// All strands that have not ended.
pub fn live() -> Vec<Arc<Strand>> {
    lock(&STRANDS).live.values().map(Arc::clone).collect()
}

impl Strand {
    /// The strand of `thread` begins, and knows what `known` says.
    pub fn begin(thread: &Thread, known: &[u64]) -> Arc<Self> {
        let mut strands = lock(&STRANDS);
        let (slot, epoch) = strands.slots.take(known);
        LIMIT.store(strands.slots.limit(), Ordering::Relaxed);
        let mut clocks = strands.spare.pop().unwrap_or_default();
        clocks.start(slot, epoch, known);
        clocks.learn(strands.slots.floor());
        let strand = Arc::new(Self {
            id: StrandId(strands.count),
            stamp: AtomicU64::new(clocks.stamp().bits()),
            opaque: When::default(),
            calling: When::default(),
            acquired: When::default(),
            shared: When::default(),
            state: Mutex::new(Some(State {
                slot,
                clocks,
                last: Last::default(),
                held: Vec::new(),
                taken: Map::default(),
                who: Arc::new(Who {
                    name: thread.name().map(str::to_owned),
                    spawned: None,
                }),
                used: false,
                copied: 0,
            })),
        });
        strands.count += 1;
        strands.live.insert(strand.id.0, Arc::clone(&strand));
        strand
    }

    /// The thread ends. What it had to publish is published; `sequence` is after
    /// its last access.
    pub fn end(&self, sequence: u64) {
        let Some(state) = lock(&self.state).take() else {
            return;
        };
        self.stamp.store(u64::MAX, Ordering::Relaxed);
        let epoch = state.clocks.stamp().epoch().get();
        // What the last release published is all that there was, as a rule.
        let last = if state.used { epoch } else { epoch - 1 };
        let mut strands = lock(&STRANDS);
        strands.live.remove(&self.id.0);
        strands.slots.end(state.slot, Epoch::new(last), sequence);
        strands.spare.push(state.clocks);
    }

    /// True once its thread has ended.
    pub fn has_ended(&self) -> bool {
        self.stamp() == u64::MAX
    }

    /// Slot and epoch, as in a shadow cell.
    #[inline]
    pub fn stamp(&self) -> u64 {
        self.stamp.load(Ordering::Relaxed)
    }

    /// True if it has released something since that epoch, or has ended.
    fn has_released_since(&self, epoch: Epoch) -> bool {
        let stamp = self.stamp();
        stamp == u64::MAX || crate::shadow::word::Cell::from_bits(stamp).epoch() > epoch
    }

    /// Code that is not tracked ran at `now`.
    pub fn ran_opaque(&self, now: u64) {
        self.opaque.set(now);
    }

    /// A function was called at `now` that may be tracked; zero once that is
    /// known.
    pub fn calls(&self, now: u64) {
        self.calling.set(now);
    }

    /// True if something may have learned what it did before `sequence`, in
    /// `epoch`: it has released something since, has run code that is not
    /// tracked, or has ended; or it has a lock whose release is not seen.
    pub fn may_have_published(&self, sequence: u64, epoch: Epoch) -> bool {
        self.has_released_since(epoch)
            // What was called is the first: once it is known, another says so.
            || [&self.calling, &self.opaque, &self.shared]
                .iter()
                .any(|when| when.get() > sequence)
            || super::locks::has_unseen(self) != Some(false)
    }

    /// What it shared with others, whom nobody knows, was dropped at `now`.
    pub fn dropped_shared(&self, now: u64) {
        self.shared.set(now);
    }

    /// A known object was acquired at `now`.
    pub fn acquired(&self, now: u64) {
        self.acquired.set(now);
    }

    /// Who runs on it; none if it has ended.
    pub fn who(&self) -> Option<Arc<Who>> {
        lock(&self.state)
            .as_ref()
            .map(|state| Arc::clone(&state.who))
    }

    /// Calls `f` with its clocks, up to date, under its lock; none if it has
    /// ended.
    pub fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> Option<R> {
        let mut state: MutexGuard<'_, Option<State>> = lock(&self.state);
        let state = state.as_mut()?;
        state.clocks.shorten(LIMIT.load(Ordering::Relaxed));
        let opaque = self.opaque.get();
        let acquired = self.acquired.get();
        let now = state.clocks.now();
        if now[OPAQUE] < opaque || now[ACQUIRED] < acquired {
            state.clocks.learn(&[opaque, acquired]);
        }
        let result = f(state);
        let len = state.clocks.now().len();
        if len > SHORT {
            state.copied += len;
        }
        self.stamp
            .store(state.clocks.stamp().bits(), Ordering::Relaxed);
        Some(result)
    }
}

impl State {
    /// True, once, when its long clocks have cost more than to look whether they
    /// can be shorter.
    pub fn is_to_shorten(&mut self) -> bool {
        let is = self.copied >= LOOK.load(Ordering::Relaxed);
        if is {
            self.copied = 0;
        }
        is
    }

    /// Ends the epoch.
    pub fn tick(&mut self) {
        self.used = false;
        // The last epochs of a slot are never used up: after 2^38 releases of
        // one thread its further ones share an epoch, which hides races and
        // invents none.
        let left = self.clocks.stamp().epoch().get() + 2 < Epoch::MAX.get();
        let retire = left && self.clocks.tick();
        debug_assert!(!retire, "the last epoch is not reached");
    }

    /// An access of this epoch is recorded.
    pub fn accesses(&mut self) -> Stamp {
        self.used = true;
        self.clocks.stamp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A slot is reused at once by who knows all that was done in it: clocks
    /// are as long as slots are in use.
    #[test]
    fn a_slot_whose_end_is_known_is_reused() {
        let thread = std::thread::current();
        let first = Strand::begin(&thread, &[0; RESERVED]);
        let (slot, known) = first
            .with(|state| {
                state.accesses();
                let known = state.clocks.now().to_vec();
                state.tick();
                (state.slot, known)
            })
            .unwrap();
        first.end(1);
        assert!(first.has_ended());
        let second = Strand::begin(&thread, &known);
        assert_eq!(second.with(|state| state.slot), Some(slot));
        // Who does not know it gets another.
        second.with(|state| {
            state.accesses();
        });
        second.end(2);
        let third = Strand::begin(&thread, &known);
        assert_ne!(third.with(|state| state.slot), Some(slot));
        third.end(3);
    }
}
