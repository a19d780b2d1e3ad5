//! Guards of locks, by the names of their types.
//!
//! A guard that borrows its lock, or shares it, has what the lock protects among
//! the arguments of its type, as the lock has. Which lock it is of is decided in
//! [`super::locks`].
//!
//! What it misses: guards of a part of what a lock protects, and of locks whose
//! arguments are others, as those of `spin` are.

use super::ends::carried;
use super::foreign::is_guard;
use super::object::{Class, name_hash};

/// How a lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// For reading.
    Shared,
    /// For reading, and perhaps for writing later: beside readers.
    Upgradable,
    /// Alone.
    Alone,
}

impl Mode {
    /// True if nobody else can hold it so meanwhile.
    pub const fn excludes(self, other: Self) -> bool {
        !matches!(
            (self, other),
            (Self::Shared, Self::Shared | Self::Upgradable) | (Self::Upgradable, Self::Shared)
        )
    }
}

/// What the name of a guard's type says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// What its lock protects, as in [`guarded`].
    pub guarded: u64,
    /// How it has the lock.
    pub mode: Mode,
    /// It shares the lock, and does not borrow it.
    pub is_owned: bool,
}

impl Guard {
    /// By the name of a type; none of one that is no guard itself.
    pub fn of(type_name: &str) -> Option<Self> {
        let (head, _) = type_name.split_once('<')?;
        let last = head.rsplit("::").next().unwrap_or_default();
        let of_cell = head.starts_with("core::cell::");
        if of_cell || !is_guard(type_name) {
            return None;
        }
        let mode = match last {
            _ if last.contains("Upgradable") => Mode::Upgradable,
            _ if last.contains("Read") => Mode::Shared,
            _ => Mode::Alone,
        };
        Some(Self {
            guarded: hash(type_name),
            mode,
            is_owned: last.contains("Owned") || last.contains("Arc"),
        })
    }
}

/// What a lock protects; zero of one that its thread can take again.
pub fn guarded(type_name: &str, class: Class) -> u64 {
    if class == Class::Lock && !type_name.starts_with("lock_api::remutex::") {
        hash(type_name)
    } else {
        0
    }
}

/// Of the arguments of a type, without what it borrows for. Never zero.
fn hash(type_name: &str) -> u64 {
    let given = carried(type_name);
    name_hash(given.strip_prefix("'_, ").unwrap_or(given)) | 1
}

/// True for what gives locks back while a thread waits for it.
pub fn releases(type_name: &str, class: Class) -> bool {
    let head = type_name.split('<').next().unwrap_or_default();
    class == Class::Meeting && head.ends_with("::Condvar")
}

#[cfg(test)]
mod tests {
    use std::any::type_name;
    use std::sync::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

    use super::*;

    #[test]
    fn a_guard_says_what_its_lock_protects() {
        type Inside = Vec<Option<&'static u8>>;
        let guard = |name: &str| Guard::of(name).map(|it| (it.guarded, it.mode, it.is_owned));
        let lock = |name: &str| guarded(name, Class::Lock);
        let of = lock(type_name::<Mutex<Inside>>());
        assert_eq!(of, lock(type_name::<RwLock<Inside>>()));
        assert_ne!(of, lock(type_name::<Mutex<u8>>()));
        assert_eq!(
            guard(type_name::<MutexGuard<'_, Inside>>()),
            Some((of, Mode::Alone, false))
        );
        assert_eq!(
            guard(type_name::<RwLockReadGuard<'_, Inside>>()),
            Some((of, Mode::Shared, false))
        );
        assert_eq!(
            guard(type_name::<RwLockWriteGuard<'_, Inside>>()),
            Some((of, Mode::Alone, false))
        );
        let raw = "parking_lot::raw_rwlock::RawRwLock, u8";
        assert_eq!(
            guard(&format!(
                "lock_api::rwlock::RwLockUpgradableReadGuard<'_, {raw}>"
            )),
            Some((
                lock(&format!("lock_api::rwlock::RwLock<{raw}>")),
                Mode::Upgradable,
                false
            ))
        );
        assert_eq!(
            guard("tokio::sync::mutex::OwnedMutexGuard<u8>"),
            Some((lock("tokio::sync::mutex::Mutex<u8>"), Mode::Alone, true))
        );
    }

    #[test]
    fn what_holds_a_guard_is_none() {
        assert_eq!(Guard::of(type_name::<Option<MutexGuard<'_, u8>>>()), None);
        assert_eq!(Guard::of(type_name::<std::cell::Ref<'_, u8>>()), None);
        assert_eq!(Guard::of(type_name::<Mutex<u8>>()), None);
        assert_eq!(Guard::of("own::MutexGuard<'_, u8>"), None);
    }

    #[test]
    fn who_may_take_a_lock_again_is_not_known_by_it() {
        let raw = "parking_lot::raw_mutex::RawMutex, parking_lot::Id, u8";
        let name = format!("lock_api::remutex::ReentrantMutex<{raw}>");
        assert_eq!(guarded(&name, Class::Lock), 0);
        assert_eq!(guarded(type_name::<Condvar>(), Class::Meeting), 0);
        assert!(releases(type_name::<Condvar>(), Class::Meeting));
        assert!(!releases(type_name::<std::sync::Barrier>(), Class::Meeting));
    }

    #[test]
    fn readers_have_a_lock_beside_each_other() {
        use Mode::{Alone, Shared, Upgradable};
        assert!(!Shared.excludes(Shared));
        assert!(!Shared.excludes(Upgradable) && !Upgradable.excludes(Shared));
        assert!(Upgradable.excludes(Upgradable));
        assert!(
            [Shared, Upgradable, Alone]
                .iter()
                .all(|mode| mode.excludes(Alone))
        );
        assert!(
            [Shared, Upgradable, Alone]
                .iter()
                .all(|mode| Alone.excludes(*mode))
        );
    }
}
