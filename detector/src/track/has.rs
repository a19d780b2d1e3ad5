//! Which of the methods that order, or that something has which orders, a type has
//! by itself. Another of such a name is the program's own, and may do anything.

use super::foreign::{is_foreign, is_guard};
use super::methods::{begins, hashes};
use super::object::{Class, classify};

/// The methods that order, or that something has which orders.
const METHODS: &[u64] = &hashes([
    "load",
    "store",
    "lock",
    "read",
    "write",
    "fetch_add",
    "fetch_sub",
    "swap",
    "compare_exchange",
    "try_lock",
    "push",
    "pop",
    "len",
    "is_empty",
    "is_full",
    "get",
    "set",
    "reserve",
    "get_or_init",
    "get_or_try_init",
    "blocking_lock",
    "lock_owned",
    "lock_arc",
    "try_lock_owned",
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
    "fetch_and",
    "fetch_nand",
    "fetch_or",
    "fetch_xor",
    "fetch_max",
    "fetch_min",
    "fetch_update",
    "compare_exchange_weak",
]);

/// Which of them types have: how the names of these begin, and theirs.
const HAVE: &[(&[&str], &[u64])] = &[
    (
        &["*"],
        &hashes(["read", "write", "swap", "len", "is_empty"]),
    ),
    (
        &["alloc::vec::Vec<"],
        &hashes(["push", "pop", "len", "is_empty", "swap", "reserve"]),
    ),
    (
        &["alloc::string::String", "std::ffi::os_str::OsString"],
        &hashes(["push", "pop", "len", "is_empty", "reserve"]),
    ),
    (&["std::path::PathBuf"], &hashes(["push", "pop", "reserve"])),
    (&["["], &hashes(["len", "is_empty", "swap"])),
    (
        &["str", "std::ffi::os_str::OsStr", "std::fs::Metadata"],
        &hashes(["len", "is_empty"]),
    ),
    (
        &["alloc::collections::binary_heap::BinaryHeap<"],
        &hashes(["push", "pop", "len", "is_empty", "reserve"]),
    ),
    (
        &["alloc::collections::vec_deque::VecDeque<"],
        &hashes(["len", "is_empty", "swap", "reserve"]),
    ),
    (
        &[
            "alloc::collections::btree::map::BTreeMap<",
            "alloc::collections::btree::set::BTreeSet<",
            "alloc::collections::linked_list::LinkedList<",
        ],
        &hashes(["len", "is_empty"]),
    ),
    (
        &[
            "std::collections::hash::map::HashMap<",
            "std::collections::hash::set::HashSet<",
            "hashbrown::map::HashMap<",
            "hashbrown::set::HashSet<",
        ],
        &hashes(["len", "is_empty", "reserve"]),
    ),
    (
        &[
            "core::slice::iter::Iter<",
            "core::slice::iter::IterMut<",
            "alloc::vec::into_iter::IntoIter<",
        ],
        &hashes(["len"]),
    ),
    (&["core::ops::range::"], &hashes(["is_empty"])),
    (&["core::cell::Cell<"], &hashes(["get", "set", "swap"])),
    (&["core::cell::RefCell<"], &hashes(["swap"])),
    (
        &["core::cell::once::OnceCell<"],
        &hashes(["get", "set", "get_or_init", "get_or_try_init"]),
    ),
    (
        &["core::cell::UnsafeCell<", "core::num::nonzero::"],
        &hashes(["get"]),
    ),
    (
        &[
            "std::sync::poison::mutex::",
            "std::sync::mutex::",
            "spin::mutex::",
        ],
        &hashes(["lock", "try_lock"]),
    ),
    (
        &[
            "lock_api::mutex::",
            "lock_api::remutex::",
            "async_lock::mutex::",
        ],
        &hashes(["lock", "lock_arc", "try_lock"]),
    ),
    (
        &["tokio::sync::mutex::"],
        &hashes([
            "lock",
            "blocking_lock",
            "lock_owned",
            "try_lock",
            "try_lock_owned",
        ]),
    ),
    (
        &["futures_util::lock::mutex::"],
        &hashes(["lock", "lock_owned", "try_lock", "try_lock_owned"]),
    ),
    (
        &[
            "std::sync::poison::rwlock::",
            "std::sync::rwlock::",
            "spin::rwlock::",
            "crossbeam_utils::sync::sharded_lock::",
        ],
        &hashes(["read", "write", "try_read", "try_write"]),
    ),
    (
        &["lock_api::rwlock::", "async_lock::rwlock::"],
        &hashes([
            "read",
            "write",
            "read_arc",
            "write_arc",
            "upgradable_read",
            "try_read",
            "try_write",
        ]),
    ),
    (
        &["tokio::sync::rwlock::"],
        &hashes([
            "read",
            "write",
            "blocking_read",
            "blocking_write",
            "read_owned",
            "write_owned",
            "try_read",
            "try_write",
            "try_read_owned",
            "try_write_owned",
        ]),
    ),
];

/// What atomics have that are no numbers.
const OF_FLAGS: &[u64] = &hashes([
    "load",
    "store",
    "swap",
    "fetch_and",
    "fetch_nand",
    "fetch_or",
    "fetch_xor",
    "fetch_update",
    "compare_exchange",
    "compare_exchange_weak",
]);
const OF_NUMBERS: &[u64] = &hashes(["fetch_add", "fetch_sub", "fetch_max", "fetch_min"]);

/// Which of the methods that order a type has: a bit for each of those that are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Has(u64);

/// True for a map or a set that hashes, by the beginning of its name.
fn is_hashed(type_name: &str) -> bool {
    begins(type_name, &["std::collections::hash::", "hashbrown::"])
}

impl Has {
    /// Whatever its class has.
    pub const ALL: Self = Self(u64::MAX);

    /// What a guard is of has other methods.
    const NONE: Self = Self(0);

    fn methods<'m>(methods: impl IntoIterator<Item = &'m u64>) -> Self {
        let bits = methods.into_iter().filter_map(|method| Self::bit(*method));
        Self(bits.fold(0, |all, bit| all | bit))
    }

    fn bit(method: u64) -> Option<u64> {
        let at = METHODS.iter().position(|known| *known == method)?;
        Some(1 << at)
    }

    fn without<const N: usize>(self, methods: [&str; N]) -> Self {
        Self(self.0 & !Self::methods(&hashes(methods)).0)
    }

    /// By its name.
    pub fn of(type_name: &str) -> Self {
        if is_guard(type_name) {
            return Self::NONE;
        }
        match classify(type_name) {
            Class::Atomic => {
                let is_flag = begins(
                    type_name.rsplit("::").next().unwrap_or_default(),
                    &["AtomicBool", "AtomicPtr"],
                );
                Self::methods(
                    OF_FLAGS
                        .iter()
                        .chain(OF_NUMBERS.iter().filter(|_| !is_flag)),
                )
            }
            Class::Inert | Class::Lock => {
                let found = HAVE.iter().find(|(types, _)| begins(type_name, types));
                let has = found.map_or(Self::methods([]), |(_, methods)| Self::methods(*methods));
                // A heap compares, a map hashes when it grows, and how long it is an
                // iterator or a range says by what is in it.
                let own = type_name.starts_with("core::ops::range::")
                    || type_name.starts_with("alloc::collections::binary_heap::")
                    || is_hashed(type_name);
                if own && is_foreign(type_name) {
                    let is_range = type_name.starts_with("core::ops::");
                    let has = has.without(["push", "pop", "reserve"]);
                    return if is_range {
                        has.without(["is_empty"])
                    } else {
                        has
                    };
                }
                has
            }
            Class::Meeting | Class::Channel | Class::Handle | Class::Unknown => Self::ALL,
        }
    }

    /// True if an object of this class, with these methods, has one of this name
    /// that does what the class does.
    pub fn fits(self, class: Class, method: u64) -> bool {
        match class {
            Class::Inert | Class::Lock | Class::Atomic => {
                Self::bit(method).is_some_and(|bit| self.0 & bit != 0)
            }
            Class::Meeting | Class::Channel | Class::Handle | Class::Unknown => self != Self::NONE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Has;
    use crate::track::hooks::hash;
    use crate::track::object::classify;

    #[test]
    fn a_method_fits_the_class_of_its_type() {
        let all = [
            ("alloc::vec::Vec<u8>", "push", true),
            ("alloc::vec::Vec<u8>", "recv", false),
            ("*mut u8", "read", true),
            ("u8", "load", false),
            ("u8", "len", false),
            ("alloc::collections::vec_deque::VecDeque<u8>", "push", false),
            ("alloc::vec::Vec<u8>", "is_full", false),
            ("core::cell::Cell<u8>", "set", true),
            ("core::cell::UnsafeCell<u8>", "set", false),
            ("core::sync::atomic::AtomicBool", "fetch_add", false),
            ("core::sync::atomic::AtomicU8", "fetch_add", true),
            ("std::sync::poison::mutex::Mutex<u8>", "lock_arc", false),
            (
                "lock_api::mutex::Mutex<parking_lot::raw_mutex::RawMutex, u8>",
                "lock_arc",
                true,
            ),
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
