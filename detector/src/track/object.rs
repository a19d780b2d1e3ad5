//! What an object synchronises, by the name of its type.
//!
//! The library depends on no runtime and no lock crate: an object is known by
//! [`std::any::type_name`], its identity is its address. A name that is not
//! here is an unknown type, and what is called on it counts as code that is
//! not tracked. The ends of a channel are told apart in [`super::channel`].

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::callee::{self, Callee};
use super::channel::End;
use super::ends::{ends, shares};
use super::engine::Key;
use super::foreign::{Foreign, behind, locks_by_own};
use super::guard::{Guard, guarded, releases};
use super::has::Has;
use super::hooks::{elsewhere, hash};
use super::{local, own_crates, place};

/// How an object synchronises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// An atomic.
    Atomic,
    /// A mutex, a reader-writer lock.
    Lock,
    /// Whatever is done with it may order: a barrier, a once cell, a
    /// semaphore, a condition variable.
    Meeting,
    /// One of several that share something: an end of a channel.
    Channel,
    /// A handle of a thread, or of a task.
    Handle,
    /// Does not synchronise: a collection, a number, a string.
    Inert,
    /// Not known.
    Unknown,
}

/// Prefixes of type names, the longest match first.
pub const NAMES: &[(&str, Class)] = &[
    ("core::sync::atomic::", Class::Atomic),
    ("std::sync::atomic::", Class::Atomic),
    ("portable_atomic::", Class::Atomic),
    ("std::sync::poison::mutex::Mutex<", Class::Lock),
    ("std::sync::poison::rwlock::RwLock<", Class::Lock),
    ("std::sync::mutex::Mutex<", Class::Lock),
    ("std::sync::rwlock::RwLock<", Class::Lock),
    ("lock_api::mutex::Mutex<", Class::Lock),
    ("lock_api::rwlock::RwLock<", Class::Lock),
    ("lock_api::remutex::ReentrantMutex<", Class::Lock),
    ("tokio::sync::mutex::Mutex<", Class::Lock),
    ("tokio::sync::rwlock::RwLock<", Class::Lock),
    ("async_lock::mutex::Mutex<", Class::Lock),
    ("async_lock::rwlock::RwLock<", Class::Lock),
    ("futures_util::lock::mutex::Mutex<", Class::Lock),
    ("spin::mutex::", Class::Lock),
    ("spin::rwlock::", Class::Lock),
    (
        "crossbeam_utils::sync::sharded_lock::ShardedLock<",
        Class::Lock,
    ),
    ("std::sync::mpsc::", Class::Channel),
    ("std::sync::mpmc::", Class::Channel),
    ("crossbeam_channel::", Class::Channel),
    ("flume::", Class::Channel),
    ("async_channel::", Class::Channel),
    ("futures_channel::", Class::Channel),
    ("tokio::sync::mpsc::", Class::Channel),
    ("tokio::sync::oneshot::", Class::Channel),
    ("tokio::sync::broadcast::", Class::Channel),
    ("tokio::sync::watch::", Class::Channel),
    // A future of it does not say which one it is of.
    ("tokio::sync::notify::", Class::Channel),
    ("event_listener::", Class::Channel),
    // Copies that share what is behind them, as the ends of a channel do.
    ("tokio_util::sync::cancellation_token::", Class::Channel),
    ("tokio_util::task::task_tracker::", Class::Channel),
    ("crossbeam_utils::sync::wait_group::", Class::Channel),
    ("crossbeam_utils::sync::parker::", Class::Channel),
    ("crossbeam_deque::", Class::Channel),
    ("std::sync::", Class::Meeting),
    ("tokio::sync::", Class::Meeting),
    ("tokio_util::sync::", Class::Meeting),
    ("tokio_util::task::", Class::Meeting),
    ("async_lock::", Class::Meeting),
    ("parking_lot::", Class::Meeting),
    // Parking_lot's from 0.13 on.
    ("lock_api::condvar::Condvar<", Class::Meeting),
    ("crossbeam_utils::sync::", Class::Meeting),
    ("crossbeam_utils::atomic::", Class::Meeting),
    ("crossbeam_queue::", Class::Meeting),
    ("once_cell::sync::", Class::Meeting),
    ("std::thread::", Class::Handle),
    ("crossbeam_utils::thread::", Class::Handle),
    ("tokio::runtime::task::join::", Class::Handle),
    ("tokio::task::join_set::", Class::Handle),
    ("async_task::", Class::Handle),
    ("alloc::", Class::Inert),
    ("core::", Class::Inert),
    ("std::collections::", Class::Inert),
    ("hashbrown::", Class::Inert),
    ("std::io::", Class::Inert),
    ("std::fs::", Class::Inert),
    ("std::path::", Class::Inert),
    ("std::ffi::", Class::Inert),
    ("std::time::", Class::Inert),
];

/// What is known of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Object {
    /// How it synchronises.
    pub class: Class,
    /// Where it is.
    pub addr: usize,
    /// What it carries, for a channel; whose permits it gives, for a semaphore.
    /// Else zero.
    pub carries: u64,
    /// Its size, in bytes.
    pub size: usize,
    /// What it protects, for a lock, as in [`Known::guarded`].
    pub guarded: u64,
    /// It is taken so that it may be written later.
    pub is_upgradable: bool,
    /// Who waits for it gives locks back meanwhile.
    pub releases: bool,
    /// Which end it is, of a channel.
    end: Option<End>,
    /// Which of the methods that order it has.
    has: Has,
}

/// An object in two words, for a future that keeps it while it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Small {
    /// The class above, the address of what it is or shares below.
    what: u64,
    carries: u64,
}

impl Small {
    /// Where the class begins: addresses of programs have fewer bits.
    const CLASS: u32 = 56;
    const CLASSES: [Class; 7] = [
        Class::Atomic,
        Class::Lock,
        Class::Meeting,
        Class::Channel,
        Class::Handle,
        Class::Inert,
        Class::Unknown,
    ];

    /// The object again; of an end of a channel only what it shares.
    pub fn object(self) -> Object {
        let class = (self.what >> Self::CLASS) as usize;
        let addr = (self.what & ((1 << Self::CLASS) - 1)) as usize;
        let class = *Self::CLASSES.get(class).unwrap_or(&Class::Unknown);
        Object {
            class,
            addr,
            carries: self.carries,
            end: (class == Class::Channel).then(|| End::sharing(addr, self.carries)),
            ..Object::UNKNOWN
        }
    }
}

/// What an object publishes into, and what it learns from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keys {
    /// Into these.
    pub releases: [Key; 2],
    /// From these.
    pub acquires: [Key; 2],
}

impl From<Key> for Keys {
    fn from(key: Key) -> Self {
        Self {
            releases: [key; 2],
            acquires: [key; 2],
        }
    }
}

impl Object {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self {
        class: Class::Unknown,
        addr: 0,
        carries: 0,
        size: 0,
        guarded: 0,
        is_upgradable: false,
        releases: false,
        end: None,
        has: Has::ALL,
    };

    /// In two words.
    #[must_use]
    pub fn small(self) -> Small {
        let addr = self.end.map_or(self.addr, End::shares) as u64;
        Small {
            what: (self.class as u64) << Small::CLASS | addr & ((1 << Small::CLASS) - 1),
            carries: self.carries,
        }
    }

    /// This object. Nothing is asked under the command, for the locks of the
    /// tables here would order what the program does not.
    pub fn new<T: ?Sized>(value: &T) -> Self {
        if elsewhere() {
            return Self::UNKNOWN;
        }
        let known = known(std::any::type_name::<T>());
        if known.is_pointer {
            return Self::UNKNOWN;
        }
        Self {
            class: known.class,
            addr: std::ptr::from_ref(value).cast::<()>().addr(),
            carries: known.carries,
            size: size_of_val(value),
            guarded: known.guarded,
            is_upgradable: false,
            releases: known.releases,
            end: (known.class == Class::Channel).then(|| End::of(value, known)),
            has: known.has,
        }
    }

    /// This object, of which a method of this name is called: unknown, if that
    /// is none that its type is known for.
    #[must_use]
    pub fn called(mut self, method: u64) -> Self {
        if !self.has.fits(self.class, method) {
            self.class = Class::Unknown;
        }
        self.is_upgradable = method == const { hash("upgradable_read") };
        self
    }

    /// By what it orders.
    pub fn key(&self) -> Keys {
        match self.end {
            Some(end) => Keys {
                releases: end.releases(),
                acquires: end.acquires(),
            },
            None => Key::Address(self.addr).into(),
        }
    }
}

/// The class of a type.
pub fn classify(type_name: &str) -> Class {
    if is_primitive(type_name) {
        return Class::Inert;
    }
    if locks_by_own(type_name) || own_crates::has(type_name) {
        return Class::Unknown;
    }
    let known = NAMES.iter().find(|(begin, _)| type_name.starts_with(begin));
    known.map_or(Class::Unknown, |(_, class)| *class)
}

/// Keeps what is in it on a cache line of its own.
pub const PADDED: &str = "crossbeam_utils::cache_padded::CachePadded<";

/// True for the pointers that stand for what they point to.
pub fn is_pointer(type_name: &str) -> bool {
    const POINTERS: &[&str] = &[
        "&",
        "alloc::sync::Arc<",
        "alloc::rc::Rc<",
        "alloc::boxed::Box<",
        "std::sync::lazy_lock::LazyLock<",
        "once_cell::sync::Lazy<",
        "core::pin::Pin<",
        "core::mem::manually_drop::ManuallyDrop<",
        PADDED,
    ];
    POINTERS.iter().any(|prefix| type_name.starts_with(prefix))
}

fn is_primitive(type_name: &str) -> bool {
    const OTHERS: &[&str] = &["bool", "char", "str", "()"];
    OTHERS.contains(&type_name) || type_name.starts_with(['[', '*', '(']) || is_number(type_name)
}

/// True for the name of a number's type.
pub fn is_number(type_name: &str) -> bool {
    let bits = type_name.strip_prefix(['u', 'i', 'f']);
    bits.is_some_and(|bits| bits == "size" || bits.bytes().all(|b| b.is_ascii_digit()))
}

/// What the name of a type says.
#[derive(Debug)]
pub struct Known {
    /// How it synchronises.
    pub class: Class,
    /// As in [`Object::carries`].
    pub carries: u64,
    /// Which end of a channel it is, for a channel.
    pub end: u64,
    /// It stands for what it points to.
    pub is_pointer: bool,
    /// Its `Deref` has no effect that could be seen.
    pub derefs_plainly: bool,
    /// What its own code may do.
    pub foreign: Foreign,
    /// It as the owner of functions, see [`callee`].
    pub itself: u64,
    /// What a method is called on, behind pointers, as that.
    pub behind: u64,
    /// What it is if it is a function.
    pub callee: Callee,
    /// Which of the methods that order it has.
    pub has: Has,
    /// What it says as a guard, if it is one.
    pub guard: Option<Guard>,
    /// What it protects, as a lock that its thread cannot take again; else zero.
    pub guarded: u64,
    /// As in [`Object::releases`].
    pub releases: bool,
    /// What others may learn when a value of it is dropped: what the ends of
    /// channels and the permits in it carry.
    pub ends: Vec<u64>,
    /// Others may learn when a value of it is dropped, by what is not known here.
    pub shares: bool,
}

/// Types that a thread remembers, a power of two: a loop over generic code has
/// many, and two at one place would look each other up in each round.
const REMEMBERED: usize = 256;

/// A type's name by its address, and what is known of it.
type Remembered = Option<(&'static str, &'static Known)>;

static ALL: Mutex<Option<HashMap<&'static str, &'static Known>>> = Mutex::new(None);

thread_local! {
    static RECENT: [Cell<Remembered>; REMEMBERED] = const { [const { Cell::new(None) }; REMEMBERED] };
}

/// What is said of a type while the library itself runs on this thread.
static NOT_ASKED: Known = Known {
    class: Class::Unknown,
    carries: 0,
    end: 0,
    is_pointer: false,
    derefs_plainly: false,
    ends: Vec::new(),
    shares: false,
    foreign: Foreign::ANYTHING,
    itself: 0,
    behind: 0,
    callee: Callee::UNKNOWN,
    has: Has::ALL,
    guard: None,
    guarded: 0,
    releases: false,
};

/// What the name of a type says; as many are kept as the program has types.
pub fn known(type_name: &'static str) -> &'static Known {
    // Names lie one after the other, at any byte: multiplicative hashing (Knuth,
    // The Art of Computer Programming 3, 6.4).
    let spread = (type_name.as_ptr().addr() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let place = (spread >> (u64::BITS - REMEMBERED.ilog2())) as usize;
    let recent = RECENT.try_with(|recent| recent[place].get()).ok().flatten();
    if let Some((name, known)) = recent
        && std::ptr::eq(name, type_name)
    {
        return known;
    }
    let found = local::inside(|_| {
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        *all.get_or_insert_default()
            .entry(type_name)
            .or_insert_with(|| Box::leak(Box::new(Known::of(type_name))))
    });
    let Some(known) = found else {
        return &NOT_ASKED;
    };
    let _ = RECENT.try_with(|recent| recent[place].set(Some((type_name, known))));
    known
}

impl Known {
    fn of(type_name: &str) -> Self {
        let class = classify(type_name);
        // Which lifetime a value borrows for does not tell its type apart.
        let name = type_name.replace("'_, ", "").replace("<'_>", "");
        let ends: Vec<u64> = ends(&name).collect();
        let carries = match class {
            Class::Channel | Class::Meeting => ends.first().copied().unwrap_or_default(),
            Class::Atomic | Class::Lock | Class::Handle | Class::Inert | Class::Unknown => 0,
        };
        Self {
            class,
            carries,
            end: end(type_name),
            is_pointer: is_pointer(type_name),
            derefs_plainly: place::derefs_plainly(type_name),
            foreign: Foreign::of(type_name),
            itself: callee::owned(type_name),
            behind: callee::owned(behind(type_name)),
            callee: Callee::of(type_name),
            has: Has::of(type_name),
            guard: Guard::of(type_name),
            guarded: guarded(type_name, class),
            releases: releases(type_name, class),
            ends,
            shares: shares(type_name),
        }
    }
}

/// Which end of a channel a type is. Std's are the same whatever they carry.
fn end(type_name: &str) -> u64 {
    let of_std = type_name.starts_with("std::sync::mpsc::");
    let end = type_name.split_once('<').filter(|_| of_std);
    name_hash(end.map_or(type_name, |(end, _)| end))
}

/// FNV-1a, which the expansion computes at compile time.
pub const fn name_hash(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use std::any::type_name;
    use std::sync::atomic::{AtomicBool, AtomicU32};
    use std::sync::{Arc, Barrier, Condvar, Mutex, Once, OnceLock, RwLock, mpsc};

    use super::*;

    /// The names of std's types are not promised: a toolchain that changes
    /// them shows up here.
    #[test]
    fn the_types_of_std_are_known() {
        let all = [
            (type_name::<AtomicBool>(), Class::Atomic),
            (type_name::<AtomicU32>(), Class::Atomic),
            (type_name::<Mutex<u8>>(), Class::Lock),
            (type_name::<RwLock<u8>>(), Class::Lock),
            (type_name::<Condvar>(), Class::Meeting),
            (type_name::<Barrier>(), Class::Meeting),
            (type_name::<Once>(), Class::Meeting),
            (type_name::<OnceLock<u8>>(), Class::Meeting),
            (type_name::<mpsc::Sender<u8>>(), Class::Channel),
            (type_name::<mpsc::SyncSender<u8>>(), Class::Channel),
            (type_name::<mpsc::Receiver<u8>>(), Class::Channel),
            (type_name::<std::thread::JoinHandle<u8>>(), Class::Handle),
            (type_name::<Vec<Mutex<u8>>>(), Class::Inert),
            (
                type_name::<std::collections::HashMap<u8, u8>>(),
                Class::Inert,
            ),
            (type_name::<u128>(), Class::Inert),
            (type_name::<usize>(), Class::Inert),
            (type_name::<[u8; 2]>(), Class::Inert),
            (type_name::<Object>(), Class::Unknown),
        ];
        for (name, class) in all {
            assert_eq!(classify(name), class, "{name}");
        }
        assert!(is_pointer(type_name::<Arc<Mutex<u8>>>()));
        assert!(is_pointer(type_name::<&Mutex<u8>>()));
        assert!(is_pointer(type_name::<std::sync::LazyLock<u8>>()));
    }

    #[test]
    fn the_ends_of_a_channel_have_one_key() {
        type Message = Vec<Option<u8>>;
        let (one, its_end) = mpsc::channel::<Message>();
        let (_other, others_end) = mpsc::channel::<u8>();
        let key = Object::new(&one).key();
        assert_eq!(key, Object::new(&its_end).key());
        assert_ne!(key, Object::new(&others_end).key());
        let carries = |name: &'static str| known(name).carries;
        assert_eq!(
            carries(type_name::<mpsc::Iter<'_, Message>>()),
            carries(type_name::<mpsc::Receiver<Message>>())
        );
    }

    #[test]
    fn an_object_in_two_words_orders_alike() {
        let (sender, _receiver) = mpsc::channel::<u16>();
        let lock = Mutex::new(1);
        let barrier = Barrier::new(1);
        let objects = [
            Object::new(&sender),
            Object::new(&lock),
            Object::new(&barrier),
            Object::new(&AtomicBool::new(false)),
            Object::new(&3_u8),
            Object::UNKNOWN,
        ];
        for object in objects {
            let again = object.small().object();
            assert_eq!((again.class, again.key()), (object.class, object.key()));
            assert_eq!(again.carries, object.carries);
        }
        assert_eq!(size_of::<Small>(), 16);
    }
}
