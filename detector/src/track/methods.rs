//! Which methods the types have that are known. A trait of the program's own may
//! give such a type another, which does anything.

use super::foreign::is_foreign;
use super::hooks::hash;
use super::object::{Class, is_number};

/// Methods of few types: their names, and how those types' names begin.
const OF_FEW: &[(&[&str], &[&str])] = &[
    (&["name"], &["std::thread::"]),
    (&["elapsed"], &["std::time::"]),
    (&["borrow", "borrow_mut"], &["core::cell::"]),
    (&["is_some", "is_none"], &["core::option::Option<"]),
    (
        &["is_ok", "is_err", "ok", "err"],
        &["core::result::Result<"],
    ),
    (
        &["unwrap", "expect", "unwrap_or"],
        &["core::option::Option<", "core::result::Result<"],
    ),
    (
        &["as_str", "as_bytes"],
        &[
            "alloc::string::",
            "str",
            "alloc::ffi::",
            "core::ffi::",
            "core::fmt::",
        ],
    ),
    (
        &[
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
        ],
        POINTERS,
    ),
    (
        &["read", "write"],
        &["*", "core::ptr::non_null::", "core::mem::maybe_uninit::"],
    ),
    (
        &["replace"],
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
const OF_NUMBERS: &[&str] = &[
    "wrapping_add",
    "wrapping_sub",
    "wrapping_mul",
    "saturating_add",
    "saturating_sub",
    "checked_add",
    "checked_sub",
    "abs",
    "pow",
];

fn names(all: &[&str], method: u64) -> bool {
    all.iter().any(|name| hash(name) == method)
}

fn begins(type_name: &str, with: &[&str]) -> bool {
    with.iter().any(|begin| type_name.starts_with(begin))
}

/// True if this type, which is known, has no method of this name by itself.
pub fn is_extension(type_name: &str, method: u64) -> bool {
    if let Some((_, types)) = OF_FEW.iter().find(|(all, _)| names(all, method)) {
        return !begins(type_name, types);
    }
    if names(OF_NUMBERS, method) {
        let has_them = is_number(type_name)
            || begins(type_name, POINTERS)
            || begins(type_name, &["core::num::", "core::time::", "std::time::"]);
        return !has_them;
    }
    let is_small = is_number(type_name) || ["bool", "char", "()"].contains(&type_name);
    is_small && names(&["as_ptr", "as_mut_ptr"], method)
}

/// Methods of what is inert, that something else that orders has, too.
const INERT: &[&str] = &[
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
];

const OF_MUTEXES: &[&str] = &[
    "lock",
    "blocking_lock",
    "lock_owned",
    "lock_arc",
    "try_lock",
    "try_lock_owned",
];

const OF_LOCKS_TO_READ: &[&str] = &[
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
];

const OF_ATOMICS: &[&str] = &[
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
];

/// True if an object of this type, and of this class by that, has a method of
/// this name that does what the class does.
pub fn fits(class: Class, type_name: &str, method: u64) -> bool {
    match class {
        Class::Inert => {
            if type_name.starts_with('*') {
                return names(&["read", "write"], method);
            }
            let compares = type_name.starts_with("alloc::collections::binary_heap::")
                && is_foreign(type_name)
                && names(&["push", "pop"], method);
            names(INERT, method) && !compares
        }
        Class::Lock => {
            let head = type_name.split('<').next().unwrap_or_default();
            let head = head.to_ascii_lowercase();
            names(OF_MUTEXES, method) && head.contains("mutex")
                || names(OF_LOCKS_TO_READ, method)
                    && (head.contains("rwlock") || head.contains("sharded"))
        }
        Class::Atomic => names(OF_ATOMICS, method),
        Class::Meeting | Class::Channel | Class::Handle | Class::Unknown => true,
    }
}

#[cfg(test)]
mod tests {
    use super::{fits, is_extension};
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
        ];
        for (of, method, is) in all {
            assert_eq!(fits(classify(of), of, hash(method)), is, "{of} {method}");
        }
    }
}
