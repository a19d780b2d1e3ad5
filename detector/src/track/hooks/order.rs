//! What synchronises: locks, atomics, channels, joins.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::ThreadId;

use super::{acquire, dropped_shared, elsewhere, here, opaque, release};
use crate::sync::Order;
use crate::track::channel::of_unknown;
use crate::track::engine::{self, Key};
use crate::track::foreign::{DROPS, Deed};
use crate::track::guard::{Guard, Mode};
use crate::track::local::Local;
use crate::track::locks::{self, Taking};
use crate::track::object::{self, Class, Object, Small};
use crate::track::site::Site;
use crate::track::strand::Strand;
use crate::track::units;

fn waits(local: &Local, class: Class, site: Option<&'static Site>) {
    let blocks = matches!(class, Class::Meeting | Class::Channel | Class::Handle);
    if blocks
        && local.task.borrow().is_none()
        && let Some(number) = local.unit.get()
    {
        units::thread_waits(number, site);
    }
}

/// Before a method that may synchronise.
pub fn meets(site: &'static Site, object: Object) -> Object {
    here(|local| {
        local.strand();
        local.settle();
        waits(local, object.class, Some(site));
        if object.releases {
            locks::waits(local.strand());
        }
        match object.class {
            Class::Atomic | Class::Lock | Class::Meeting | Class::Channel => {
                release(local, object.key());
            }
            Class::Handle => release(local, Key::Address(object.addr)),
            Class::Inert => {}
            Class::Unknown => local.opaque(),
        }
    });
    object
}

/// After it.
pub fn met<T>(object: Object, value: T) -> T {
    here(|local| {
        waits(local, object.class, None);
        learns(local, object);
    });
    value
}

/// After what has waited for these, once more: what they were asked for came
/// later than the answer.
pub fn again<T, const N: usize>(objects: [Small; N], value: T) -> T {
    here(|local| {
        for object in objects {
            learns(local, object.object());
        }
    });
    value
}

/// The thread knows what the object has been given.
fn learns(local: &Local, object: Object) {
    match object.class {
        Class::Inert => return,
        Class::Atomic | Class::Lock => acquire(local, object.key()),
        Class::Channel => {
            acquire(local, object.key());
            acquire(local, Key::Ended);
        }
        Class::Meeting => {
            acquire(local, object.key());
            if object.carries != 0 {
                acquire(local, Key::Carried(object.carries));
            }
            acquire(local, Key::Ended);
            locks::relock(local.strand(), object.releases);
            if object.releases {
                local.unseen.set(true);
            }
        }
        Class::Handle => {
            acquire(local, Key::Address(object.addr));
            acquire(local, Key::Ended);
        }
        Class::Unknown => {}
    }
    // The drop of what was moved away is not seen.
    local.opaque();
}

/// Sees the end of a value that others may wait for, or whose own code is not
/// known.
#[derive(Debug)]
pub struct Dropped {
    known: Option<&'static object::Known>,
    claimed: Option<Box<Claimed>>,
}

impl Dropped {
    /// Of this value, which is dropped after this, and nothing happens between.
    #[inline]
    pub fn of<T>(value: &T) -> Self {
        let mut dropped = Self::some::<T>();
        if let Some(known) = dropped.known
            && let Some(guard) = known.guard
        {
            dropped.claimed = here(|local| claims(local, guard, value)).flatten();
        }
        dropped
    }

    /// Of this value, which is dropped at once.
    pub fn ending<T>(value: &T) -> Self {
        let dropped = Self::some::<T>();
        if let Some(known) = dropped.known
            && let Some(guard) = known.guard
        {
            here(|local| locks::unlock_guard(local.strand(), guard, value));
        }
        dropped
    }

    /// Of this value, which is dropped after this, and others may be before.
    #[inline]
    pub fn among<T>(_: &T) -> Self {
        Self::some::<T>()
    }

    /// Of this value, which may have been moved away: nothing is published.
    #[inline]
    pub fn perhaps<T>(_: &T) -> super::own::Own {
        let own = super::own::Own::lasting();
        own.keeps(own.drops::<T>());
        own
    }

    /// Of a value of this type, which has no name.
    #[must_use]
    #[inline]
    pub fn some<T>() -> Self {
        let tells = std::mem::needs_drop::<T>() && !elsewhere();
        Self {
            known: tells.then(|| object::known(std::any::type_name::<T>())),
            claimed: None,
        }
    }

    /// Of a value of which nothing is known.
    #[must_use]
    pub fn any() -> Self {
        struct Anything(());

        impl Drop for Anything {
            fn drop(&mut self) {}
        }

        Self::some::<Anything>()
    }
}

impl Drop for Dropped {
    #[inline]
    fn drop(&mut self) {
        if let Some(claimed) = self.claimed.take() {
            claimed.unlock();
        }
        if let Some(known) = self.known {
            if !known.ends.is_empty() {
                ends(&known.ends);
            }
            if known.shares {
                dropped_shared();
            }
            super::own::operates(known.foreign.does(Deed::Drop), DROPS, None);
        }
    }
}

#[cold]
fn ends(carried: &'static [u64]) {
    here(|local| {
        local.strand();
        local.settle();
        for carried in carried {
            release(local, Key::Carried(*carried));
            release(local, of_unknown(*carried));
        }
    });
}

/// A lock whose guard a variable turned out to be.
#[derive(Debug)]
struct Claimed {
    addr: usize,
    release: u64,
    taker: Arc<Strand>,
}

impl Claimed {
    #[cold]
    fn unlock(self) {
        here(|local| locks::unlock(local.strand(), &self.taker, self.addr, self.release));
    }
}

/// Which lock a variable is the guard of, if that is not seen yet.
#[inline]
fn claims<T>(local: &Local, guard: Guard, value: &T) -> Option<Box<Claimed>> {
    if !local.unseen.get() {
        return None;
    }
    let taker = local.strand();
    let claimed = locks::claim(taker, guard, value);
    local.unseen.set(locks::has_unseen(taker) == Some(true));
    let (addr, release) = claimed?;
    let taker = Arc::clone(taker);
    Some(Box::new(Claimed {
        addr,
        release,
        taker,
    }))
}

/// Sees the end of a lock's guard that a scope drops.
#[derive(Debug, Default)]
pub struct Release {
    lock: AtomicUsize,
    number: AtomicU64,
    taker: OnceLock<Arc<Strand>>,
}

impl Release {
    /// Of a guard that is to come.
    #[must_use]
    #[inline]
    pub const fn new() -> Self {
        Self {
            lock: AtomicUsize::new(0),
            number: AtomicU64::new(0),
            taker: OnceLock::new(),
        }
    }

    /// The guard is dropped.
    pub fn now(&self) {
        let number = self.number.swap(0, Ordering::Relaxed);
        if number == 0 {
            return;
        }
        here(|local| {
            let addr = self.lock.load(Ordering::Relaxed);
            let strand = local.strand();
            let taker = self.taker.get().unwrap_or(strand);
            locks::unlock(strand, taker, addr, number);
        });
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        self.now();
    }
}

/// Before a method that takes a lock, if it is one.
pub fn takes(object: Object) {
    if object.class == Class::Unknown {
        opaque();
    }
}

/// After a method that takes a lock, whose release is seen if `seen` is there.
pub fn locked<T>(
    site: &'static Site,
    object: Object,
    shared: bool,
    value: T,
    seen: Option<&Release>,
) -> T {
    took(site, object, shared, true, seen);
    value
}

/// After a method that took a lock if it succeeded.
pub fn took(
    site: &'static Site,
    object: Object,
    shared: bool,
    succeeded: bool,
    seen: Option<&Release>,
) {
    here(|local| {
        let strand = local.strand();
        local.settle();
        match object.class {
            Class::Lock if succeeded => {
                let wanders = local.task.borrow().is_some();
                let number = match seen {
                    Some(seen) => {
                        let number = locks::next_release();
                        seen.lock.store(object.addr, Ordering::Relaxed);
                        seen.taker.get_or_init(|| Arc::clone(strand));
                        seen.number.store(number, Ordering::Relaxed);
                        number
                    }
                    None => {
                        local.unseen.set(true);
                        0
                    }
                };
                let mode = match (shared, object.is_upgradable) {
                    (true, _) => Mode::Shared,
                    (_, true) => Mode::Upgradable,
                    _ => Mode::Alone,
                };
                let taking = Taking {
                    addr: object.addr,
                    size: object.size,
                    guarded: object.guarded,
                    mode,
                    site,
                    release: number,
                    wanders,
                };
                locks::lock(strand, taking);
                local.acquired();
            }
            Class::Lock | Class::Inert => {}
            Class::Atomic | Class::Meeting | Class::Channel | Class::Handle => {
                acquire(local, object.key());
                local.opaque();
            }
            Class::Unknown => local.opaque(),
        }
    });
}

/// What an atomic operation does, by its name and its orderings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Atomic {
    /// It stores.
    pub stores: bool,
    /// It acquires.
    pub acquire: bool,
    /// It releases.
    pub release: bool,
}

/// Before an atomic operation.
pub fn atomic(object: Object, operation: Atomic) -> Object {
    here(|local| {
        let strand = local.strand();
        local.settle();
        match object.class {
            Class::Atomic if operation.stores => {
                let order = Order {
                    acquire: false,
                    release: operation.release,
                };
                engine::store(strand, object.addr, order);
            }
            Class::Atomic | Class::Inert => {}
            Class::Lock | Class::Meeting | Class::Channel | Class::Handle => {
                release(local, object.key());
            }
            Class::Unknown => local.opaque(),
        }
    });
    object
}

/// After an atomic operation.
pub fn atomically<T>(object: Object, operation: Atomic, value: T) -> T {
    here(|local| {
        let strand = local.strand();
        match object.class {
            Class::Atomic => {
                engine::load(strand, object.addr, operation.acquire);
                // A relaxed load counts: a fence may follow.
                local.acquired();
            }
            Class::Inert => {}
            Class::Lock | Class::Meeting | Class::Channel | Class::Handle => {
                acquire(local, object.key());
                local.opaque();
            }
            Class::Unknown => local.opaque(),
        }
    });
    value
}

/// A fence.
pub fn fence(operation: Atomic) {
    here(|local| {
        let strand = local.strand();
        local.settle();
        let order = Order {
            acquire: operation.acquire,
            release: operation.release,
        };
        engine::fence(strand, order);
    });
}

/// Before the join of a thread; what it is called on may be no handle.
pub fn joins(thread: Option<ThreadId>) -> Option<ThreadId> {
    if thread.is_none() {
        opaque();
    }
    thread
}

/// After the join of a thread.
pub fn joined<T>(thread: Option<ThreadId>, value: T) -> T {
    here(|local| {
        let strand = local.strand();
        local.settle();
        match thread {
            Some(thread) => {
                if !engine::acquire_last(strand, Key::Thread(thread)) {
                    // It was not tracked.
                    local.opaque();
                }
            }
            None => {
                acquire(local, Key::Ended);
                local.opaque();
            }
        }
    });
    value
}

/// Before the thread parks.
pub fn parks(site: &'static Site) {
    here(|local| {
        local.strand();
        local.settle();
        waits(local, Class::Handle, Some(site));
    });
}

/// After it was woken.
pub fn parked((): (), (): ()) {
    here(|local| {
        waits(local, Class::Handle, None);
        acquire(local, Key::Unpark(std::thread::current().id()));
        local.acquired();
    });
}

/// Before a thread is unparked.
pub fn unparks(thread: ThreadId) {
    here(|local| {
        local.strand();
        local.settle();
        release(local, Key::Unpark(thread));
    });
}

/// After a scope that joins all its threads.
pub fn all_joined<T>(value: T) -> T {
    here(|local| {
        acquire(local, Key::Ended);
        // What of it was not seen is not known.
        local.opaque();
    });
    value
}
