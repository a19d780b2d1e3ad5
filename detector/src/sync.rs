//! Release and acquire: how atomic operations and fences order threads.
//!
//! C11 7.17.3 and 7.17.4, with the release sequence as C++20 has it (P0982):
//! a release sequence is its head and the read-modify-writes that follow it;
//! any other store ends it, also one by the same thread. Fences as in Lahav
//! et al., *Repairing Sequential Consistency in C/C++11* (PLDI 2017), as Miri
//! implements them: a release fence leaves a clock that later relaxed stores
//! publish, a relaxed load leaves a clock that a later acquire fence joins.
//!
//! What it misses: the order that sequentially consistent operations have
//! among themselves beyond release and acquire, which is not happens-before.
//!
//! Pure: it holds clocks and moves them; who holds which lock is the caller's.

use crate::clock::{self, VectorClock};
use crate::ids::{Epoch, Slot};
use crate::shadow::word::{Cell, Stamp};

/// What an atomic variable, or another sync object, publishes to those who
/// acquire it.
#[derive(Debug, Default)]
#[repr(C)]
pub struct ReleaseClock {
    /// The bits of a stamp, if not zero: whoever knows this epoch of this slot
    /// knows all of `clock`.
    all_of: u64,
    clock: VectorClock,
}

impl ReleaseClock {
    /// One that publishes nothing.
    pub const fn new() -> Self {
        Self {
            clock: VectorClock::new(),
            all_of: 0,
        }
    }

    /// True if there is nothing to acquire.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.clock.is_empty()
    }

    /// Publishes nothing any more, and keeps the memory of a short clock only.
    pub fn put_away(&mut self) {
        self.clock.put_away();
        self.all_of = 0;
    }

    /// No stamp stands for all of it: where slots are used again by who does
    /// not know all of what their threads knew.
    pub fn by_nobody(&mut self) {
        self.all_of = 0;
    }

    /// The components of what it publishes.
    pub fn as_slice(&self) -> &[u64] {
        self.clock.as_slice()
    }

    /// The stamp whose knowledge includes this clock, if there is one.
    #[inline]
    pub fn all_of(&self) -> Option<Stamp> {
        (self.all_of != 0).then_some(Cell::from_bits(self.all_of).stamp())
    }
}

/// Whether an operation acquires, and whether it releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// acquire, acq_rel, seq_cst (and consume, which is acquire in practice).
    pub acquire: bool,
    /// release, acq_rel, seq_cst.
    pub release: bool,
}

/// The clocks of a thread.
#[derive(Debug)]
pub struct Clocks {
    /// What happens before now. Its own component is the current epoch.
    now: Box<[u64; Slot::COUNT]>,
    /// Components that are handed on. Those beyond are zero, or were cut off.
    len: usize,
    /// Those beyond here and beyond `len` are zero.
    cut: usize,
    slot: Slot,
    /// The epoch in which something was last learned: since then, only the own
    /// component changed.
    learned: u64,
    /// `now` as of the last release fence.
    released: VectorClock,
    /// What relaxed loads have read since ever, for the next acquire fence.
    pending: VectorClock,
}

impl Clocks {
    /// The clocks of a thread that knows nothing and has no slot yet.
    pub fn new() -> Self {
        Self {
            now: zeroed(),
            len: 0,
            cut: 0,
            slot: Slot::new(0),
            learned: 0,
            released: VectorClock::new(),
            pending: VectorClock::new(),
        }
    }

    /// Starts a thread in `slot` at `epoch`, knowing what `parent` knows.
    pub fn start(&mut self, slot: Slot, epoch: Epoch, parent: &[u64]) {
        let known = self.len.max(self.cut);
        self.now[..known].fill(0);
        self.cut = 0;
        self.now[..parent.len()].copy_from_slice(parent);
        self.len = parent.len().max(slot.index() + 1);
        self.slot = slot;
        self.now[slot.index()] = epoch.get();
        self.learned = epoch.get();
        self.released.clear();
        self.pending.clear();
    }

    /// Goes on in another slot, whose earlier threads it knows.
    pub fn change_slot(&mut self, slot: Slot, epoch: Epoch) {
        self.slot = slot;
        self.len = self.len.max(slot.index() + 1);
        self.now[slot.index()] = epoch.get();
        self.learned = epoch.get();
    }

    /// Hands on no more than `len` components from now on: what is beyond is
    /// known to all that acquire. It stays known here.
    #[inline]
    pub fn shorten(&mut self, len: usize) {
        let len = len.max(self.slot.index() + 1);
        if self.len > len {
            self.cut = self.cut.max(self.len);
            self.len = len;
        }
    }

    /// What happens before now, with what is not handed on.
    #[inline]
    pub fn known(&self) -> &[u64] {
        &self.now[..self.len.max(self.cut)]
    }

    /// What happens before now.
    #[inline]
    pub fn now(&self) -> &[u64] {
        &self.now[..self.len]
    }

    /// Where `now` is, for others to read single components of.
    pub fn base(&self) -> *const u64 {
        self.now.as_ptr()
    }

    /// True if the access of `cell` happens before now.
    #[inline]
    pub fn ordered(&self, cell: Cell) -> bool {
        self.now[cell.slot().index()] >= cell.epoch().get()
    }

    /// True if all that `object` publishes is known.
    #[inline]
    pub fn knows(&self, object: &ReleaseClock) -> bool {
        object.is_empty() || object.all_of().is_some_and(|s| self.knows_stamp(s))
    }

    /// True if that epoch of that slot is known.
    #[inline]
    pub fn knows_stamp(&self, stamp: Stamp) -> bool {
        self.now[stamp.slot().index()] >= stamp.epoch().get()
    }

    /// The current epoch.
    pub fn stamp(&self) -> Stamp {
        Stamp::new(self.slot, Epoch::new(self.now[self.slot.index()]))
    }

    /// Ends the epoch, so that what was published does not cover what follows.
    /// True if the slot has no epoch left after it and must be changed.
    #[must_use]
    pub fn tick(&mut self) -> bool {
        let time = &mut self.now[self.slot.index()];
        *time += 1;
        *time == Epoch::MAX.get()
    }

    /// Knows all that `other` knows, too.
    pub fn learn(&mut self, other: &[u64]) {
        clock::join(&mut self.now[..], other);
        self.len = self.len.max(other.len());
        self.learned = self.now[self.slot.index()];
    }

    /// Knows that epoch of that slot, too.
    pub fn learn_stamp(&mut self, stamp: Stamp) {
        let at = stamp.slot().index();
        self.now[at] = self.now[at].max(stamp.epoch().get());
        self.len = self.len.max(at + 1);
        self.learned = self.now[self.slot.index()];
    }

    /// Acquires `object`: an acquire load, a lock, a join.
    #[inline]
    pub fn acquire(&mut self, object: &ReleaseClock) {
        if !self.knows(object) {
            self.learn(object.clock.as_slice());
        }
    }

    /// Releases into `object`, which keeps what it published before. The
    /// caller ends the epoch with [`Clocks::tick`].
    #[inline]
    pub fn release(&mut self, object: &mut ReleaseClock) {
        if self.knows(object) || clock::below(object.clock.as_slice(), self.known()) {
            self.publish(object);
        } else {
            object.clock.join(&self.now[..self.len]);
            object.all_of = 0;
        }
    }

    /// Makes `object` publish what happens before now, and nothing else.
    #[inline]
    fn publish(&self, object: &mut ReleaseClock) {
        let stamp = self.stamp();
        let last = Cell::from_bits(object.all_of).stamp();
        let own = object.all_of != 0 && last.slot() == self.slot;
        let as_long = object.clock.as_slice().len() == self.len;
        if own && as_long && last.epoch().get() > self.learned {
            // It is what this thread knew then, when it had learned all that it
            // knows.
            object.clock.advance(self.slot, stamp.epoch());
        } else {
            object.clock.assign_first(&self.now, self.len);
        }
        object.all_of = stamp.bits();
    }

    /// An atomic load from `object`.
    pub fn load(&mut self, object: &ReleaseClock, acquire: bool) {
        if acquire {
            self.acquire(object);
        } else if !self.knows(object) {
            self.pending.join(object.clock.as_slice());
        }
    }

    /// An atomic store to `object`: ends the release sequence before it.
    /// True if the epoch must end.
    #[must_use]
    pub fn store(&mut self, object: &mut ReleaseClock, release: bool) -> bool {
        if release {
            self.publish(object);
        } else {
            object.clock.assign(self.released.as_slice());
            object.all_of = 0;
        }
        release
    }

    /// An atomic read-modify-write of `object`: carries the release sequence
    /// on. True if the epoch must end.
    #[must_use]
    pub fn read_modify_write(&mut self, object: &mut ReleaseClock, order: Order) -> bool {
        self.load(object, order.acquire);
        if order.release {
            self.release(object);
        } else if !self.released.is_empty() {
            object.clock.join(self.released.as_slice());
            object.all_of = 0;
        }
        order.release
    }

    /// True if a relaxed store or read-modify-write publishes something.
    #[inline]
    pub fn has_released(&self) -> bool {
        !self.released.is_empty()
    }

    /// A fence. True if the epoch must end.
    #[must_use]
    pub fn fence(&mut self, order: Order) -> bool {
        if order.acquire && !self.pending.is_empty() {
            let pending = std::mem::take(&mut self.pending);
            self.learn(pending.as_slice());
            self.pending = pending;
            self.pending.clear();
        }
        if order.release {
            self.released.assign(&self.now[..self.len]);
        }
        order.release
    }
}

/// A clock's worth of zeros, never on the stack.
fn zeroed() -> Box<[u64; Slot::COUNT]> {
    let zeros = vec![0; Slot::COUNT].into_boxed_slice();
    zeros
        .try_into()
        .unwrap_or_else(|_| unreachable!("the length is the same"))
}

impl Default for Clocks {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shadow::word::{Access, Class};

    const RELAXED: Order = Order {
        acquire: false,
        release: false,
    };
    const RELEASE: Order = Order {
        acquire: false,
        release: true,
    };
    const ACQUIRE: Order = Order {
        acquire: true,
        release: false,
    };

    fn thread(slot: usize) -> Clocks {
        let mut clocks = Clocks::new();
        clocks.start(Slot::new(slot), Epoch::new(1), &[]);
        clocks
    }

    fn tick(clocks: &mut Clocks, released: bool) {
        if released {
            assert!(!clocks.tick());
        }
    }

    fn write_by(clocks: &Clocks) -> Cell {
        Cell::new(clocks.stamp(), Access::write(Class::Plain), 0xff)
    }

    #[test]
    fn release_store_and_acquire_load_order() {
        let (mut a, mut b) = (thread(0), thread(1));
        let mut flag = ReleaseClock::new();
        let before = write_by(&a);
        let released = a.store(&mut flag, true);
        tick(&mut a, released);
        let after = write_by(&a);
        b.load(&flag, true);
        assert!(b.ordered(before));
        assert!(!b.ordered(after));
    }

    #[test]
    fn a_relaxed_store_ends_the_release_sequence() {
        let (mut a, mut b) = (thread(0), thread(1));
        let mut flag = ReleaseClock::new();
        let write = write_by(&a);
        let released = a.store(&mut flag, true);
        tick(&mut a, released);
        let released = a.store(&mut flag, false);
        tick(&mut a, released);
        b.load(&flag, true);
        assert!(!b.ordered(write));
    }

    #[test]
    fn a_relaxed_read_modify_write_carries_it_on() {
        let (mut a, mut b, mut c) = (thread(0), thread(1), thread(2));
        let mut flag = ReleaseClock::new();
        let (by_a, by_c) = (write_by(&a), write_by(&c));
        let released = a.store(&mut flag, true);
        tick(&mut a, released);
        assert!(!c.read_modify_write(&mut flag, RELAXED));
        b.load(&flag, true);
        assert!(b.ordered(by_a));
        assert!(!b.ordered(by_c));
        assert!(!c.ordered(by_a), "a relaxed operation acquires nothing");
    }

    #[test]
    fn fences_order_relaxed_accesses() {
        let (mut a, mut b) = (thread(0), thread(1));
        let mut flag = ReleaseClock::new();
        let write = write_by(&a);
        let released = a.fence(RELEASE);
        tick(&mut a, released);
        let late = write_by(&a);
        let released = a.store(&mut flag, false);
        tick(&mut a, released);
        b.load(&flag, false);
        assert!(!b.ordered(write), "not before the acquire fence");
        assert!(!b.fence(ACQUIRE));
        assert!(b.ordered(write));
        assert!(!b.ordered(late), "after the release fence");
    }

    #[test]
    fn the_last_drop_of_an_arc_sees_all_others() {
        let mut threads = [thread(0), thread(1), thread(2)];
        let mut count = ReleaseClock::new();
        let writes: Vec<_> = threads.iter().map(write_by).collect();
        for clocks in &mut threads {
            let released = clocks.read_modify_write(&mut count, RELEASE);
            tick(clocks, released);
        }
        let [.., last] = &mut threads;
        assert!(!last.fence(ACQUIRE));
        assert!(writes.iter().all(|&w| last.ordered(w)));
    }

    #[test]
    fn a_shortcut_stamp_is_only_kept_while_it_covers_the_clock() {
        let (mut a, mut b) = (thread(0), thread(1));
        let mut object = ReleaseClock::new();
        a.release(&mut object);
        assert_eq!(object.all_of(), Some(a.stamp()));
        b.release(&mut object);
        assert_eq!(object.all_of(), None, "b does not know a");
        b.acquire(&object);
        b.release(&mut object);
        assert_eq!(object.all_of(), Some(b.stamp()));
    }
}
