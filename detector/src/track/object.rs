//! What an object synchronises, by the name of its type.
//!
//! The library depends on no runtime and no lock crate: an object is known by
//! [`std::any::type_name`], its identity is its address. A name that is not
//! here is an unknown type, and what is called on it counts as code that is
//! not tracked.
//!
//! What it misses: the two ends of a channel share no address that can be
//! seen without reading the memory of a foreign type. All channels that carry
//! one type are taken for one.

use super::engine::Key;

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
const NAMES: &[(&str, Class)] = &[
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
    // Copies that share what is behind them, as the ends of a channel do.
    ("tokio_util::sync::cancellation_token::", Class::Channel),
    ("tokio_util::task::task_tracker::", Class::Channel),
    ("crossbeam_utils::sync::wait_group::", Class::Channel),
    ("crossbeam_utils::sync::parker::", Class::Channel),
    ("std::sync::", Class::Meeting),
    ("tokio::sync::", Class::Meeting),
    ("tokio_util::sync::", Class::Meeting),
    ("tokio_util::task::", Class::Meeting),
    ("async_lock::", Class::Meeting),
    ("event_listener::", Class::Meeting),
    ("parking_lot::", Class::Meeting),
    ("crossbeam_utils::sync::", Class::Meeting),
    ("crossbeam_queue::", Class::Meeting),
    ("crossbeam_deque::", Class::Meeting),
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
    /// What it carries, for a channel.
    pub carries: u64,
}

impl Object {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self {
        class: Class::Unknown,
        addr: 0,
        carries: 0,
    };

    /// The object of this type at this address.
    pub fn new(type_name: &str, addr: usize) -> Self {
        let class = classify(type_name);
        let carries = if class == Class::Channel {
            carried(type_name)
        } else {
            0
        };
        Self {
            class,
            addr,
            carries,
        }
    }

    /// By what it orders.
    pub fn key(&self) -> Key {
        if self.class == Class::Channel {
            Key::Carried(self.carries)
        } else {
            Key::Address(self.addr)
        }
    }
}

/// The class of a type.
pub fn classify(type_name: &str) -> Class {
    if is_primitive(type_name) {
        return Class::Inert;
    }
    let mut known = NAMES.iter();
    known
        .find(|(prefix, _)| type_name.starts_with(prefix))
        .map_or(Class::Unknown, |(_, class)| *class)
}

/// True for the pointers that stand for what they point to.
pub fn is_pointer(type_name: &str) -> bool {
    const POINTERS: &[&str] = &[
        "&",
        "alloc::sync::Arc<",
        "alloc::rc::Rc<",
        "alloc::boxed::Box<",
        "std::sync::lazy_lock::LazyLock<",
        "core::pin::Pin<",
    ];
    POINTERS.iter().any(|prefix| type_name.starts_with(prefix))
}

fn is_primitive(type_name: &str) -> bool {
    const OTHERS: &[&str] = &["bool", "char", "str", "f32", "f64", "()"];
    let number = type_name.strip_prefix(['u', 'i']);
    OTHERS.contains(&type_name)
        || type_name.starts_with(['[', '*', '('])
        || number.is_some_and(|bits| bits == "size" || bits.bytes().all(|b| b.is_ascii_digit()))
}

/// A hash of the type between the first `<` and the last `>`.
fn carried(type_name: &str) -> u64 {
    let inner = type_name.split_once('<').map_or("", |(_, inner)| inner);
    name_hash(inner.trim_end_matches('>'))
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
        let key = |name: &str| Object::new(name, 1).key();
        type Message = Vec<Option<u8>>;
        assert_eq!(
            key(type_name::<mpsc::Sender<Message>>()),
            key(type_name::<mpsc::Receiver<Message>>())
        );
        assert_ne!(
            key(type_name::<mpsc::Sender<u8>>()),
            key(type_name::<mpsc::Receiver<Message>>())
        );
    }
}
