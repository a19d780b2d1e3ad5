//! Which methods the types have that are known. A trait of the program's own may
//! give such a type another, which does anything.

use super::foreign::{behind, is_foreign, is_guard};
use super::hooks::hash;
use super::object::{Class, is_number};

/// The numbers of names.
pub const fn hashes<const N: usize>(names: [&str; N]) -> [u64; N] {
    let mut all = [0; N];
    let mut at = 0;
    while at < N {
        all[at] = hash(names[at]);
        at += 1;
    }
    all
}

/// Methods of few types: their names, and how those types' names begin.
const OF_FEW: &[(&[u64], &[&str])] = &[
    (&hashes(["name"]), &["std::thread::"]),
    (&hashes(["elapsed"]), &["std::time::"]),
    (&hashes(["borrow", "borrow_mut"]), &["core::cell::"]),
    (&hashes(["is_some", "is_none"]), &["core::option::Option<"]),
    (
        &hashes(["is_ok", "is_err", "ok", "err"]),
        &["core::result::Result<"],
    ),
    (
        &hashes(["unwrap", "expect", "unwrap_or"]),
        &["core::option::Option<", "core::result::Result<"],
    ),
    (
        &hashes(["as_str", "as_bytes"]),
        &[
            "alloc::string::",
            "str",
            "alloc::ffi::",
            "core::ffi::",
            "core::fmt::",
        ],
    ),
    (
        &hashes([
            "offset",
            "add",
            "sub",
            "cast",
            "is_null",
            "read_unaligned",
            "write_unaligned",
            "copy_to",
            "copy_to_nonoverlapping",
            "copy_from",
            "copy_from_nonoverlapping",
            "write_bytes",
        ]),
        POINTERS,
    ),
    (
        &hashes(["read", "write"]),
        &["*", "core::ptr::non_null::", "core::mem::maybe_uninit::"],
    ),
    (
        &hashes(["replace"]),
        &[
            "*",
            "core::ptr::non_null::",
            "str",
            "alloc::string::",
            "core::option::Option<",
            "core::cell::",
        ],
    ),
];

const POINTERS: &[&str] = &["*", "core::ptr::non_null::"];

/// Methods of numbers, and of times.
const OF_NUMBERS: &[u64] = &hashes([
    "wrapping_add",
    "wrapping_sub",
    "wrapping_mul",
    "saturating_add",
    "saturating_sub",
    "checked_add",
    "checked_sub",
    "abs",
    "pow",
]);

const OF_WHAT_HAS_PARTS: &[u64] = &hashes(["as_ptr", "as_mut_ptr"]);

fn begins(type_name: &str, with: &[&str]) -> bool {
    with.iter().any(|begin| type_name.starts_with(begin))
}

/// True if this type, which is known, has no method of this name by itself.
pub fn is_extension(type_name: &str, method: u64) -> bool {
    if let Some((_, types)) = OF_FEW.iter().find(|(all, _)| all.contains(&method)) {
        return !begins(behind(type_name), types);
    }
    if OF_NUMBERS.contains(&method) {
        let type_name = behind(type_name);
        let has_them = is_number(type_name)
            || begins(type_name, POINTERS)
            || begins(type_name, &["core::num::", "core::time::", "std::time::"]);
        return !has_them;
    }
    if !OF_WHAT_HAS_PARTS.contains(&method) {
        return false;
    }
    let type_name = behind(type_name);
    is_number(type_name) || ["bool", "char", "()"].contains(&type_name)
}

/// Methods of what is inert, that something else that orders has, too.
const INERT: &[u64] = &hashes([
    "push",
    "pop",
    "len",
    "is_empty",
    "is_full",
    "get",
    "set",
    "swap",
    "reserve",
    "get_or_init",
    "get_or_try_init",
]);

const COMPARES: &[u64] = &hashes(["push", "pop"]);

/// How long it is, an iterator or a range says by what is in it.
const MEASURES: &[u64] = &hashes(["len", "is_empty"]);

/// Hashes what is in a map, when that grows.
const HASHES: &[u64] = &hashes(["reserve"]);

const OF_POINTERS: &[u64] = &hashes(["read", "write"]);

const OF_MUTEXES: &[u64] = &hashes([
    "lock",
    "blocking_lock",
    "lock_owned",
    "lock_arc",
    "try_lock",
    "try_lock_owned",
]);

const OF_LOCKS_TO_READ: &[u64] = &hashes([
    "read",
    "write",
    "blocking_read",
    "blocking_write",
    "read_owned",
    "write_owned",
    "read_arc",
    "write_arc",
    "upgradable_read",
    "try_read",
    "try_write",
    "try_read_owned",
    "try_write_owned",
]);

const OF_ATOMICS: &[u64] = &hashes([
    "load",
    "store",
    "swap",
    "fetch_add",
    "fetch_sub",
    "fetch_and",
    "fetch_nand",
    "fetch_or",
    "fetch_xor",
    "fetch_max",
    "fetch_min",
    "fetch_update",
    "compare_exchange",
    "compare_exchange_weak",
]);

/// What of the methods that order a type has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Has {
    /// A raw pointer's.
    Pointer,
    /// A heap's that compares by code that is not known.
    Heap,
    /// A map's that hashes by such code.
    Hashed,
    /// An iterator's, or a range's, of such code.
    Measured,
    /// A mutex's.
    Mutex,
    /// Those of a lock for readers.
    ReadWrite,
    /// None: what a guard is of has others.
    None,
    /// All of its class.
    All,
}

/// True for a map or a set that hashes, by the beginning of its name.
fn is_hashed(head: &str) -> bool {
    ["std::collections::hash::", "hashbrown::"]
        .iter()
        .any(|begin| head.starts_with(begin))
}

/// True for an iterator of std's around another, and for a range, by the beginning
/// of its name.
fn is_measured(head: &str) -> bool {
    ["core::iter::", "core::ops::range::"]
        .iter()
        .any(|begin| head.starts_with(begin))
}

impl Has {
    /// By its name.
    pub fn of(type_name: &str) -> Self {
        let head = type_name.split('<').next().unwrap_or_default();
        let head = head.to_ascii_lowercase();
        if type_name.starts_with('*') {
            Self::Pointer
        } else if head.starts_with("alloc::collections::binary_heap::") && is_foreign(type_name) {
            Self::Heap
        } else if is_hashed(&head) && is_foreign(type_name) {
            Self::Hashed
        } else if is_measured(&head) && is_foreign(type_name) {
            Self::Measured
        } else if is_guard(type_name) {
            Self::None
        } else if head.contains("mutex") {
            Self::Mutex
        } else if head.contains("rwlock") || head.contains("sharded") {
            Self::ReadWrite
        } else {
            Self::All
        }
    }

    /// True if an object of this class, with these methods, has one of this name
    /// that does what the class does.
    pub fn fits(self, class: Class, method: u64) -> bool {
        match (class, self) {
            (_, Self::None) => false,
            (Class::Inert, Self::Pointer) => OF_POINTERS.contains(&method),
            (Class::Inert, Self::Heap) => INERT.contains(&method) && !COMPARES.contains(&method),
            (Class::Inert, Self::Hashed) => INERT.contains(&method) && !HASHES.contains(&method),
            (Class::Inert, Self::Measured) => {
                INERT.contains(&method) && !MEASURES.contains(&method)
            }
            (Class::Inert, _) => INERT.contains(&method),
            (Class::Lock, Self::Mutex) => OF_MUTEXES.contains(&method),
            (Class::Lock, Self::ReadWrite) => OF_LOCKS_TO_READ.contains(&method),
            (Class::Lock, _) => false,
            (Class::Atomic, _) => OF_ATOMICS.contains(&method),
            (Class::Meeting | Class::Channel | Class::Handle | Class::Unknown, _) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Has, is_extension};
    use crate::track::hooks::hash;
    use crate::track::object::classify;

    #[test]
    fn what_a_type_has_not_is_the_programs() {
        let all = [
            ("std::thread::thread::Thread", "name", false),
            ("u32", "name", true),
            ("u32", "pow", false),
            ("bool", "pow", true),
            ("core::time::Duration", "checked_add", false),
            ("*const u8", "add", false),
            ("*const u8", "wrapping_add", false),
            ("u8", "cast", true),
            ("alloc::vec::Vec<u8>", "as_ptr", false),
            ("u8", "as_ptr", true),
            ("core::option::Option<u8>", "unwrap", false),
            ("()", "unwrap", true),
            ("u8", "clone", false),
        ];
        for (of, method, is) in all {
            assert_eq!(is_extension(of, hash(method)), is, "{of} {method}");
        }
    }

    #[test]
    fn a_method_fits_the_class_of_its_type() {
        let all = [
            ("alloc::vec::Vec<u8>", "push", true),
            ("alloc::vec::Vec<u8>", "recv", false),
            ("*mut u8", "read", true),
            ("u8", "load", false),
            ("core::sync::atomic::AtomicU8", "load", true),
            ("core::sync::atomic::AtomicU8", "read", false),
            ("std::sync::poison::mutex::Mutex<u8>", "lock", true),
            ("std::sync::poison::mutex::Mutex<u8>", "read", false),
            (
                "std::sync::poison::mutex::MutexGuard<a::Own>",
                "lock",
                false,
            ),
            ("std::sync::poison::rwlock::RwLock<u8>", "read", true),
            (
                "crossbeam_utils::sync::sharded_lock::ShardedLock<u8>",
                "write",
                true,
            ),
            (
                "alloc::collections::binary_heap::BinaryHeap<u8>",
                "push",
                true,
            ),
            (
                "alloc::collections::binary_heap::BinaryHeap<a::Own>",
                "push",
                false,
            ),
            (
                "std::collections::hash::map::HashMap<a::Own, u8>",
                "reserve",
                false,
            ),
            ("std::collections::hash::set::HashSet<a::Own>", "len", true),
            ("alloc::vec::Vec<a::Own>", "reserve", true),
            ("core::iter::adapters::rev::Rev<a::Own>", "len", false),
            ("core::ops::range::Range<a::Own>", "is_empty", false),
            ("core::ops::range::Range<u8>", "is_empty", true),
        ];
        for (of, method, is) in all {
            let fits = Has::of(of).fits(classify(of), hash(method));
            assert_eq!(fits, is, "{of} {method}");
        }
    }
}
