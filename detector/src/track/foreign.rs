//! Types that bring code which may run where no call is written: what a
//! comparison, a clone, a `Deref` or a drop of them does is not known, and it
//! may wait for another thread.
//!
//! A type is known by its name, as in [`super::object`]. Code of a type's own
//! that is tracked answers to its name, as functions do; else it counts as code
//! that is not tracked.

use super::hooks::hash;
use super::methods::Standard;
use super::object::{self, Class, classify};
use super::own_crates;

/// What may run code of a type's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// A method of this name, which the types that are known have, too, and
    /// which waits for nobody there.
    Method,
    /// A method that does the same with what is in it: a clone.
    Each,
    /// An operator or a format: what is in it may have one, too, behind pointers
    /// as well.
    Operator,
    /// A dereference.
    Deref,
    /// A coercion of the reference that it is.
    Coercion,
    /// The end of its life.
    Drop,
    /// A method that spawns what it is given.
    Spawns,
    /// An index: a map's compares keys.
    Index,
    /// A format that is written into it.
    Writes,
}

/// Stands for the name of what a drop calls.
pub const DROPS: u64 = hash("drop");

/// What is known of what a type's own code may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Foreign {
    method: bool,
    each: bool,
    operator: bool,
    deref: bool,
    coercion: bool,
    drop: bool,
    spawns: bool,
    index: bool,
    writes: bool,
    /// Which of the methods of std's traits it has.
    pub standard: Standard,
}

impl Foreign {
    /// Nothing is known of it.
    pub const ANYTHING: Self = Self {
        method: true,
        each: true,
        operator: true,
        deref: true,
        coercion: true,
        drop: true,
        spawns: true,
        index: true,
        writes: true,
        standard: Standard::NONE,
    };

    /// By its name.
    pub fn of(type_name: &str) -> Self {
        let parts = is_foreign(type_name);
        let of = type_name.trim_start_matches('&').trim_start_matches("mut ");
        let counted = [
            "alloc::sync::Arc<",
            "alloc::rc::Rc<",
            "alloc::sync::Weak<",
            "alloc::rc::Weak<",
        ];
        let is_counted = counted.iter().any(|prefix| of.starts_with(prefix));
        let is_pointer = type_name.starts_with(['*', '&']);
        let is_lazy = LAZY.iter().any(|lazy| type_name.starts_with(lazy));
        // It borrows what it owns.
        let is_borrowed = parts && type_name.starts_with("alloc::borrow::Cow<");
        // It derefs as what it pins does.
        let is_pinned = type_name
            .strip_prefix("core::pin::Pin<")
            .is_some_and(|pinned| !pinned.starts_with('&') && !is_known(pinned));
        // Its methods are those of what it holds, and so is its `Deref`.
        let holds = parts && HOLDS.iter().any(|of| behind(type_name).starts_with(of));
        let method = holds || !is_known(behind(type_name));
        let is_list = ["[", "alloc::vec::", "alloc::collections::vec_deque::"]
            .iter()
            .any(|of| behind(type_name).starts_with(of));
        Self {
            method,
            each: (parts || acquires(of, Deed::Each)) && !is_counted && !of.starts_with('*'),
            operator: (parts || acquires(of, Deed::Operator)) && !of.starts_with('*'),
            index: method || parts && !is_list,
            deref: is_lazy || is_pinned || is_borrowed || !is_pointer && !is_known(type_name),
            // A closure is nothing but itself.
            coercion: type_name.starts_with('&') && method && !of.ends_with("{{closure}}"),
            drop: (parts && !is_guard(type_name) || wakes(type_name) || flushes(type_name))
                && !is_pointer,
            spawns: !SPAWNERS.iter().any(|of| behind(type_name).starts_with(of)),
            writes: method || !is_memory(behind(type_name)),
            standard: Standard::of(type_name),
        }
    }

    /// True if code of its own does that.
    pub const fn does(self, deed: Deed) -> bool {
        match deed {
            Deed::Method => self.method,
            Deed::Each => self.each,
            Deed::Operator => self.operator,
            Deed::Deref => self.deref,
            Deed::Coercion => self.coercion,
            Deed::Drop => self.drop,
            Deed::Spawns => self.spawns,
            Deed::Index => self.index,
            Deed::Writes => self.writes,
        }
    }
}

/// True if what does this with a value of a type that is known, or with what is in
/// it, learns what others did: a comparison of cells that are set once, a format
/// of whatever others change, the greatest of what a channel brings; and copies
/// that take a lock, or count by more than a relaxed addition.
fn acquires(type_name: &str, deed: Deed) -> bool {
    words(type_name).any(|word| {
        let last = word.rsplit("::").next().unwrap_or_default();
        let class = classify(word);
        let is_once = class == Class::Meeting && (last.contains("Once") || last.contains("Lazy"));
        let is_shown = deed == Deed::Operator
            && !last.ends_with("Guard")
            && matches!(
                class,
                Class::Atomic | Class::Channel | Class::Handle | Class::Lock | Class::Meeting
            );
        let is_copied = deed == Deed::Each && COPIES.iter().any(|copied| word.starts_with(copied));
        let iterates = ["Iter", "TryIter", "IntoIter", "Drain"].contains(&last);
        is_once || is_shown || is_copied || iterates && class == Class::Channel
    })
}

/// Types whose clone may learn what the clone of another did.
const COPIES: &[&str] = &[
    "tokio_util::sync::cancellation_token::CancellationToken",
    "crossbeam_utils::sync::wait_group::WaitGroup",
    "futures_channel::mpsc::",
];

/// True if the end of a value of this type writes what is left, and may wait for
/// who reads.
fn flushes(type_name: &str) -> bool {
    words(type_name).any(|word| word.starts_with("std::io::buffered::"))
}

/// True for what is written into without a lock, and without waiting for a reader.
fn is_memory(type_name: &str) -> bool {
    ["alloc::string::String", "alloc::vec::Vec<u8", "[u8]"]
        .iter()
        .any(|memory| type_name.starts_with(memory))
}

/// True if the end of a value of this type may wake who waits in a future: by a
/// waker, of which nobody says whose it is. Who waits for a lock of std's waits in a
/// thread.
fn wakes(type_name: &str) -> bool {
    words(type_name).any(|word| {
        let last = word.rsplit("::").next().unwrap_or_default();
        let is_of = |family: &&str| word.starts_with(family);
        WAKES.iter().any(is_of) && !WAITED_BY_REFERENCE.contains(&last)
    })
}

/// Crates and modules whose values futures wait for.
const WAKES: &[&str] = &[
    "tokio::sync::",
    "tokio::task::",
    "tokio::time::",
    "tokio::runtime::task::",
    "tokio_util::sync::",
    "tokio_util::task::",
    "async_channel::",
    "async_lock::",
    "async_task::",
    "event_listener::",
    "flume::",
    "futures_channel::",
    "futures_util::lock::",
];

/// What nobody waits for any more when it ends.
const WAITED_BY_REFERENCE: &[&str] = &[
    "Barrier",
    "Mutex",
    "Notify",
    "OnceCell",
    "RwLock",
    "Semaphore",
];

/// Types of std that deref to what they hold.
const HOLDS: &[&str] = &[
    "alloc::borrow::Cow<",
    "core::mem::manually_drop::ManuallyDrop<",
    "core::panic::unwind_safe::AssertUnwindSafe<",
    "core::pin::Pin<",
    "core::cell::lazy::LazyCell<",
    "std::sync::lazy_lock::LazyLock<",
    "once_cell::sync::Lazy<",
    "alloc::collections::binary_heap::PeekMut<",
];

/// Types that are known, whose first dereference runs a function.
const LAZY: &[&str] = &[
    "std::sync::lazy_lock::LazyLock<",
    "core::cell::lazy::LazyCell<",
    "once_cell::sync::Lazy<",
];

/// Crates whose types spawn what they are given, and do nothing else before.
const SPAWNERS: &[&str] = &[
    "std::thread::",
    "tokio::",
    "tokio_util::",
    "rayon::",
    "rayon_core::",
    "crossbeam_utils::thread::",
    "futures_executor::",
    "futures_util::",
    "async_executor::",
    "async_global_executor::",
    "async_std::",
    "smol::",
];

/// What a method is called on: behind pointers, and behind guards.
pub fn behind(type_name: &str) -> &str {
    let mut name = type_name;
    loop {
        let inner = name.trim_start_matches('&').trim_start_matches("mut ");
        let next = match inner.split_once('<') {
            Some((head, rest)) if is_guard(head) || object::is_pointer(inner) => {
                // A guard's lifetime goes first.
                let rest = rest.trim_start_matches("'_, ");
                // A guard of `lock_api` says how it locks, first.
                if head.starts_with("lock_api::") {
                    rest.split_once(", ").map_or(rest, |(_, held)| held)
                } else {
                    rest
                }
            }
            _ => return inner,
        };
        name = next;
    }
}

/// True for what borrows from a lock or a cell that is known: its end gives
/// that back, and does nothing else.
pub fn is_guard(type_name: &str) -> bool {
    let head = type_name.split('<').next().unwrap_or_default();
    let last = head.rsplit("::").next().unwrap_or_default();
    let guards = last.ends_with("Guard") || ["Ref", "RefMut"].contains(&last);
    guards && !head.starts_with(['(', '[']) && is_known(head) && !locks_by_own(type_name)
}

/// True for a lock, or a guard of one, that waits by code of the program's own: of
/// `lock_api` the first type that it is given says how, of `spin` the last.
pub fn locks_by_own(type_name: &str) -> bool {
    let Some((head, given)) = type_name.split_once('<') else {
        return false;
    };
    let given = given.trim_end_matches('>');
    let how = if head.starts_with("lock_api::") {
        given.trim_start_matches("'_, ").split([',', '<']).next()
    } else if head.starts_with("spin::") && !is_guard(head) {
        given.rsplit(", ").next()
    } else {
        None
    };
    how.is_some_and(|how| !how.starts_with("spin::") && !is_known(how))
}

/// Crates whose types wait for nobody unless a method is called that is known,
/// though they do not synchronise, and so are not in [`object`]'s list.
const KNOWN: &[&str] = &[
    "lock_api::",
    "futures_channel::",
    "futures_util::lock::",
    "tokio::time::",
    "tokio::task::",
    "std::net::",
    "std::process::",
    "std::env::",
    "std::os::",
    "leakcheck::track::task::",
];

/// Types of such crates that hold what is the program's own, and do not name it:
/// an error, a task.
const ERASED: &[&str] = &[
    "std::io::error::Error",
    "std::process::Command",
    "core::task::wake::Waker",
    "core::task::wake::LocalWaker",
    "core::fmt::Arguments",
    "tokio::task::local::LocalSet",
    "tokio_util::sync::reusable_box::ReusableBoxFuture",
    "async_task::runnable::Runnable",
];

/// True if the type of this name is of a crate that is known, or plain.
pub fn is_known(path: &str) -> bool {
    let head = path.split('<').next().unwrap_or_default();
    !ERASED.contains(&head)
        && !locks_by_own(path)
        && (classify(path) != Class::Unknown
            || KNOWN.iter().any(|known| path.starts_with(known)) && !own_crates::has(path))
}

/// The paths and the other words of a type's name.
pub fn words(type_name: &str) -> impl Iterator<Item = &str> {
    type_name
        .split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | ':' | '\'')))
        .filter(|word| !word.is_empty())
}

/// True if a type's name has a part in it that is not known.
pub fn is_foreign(type_name: &str) -> bool {
    words(type_name).any(|word| {
        let is_word = [
            "mut", "const", "as", "unsafe", "extern", "true", "false", "_",
        ];
        let is_plain = is_word.contains(&word)
            || word.starts_with(['\'', ':'])
            || word.bytes().all(|b| b.is_ascii_digit());
        !is_plain && !is_known(word)
    })
}

/// True for the name of a number and the like: a path has a colon.
pub const fn is_number(type_name: &str) -> bool {
    match type_name.as_bytes() {
        [_, second, third, ..] => type_name.len() <= 5 && *second != b':' && *third != b':',
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use std::any::type_name;
    use std::cell::Ref;
    use std::rc::Rc;
    use std::sync::atomic::AtomicU8;
    use std::sync::{Arc, LazyLock, Mutex, MutexGuard, mpsc};

    use super::Foreign;

    struct Own;

    fn of<T: ?Sized>() -> [bool; 4] {
        let Foreign {
            method,
            each,
            operator: _,
            deref,
            coercion: _,
            drop,
            spawns: _,
            index: _,
            writes: _,
            standard: _,
        } = Foreign::of(type_name::<T>());
        [method, each, deref, drop]
    }

    #[test]
    fn what_is_known_waits_for_nobody() {
        assert_eq!(of::<u64>(), [false; 4]);
        assert_eq!(of::<&str>(), [false; 4]);
        assert_eq!(of::<[u8; 4]>(), [false; 4]);
        assert_eq!(of::<Option<Vec<(String, bool)>>>(), [false; 4]);
        assert_eq!(of::<Arc<Mutex<u8>>>(), [false; 4]);
        assert_eq!(of::<mpsc::Sender<Option<u8>>>(), [false; 4]);
        assert_eq!(of::<std::thread::JoinHandle<()>>(), [false; 4]);
        assert_eq!(of::<std::time::Duration>(), [false; 4]);
    }

    #[test]
    fn a_type_of_the_programs_own_may_do_anything() {
        assert_eq!(of::<Own>(), [true; 4]);
        assert_eq!(of::<dyn Fn() -> u8>(), [true; 4]);
        let captured = Own;
        let closure = move || std::hint::black_box(captured);
        fn name<T>(_: &T) -> &'static str {
            type_name::<T>()
        }
        assert!(Foreign::of(name(&closure)).drop);
        let _: Own = closure();
    }

    /// Neither an error nor a waker says whose it is.
    #[test]
    fn what_a_name_does_not_say_may_do_anything() {
        assert_eq!(of::<std::io::Error>(), [true; 4]);
        assert_eq!(of::<std::task::Waker>(), [true; 4]);
        assert_eq!(of::<std::io::ErrorKind>(), [false; 4]);
        let [_, each, _, drop] = of::<std::io::Result<u8>>();
        assert!(each && drop);
    }

    /// Of a lock its own type says whose code waits.
    #[test]
    fn a_lock_may_wait_by_code_of_the_programs_own() {
        let of = |name: &str| super::locks_by_own(name);
        assert!(of("lock_api::mutex::Mutex<a::Raw, u8>"));
        assert!(of("lock_api::mutex::MutexGuard<'_, a::Raw<u8>, u8>"));
        assert!(!of(
            "lock_api::mutex::MutexGuard<'_, parking_lot::raw_mutex::RawMutex, a::T>"
        ));
        assert!(of("spin::mutex::Mutex<(u8, u8), a::Relax>"));
        assert!(!of("spin::mutex::Mutex<a::T, spin::relax::Spin>"));
        assert!(!of("spin::mutex::MutexGuard<'_, a::T>"));
        assert!(Foreign::of("lock_api::mutex::MutexGuard<'_, a::Raw, u8>").drop);
    }

    /// Who waits in a future may be woken by anything.
    #[test]
    fn an_end_may_wake() {
        let drops = |name: &str| Foreign::of(name).drop;
        assert!(drops("tokio::sync::oneshot::Sender<u8>"));
        assert!(drops(
            "core::option::Option<tokio::sync::mutex::MutexGuard<'_, u8>>"
        ));
        assert!(!drops("alloc::sync::Arc<tokio::sync::mutex::Mutex<u8>>"));
        assert!(!drops(type_name::<MutexGuard<'_, u8>>()));
    }

    /// A comparison or a format looks into what may be set or taken meanwhile.
    #[test]
    fn who_looks_may_learn() {
        use std::sync::OnceLock;
        let of = |name: &str| {
            let foreign = Foreign::of(name);
            [foreign.each, foreign.operator]
        };
        assert_eq!(of(type_name::<OnceLock<u8>>()), [true; 2]);
        assert_eq!(of(type_name::<Arc<OnceLock<u8>>>()), [false, true]);
        assert_eq!(of(type_name::<Mutex<u8>>()), [false, true]);
        assert_eq!(of(type_name::<mpsc::Iter<'_, u8>>()), [true; 2]);
        assert_eq!(of(type_name::<mpsc::Sender<u8>>()), [false, true]);
        assert_eq!(of(type_name::<AtomicU8>()), [false, true]);
        assert_eq!(of(type_name::<MutexGuard<'_, u8>>()), [false; 2]);
        let group = "crossbeam_utils::sync::wait_group::WaitGroup";
        assert_eq!(of(group), [true; 2]);
        assert_eq!(of(type_name::<std::vec::IntoIter<u8>>()), [false; 2]);
    }

    /// What is written into may have a lock, or wait for who reads.
    #[test]
    fn who_writes_may_wait() {
        use std::io::{BufWriter, PipeWriter, Stderr};
        let of = |name: &str| {
            let foreign = Foreign::of(name);
            [foreign.writes, foreign.drop]
        };
        assert_eq!(of(type_name::<String>()), [false; 2]);
        assert_eq!(of(type_name::<&mut Vec<u8>>()), [false; 2]);
        assert_eq!(of(type_name::<Stderr>()), [true, false]);
        assert_eq!(of(type_name::<MutexGuard<'_, Stderr>>()), [true, false]);
        assert_eq!(of(type_name::<BufWriter<PipeWriter>>()), [true; 2]);
        assert_eq!(of(type_name::<Box<dyn std::io::Write>>()), [true; 2]);
        assert_eq!(of(type_name::<std::fmt::Formatter<'_>>()), [true, false]);
        assert_eq!(of(type_name::<std::process::Command>()), [true; 2]);
    }

    /// A coercion goes from one reference to another.
    #[test]
    fn a_reference_may_be_coerced() {
        let coerced = |name: &str| Foreign::of(name).coercion;
        assert!(coerced(type_name::<&Own>()));
        assert!(coerced(type_name::<&mut Own>()));
        assert!(coerced(type_name::<&Arc<Own>>()));
        assert!(!coerced(type_name::<Own>()));
        assert!(!coerced(type_name::<&str>()));
        assert!(!coerced(type_name::<&Vec<Own>>()));
        assert!(!coerced(type_name::<&[Own; 2]>()));
        assert!(!coerced("&mut crate::f::{{closure}}"));
    }

    /// Methods go to what is behind, and so does what they do with each part;
    /// a drop ends what is owned.
    #[test]
    fn a_pointer_is_what_it_points_to() {
        let [method, each, deref, drop] = of::<&Own>();
        assert_eq!([method, each, deref, drop], [true, true, false, false]);
        let [method, each, deref, drop] = of::<*const Own>();
        assert_eq!([method, each, deref, drop], [false; 4]);
        let [method, each, deref, drop] = of::<Arc<Own>>();
        assert_eq!([method, each, deref, drop], [true, false, false, true]);
        assert_eq!(of::<Rc<Own>>(), of::<Arc<Own>>());
        let [method, each, deref, drop] = of::<Box<dyn Fn()>>();
        assert_eq!([method, each, deref, drop], [true, true, false, true]);
        let [method, _, deref, drop] = of::<MutexGuard<'_, Own>>();
        assert_eq!([method, deref, drop], [true, false, false]);
        let [method, _, deref, drop] = of::<Ref<'_, Own>>();
        assert_eq!([method, deref, drop], [true, false, false]);
        let [method, each, _, drop] = of::<Option<Own>>();
        assert_eq!([method, each, drop], [false, true, true]);
        struct Guard(Own);
        assert!(of::<Guard>()[3]);
        assert!(of::<(Guard, u8)>()[3]);
        assert!(of::<[Guard; 2]>()[3]);
        // What it is made of may wait; std's method does not.
        assert!(of::<LazyLock<u8>>()[2]);
    }
}
