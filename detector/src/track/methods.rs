//! Which methods the types have that are known. A trait of the program's own may
//! give such a type another, which does anything.
//!
//! What is not in these tables no type has. What it cannot tell apart: a method of
//! that name that takes `self` by value, where the type's own borrows it.

use super::foreign::{behind, is_known, words};
use super::hooks::hash;
use super::object::{Class, classify, is_number};

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

/// Stand for the names of numbers.
const INTEGER: &str = "{integer}";
const SIGNED: &str = "{signed}";
const FLOAT: &str = "{float}";

const POINTERS: &[&str] = &["*", "core::ptr::non_null::"];
const SLICES: &[&str] = &["[", "str", "alloc::vec::Vec<", "alloc::string::String"];

/// Methods that run no code of others: their names, and how the names of the types
/// begin that have them by themselves.
const OF_FEW: &[(&[u64], &[&str])] = &[
    (
        &hashes(["name"]),
        &[
            "std::thread::thread::Thread",
            "std::thread::builder::Builder",
        ],
    ),
    (
        &hashes(["elapsed"]),
        &["std::time::Instant", "std::time::SystemTime"],
    ),
    (&hashes(["borrow", "borrow_mut"]), &["core::cell::RefCell<"]),
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
        &hashes(["as_str"]),
        &[
            "alloc::string::String",
            "str",
            "core::fmt::Arguments",
            "core::str::iter::Chars<",
        ],
    ),
    (
        &hashes(["as_bytes"]),
        &["alloc::string::String", "str", "alloc::ffi::c_str::CString"],
    ),
    (
        &hashes([
            "offset",
            "add",
            "sub",
            "cast",
            "read",
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
    (&hashes(["is_null"]), &["*"]),
    (
        &hashes(["write"]),
        &["*", "core::ptr::non_null::", "core::mem::maybe_uninit::"],
    ),
    (
        &hashes(["replace"]),
        &[
            "*",
            "core::ptr::non_null::",
            "str",
            "alloc::string::String",
            "core::option::Option<",
            "core::cell::Cell<",
            "core::cell::RefCell<",
        ],
    ),
    (&hashes(["get_unchecked", "get_unchecked_mut"]), SLICES),
    (
        &hashes(["as_ptr"]),
        &[
            "[",
            "str",
            "alloc::vec::Vec<",
            "alloc::string::String",
            "core::cell::Cell<",
            "core::cell::RefCell<",
            "core::sync::atomic::",
            "core::ptr::non_null::",
            "core::mem::maybe_uninit::",
            "core::ffi::c_str::CStr",
            "alloc::ffi::c_str::CString",
            "alloc::sync::Weak<",
            "alloc::rc::Weak<",
        ],
    ),
    (
        &hashes(["as_mut_ptr"]),
        &[
            "[",
            "str",
            "alloc::vec::Vec<",
            "alloc::string::String",
            "core::mem::maybe_uninit::",
        ],
    ),
    (&hashes(["abs"]), &[SIGNED, FLOAT]),
    (&hashes(["pow", "wrapping_mul"]), &[INTEGER]),
    (&hashes(["wrapping_add", "wrapping_sub"]), &[INTEGER, "*"]),
    (
        &hashes(["saturating_add", "saturating_sub"]),
        &[INTEGER, "core::time::Duration"],
    ),
    (
        &hashes(["checked_add", "checked_sub"]),
        &[
            INTEGER,
            "core::time::Duration",
            "std::time::Instant",
            "std::time::SystemTime",
        ],
    ),
];

/// Those of a type that others may have by a trait of std's for a type of the
/// program's own: what is asked is what they are called on itself.
const CONVERTS: &[(&[u64], &[&str])] = &[(
    &hashes(["as_ref", "as_mut"]),
    &[
        "core::option::Option<",
        "core::result::Result<",
        "core::pin::Pin<",
        "*",
        "core::ptr::non_null::",
    ],
)];

/// True if a type's name begins with one of these, or is a number of that kind.
pub fn begins(type_name: &str, with: &[&str]) -> bool {
    let is_kind = |kind: &str| match kind {
        INTEGER => is_number(type_name) && !type_name.starts_with('f'),
        SIGNED => is_number(type_name) && type_name.starts_with('i'),
        FLOAT => is_number(type_name) && type_name.starts_with('f'),
        begin => type_name.starts_with(begin),
    };
    with.iter().any(|kind| is_kind(kind))
}

/// True if this type, which is known, has no method of this name by itself.
pub fn is_extension(type_name: &str, method: u64) -> bool {
    let of = |table: &'static [(&'static [u64], &'static [&'static str])]| {
        let found = table.iter().find(|(all, _)| all.contains(&method));
        found.map(|(_, types)| *types)
    };
    if let Some(types) = of(OF_FEW) {
        return !begins(behind(type_name), types);
    }
    let itself = type_name.trim_start_matches('&').trim_start_matches("mut ");
    of(CONVERTS).is_some_and(|types| !begins(itself, types))
}

/// Which of the traits of std's a type surely has whose methods do the same with
/// each of its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standard {
    clones: bool,
    owns: bool,
    shows: bool,
    orders: bool,
}

/// Types, by how their names begin, that are copied and ordered if their parts are.
const ORDERED: &[&str] = &[
    "alloc::borrow::Cow",
    "alloc::boxed::Box",
    "alloc::collections::btree::map::BTreeMap",
    "alloc::collections::btree::set::BTreeSet",
    "alloc::collections::linked_list::LinkedList",
    "alloc::collections::vec_deque::VecDeque",
    "alloc::ffi::c_str::CString",
    "alloc::rc::Rc",
    "alloc::string::String",
    "alloc::sync::Arc",
    "alloc::vec::Vec",
    "core::any::TypeId",
    "core::cell::Cell",
    "core::cell::RefCell",
    "core::cmp::",
    "core::marker::Phantom",
    "core::net::",
    "core::num::",
    "core::option::Option",
    "core::pin::Pin",
    "core::result::Result",
    "core::task::poll::Poll",
    "core::time::Duration",
    "std::ffi::os_str::OsString",
    "std::path::PathBuf",
    "std::time::Instant",
    "std::time::SystemTime",
];

/// Those that are copied.
const COPIED: &[&str] = &[
    "alloc::collections::binary_heap::BinaryHeap",
    "alloc::rc::Weak",
    "alloc::sync::Weak",
    "alloc::vec::into_iter::",
    "core::alloc::",
    "core::cell::once::OnceCell",
    "core::iter::",
    "core::ops::",
    "core::ptr::",
    "core::slice::iter::Iter",
    "core::str::",
    "core::sync::atomic::Ordering",
    "hashbrown::map::HashMap",
    "hashbrown::set::HashSet",
    "std::collections::hash::map::HashMap",
    "std::collections::hash::set::HashSet",
    "std::hash::",
    "std::io::error::ErrorKind",
    "std::sync::once_lock::OnceLock",
    "std::thread::id::ThreadId",
    "std::thread::thread::Thread",
    "std::time::SystemTimeError",
    "tokio::sync::watch::Receiver",
    "async_channel::Receiver",
    "crossbeam_channel::channel::Receiver",
    "crossbeam_deque::deque::Stealer",
    "flume::Receiver",
    "tokio_util::sync::cancellation_token::CancellationToken",
    "tokio_util::task::task_tracker::TaskTracker",
    "crossbeam_utils::sync::wait_group::WaitGroup",
    "crossbeam_utils::sync::parker::Unparker",
    "once_cell::",
];

/// Those that are shown.
const SHOWN: &[&str] = &[
    "alloc::borrow::Cow",
    "alloc::boxed::Box",
    "alloc::rc::Rc",
    "alloc::string::String",
    "alloc::sync::Arc",
    "core::net::",
    "core::num::",
];

impl Standard {
    /// Nothing is known of it.
    pub const NONE: Self = Self {
        clones: false,
        owns: false,
        shows: false,
        orders: false,
    };

    /// By a type's name.
    pub fn of(type_name: &str) -> Self {
        let name = behind(type_name);
        // A copy of what only counts is none of what it counts.
        let itself = type_name.trim_start_matches('&').trim_start_matches("mut ");
        let counts = begins(itself, COUNTED);
        let is_slice = name == "str" || name.starts_with('[') && !name.contains(';');
        let are_copied = all(name, is_copied);
        Self {
            clones: counts || are_copied && !is_slice,
            owns: counts || are_copied || begins(name, BORROWED),
            shows: all(name, is_shown) && !name.contains(['(', '[']),
            orders: is_number(name) || all(name, is_ordered),
        }
    }

    /// True if a method of this name of a value of this type is not std's.
    pub fn is_extended(self, method: u64) -> bool {
        const CLONES: u64 = hash("clone");
        const OWNS: u64 = hash("to_owned");
        const SHOWS: u64 = hash("to_string");
        const ORDERS: [u64; 2] = hashes(["min", "max"]);
        match method {
            CLONES => !self.clones,
            OWNS => !self.owns,
            SHOWS => !self.shows,
            other => ORDERS.contains(&other) && !self.orders,
        }
    }
}

/// What is borrowed, and becomes one's own by a copy.
const BORROWED: &[&str] = &[
    "core::ffi::c_str::CStr",
    "std::ffi::os_str::OsStr",
    "std::path::Path",
];

const COUNTED: &[&str] = &[
    "alloc::sync::Arc<",
    "alloc::rc::Rc<",
    "alloc::sync::Weak<",
    "alloc::rc::Weak<",
    "std::sync::mpsc::",
];

fn all(type_name: &str, is: impl Fn(&str) -> bool) -> bool {
    words(type_name).all(|word| {
        let is_part = ["mut", "const", "_"].contains(&word)
            || word.starts_with('\'')
            || word.bytes().all(|b| b.is_ascii_digit());
        // What a pointer is to is not looked at, and what is not known is asked
        // elsewhere.
        is_part || is(word) || !is_known(word)
    })
}

/// A number, a text.
fn is_plain(word: &str) -> bool {
    is_number(word) || ["bool", "char", "str"].contains(&word)
}

fn is_shown(word: &str) -> bool {
    is_plain(word) || begins(word, SHOWN)
}

fn is_ordered(word: &str) -> bool {
    is_plain(word) && !word.starts_with('f') || begins(word, ORDERED)
}

fn is_copied(word: &str) -> bool {
    let last = word.rsplit("::").next().unwrap_or_default();
    let is_end = last.ends_with("Sender") && classify(word) == Class::Channel;
    is_plain(word) || is_end || begins(word, ORDERED) || begins(word, COPIED)
}

#[cfg(test)]
mod tests {
    use super::{Standard, is_extension};
    use crate::track::hooks::hash;

    /// A trait of the program's own, or one of std's for a type of its own.
    #[test]
    fn a_trait_may_give_a_type_that_is_known_a_method() {
        let extended = |of: &str, method: &str| {
            let method = hash(method);
            Standard::of(of).is_extended(method) || is_extension(of, method)
        };
        for (of, method) in [
            ("u32", "abs"),
            ("f64", "pow"),
            ("f32", "checked_add"),
            ("core::time::Duration", "wrapping_add"),
            ("alloc::vec::Vec<f32>", "max"),
            ("alloc::vec::Vec<u8>", "to_string"),
            ("(u8, u8)", "to_string"),
            ("()", "to_string"),
            ("core::sync::atomic::AtomicU8", "clone"),
            ("alloc::vec::Vec<core::cell::UnsafeCell<u8>>", "clone"),
            ("std::sync::poison::mutex::Mutex<u8>", "to_owned"),
            ("alloc::string::String", "as_ref"),
            ("alloc::sync::Arc<u8>", "as_mut"),
            ("core::cell::Cell<u8>", "borrow"),
            ("std::thread::join_handle::JoinHandle<u8>", "name"),
            (
                "alloc::collections::vec_deque::VecDeque<u8>",
                "get_unchecked",
            ),
        ] {
            assert!(extended(of, method), "{of} {method}");
        }
        for (of, method) in [
            ("i32", "abs"),
            ("f64", "max"),
            ("&f64", "clone"),
            ("u8", "to_string"),
            ("&alloc::string::String", "to_string"),
            ("alloc::boxed::Box<str>", "to_string"),
            ("str", "to_owned"),
            ("alloc::sync::Arc<core::sync::atomic::AtomicU8>", "clone"),
            ("core::option::Option<(u8, alloc::vec::Vec<char>)>", "clone"),
            ("[u8; 2]", "clone"),
            ("std::sync::mpsc::Sender<u8>", "clone"),
            ("crossbeam_channel::channel::Receiver<u8>", "clone"),
            ("(u8, alloc::string::String)", "max"),
            ("core::option::Option<u8>", "as_ref"),
            ("core::cell::RefCell<u8>", "borrow"),
            ("alloc::vec::Vec<u8>", "get_unchecked"),
        ] {
            assert!(!extended(of, method), "{of} {method}");
        }
    }

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
}
