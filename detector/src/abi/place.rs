//! Whose code a thread waits in, from the names of the functions on its stack:
//! what makes a futex a mutex.
//!
//! Names are matched as they are mangled (`14lock_contended` in both of Rust's
//! schemes), innermost first, and only near the top of the stack. What it
//! misses: locks of other crates. A wait in them is a futex of unknown use,
//! which anyone can end.

use crate::report::wire::WaitOn;

/// Whose code waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// std's Mutex: the futex is the lock word.
    StdMutex,
    /// std's RwLock, for reading: the futex is the lock word.
    StdRead,
    /// std's RwLock, for writing: the futex is beside the lock word.
    StdWrite,
    /// std's Once: the futex is the state word.
    StdOnce,
    /// A condition variable.
    Condvar,
    /// `thread::park`.
    Park,
    /// A mutex of parking_lot's family: the futex is the thread's own, and
    /// the lock's address is in the same structure.
    ParkedMutex,
    /// A reader-writer lock of that family, for reading.
    ParkedRead,
    /// For writing, behind another writer.
    ParkedWrite,
    /// For writing, the lock taken from readers that are still in.
    ParkedForReaders,
    /// Not known.
    Unknown,
}

/// Frames that are looked at, from the innermost.
const NEAR: usize = 12;

/// Part of a mangled name, and another part that it must have.
const NAMES: &[(&str, &str, Place)] = &[
    ("14lock_contended", "3std3sys", Place::StdMutex),
    ("14read_contended", "3std3sys", Place::StdRead),
    ("15write_contended", "3std3sys", Place::StdWrite),
    ("4Once4call", "3std3sys", Place::StdOnce),
    ("4Once4wait", "3std3sys", Place::StdOnce),
    ("7Condvar", "7condvar", Place::Condvar),
    ("19wait_until_internal", "ondvar", Place::Condvar),
    ("6Parker4park", "", Place::Park),
    ("6thread4park", "", Place::Park),
    ("9lock_slow", "RawMutex", Place::ParkedMutex),
    ("16lock_shared_slow", "RawRwLock", Place::ParkedRead),
    ("19lock_exclusive_slow", "RawRwLock", Place::ParkedWrite),
    ("16wait_for_readers", "RawRwLock", Place::ParkedForReaders),
];

impl Place {
    /// Where a thread waits whose calls have these names, innermost first.
    pub fn of<'a>(names: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        names
            .into_iter()
            .take(NEAR)
            .flatten()
            .find_map(Self::of_function)
            .unwrap_or(Self::Unknown)
    }

    /// True of a thread that sleeps because the future is not ready that it blocks
    /// on, not in the middle of a poll of it.
    pub fn blocks_on_future<'a>(names: impl IntoIterator<Item = Option<&'a str>>) -> bool {
        for name in names.into_iter().flatten() {
            if name.contains("8block_on") || name.contains("14block_on_inner") {
                return true;
            }
            // The driver polls the kernel.
            if name.contains("4poll") && !name.contains("3mio") && !name.contains("7polling") {
                return false;
            }
        }
        false
    }

    fn of_function(name: &str) -> Option<Self> {
        NAMES
            .iter()
            .find(|(part, beside, _)| name.contains(part) && name.contains(beside))
            .map(|&(_, _, place)| place)
    }

    /// True if it is a lock of parking_lot's family. With that crate's feature
    /// `send_guard` another thread may give it back than took it.
    pub fn is_parked_lock(self) -> bool {
        match self {
            Self::ParkedMutex | Self::ParkedRead | Self::ParkedWrite | Self::ParkedForReaders => {
                true
            }
            Self::StdMutex
            | Self::StdRead
            | Self::StdWrite
            | Self::StdOnce
            | Self::Condvar
            | Self::Park
            | Self::Unknown => false,
        }
    }

    /// True for the writers of parking_lot's reader-writer lock.
    pub fn is_parked_write(self) -> bool {
        matches!(self, Self::ParkedWrite | Self::ParkedForReaders)
    }

    /// What a report calls it.
    pub fn waits_on(self) -> WaitOn {
        match self {
            Self::StdMutex | Self::ParkedMutex => WaitOn::Mutex,
            Self::StdRead | Self::ParkedRead => WaitOn::RwLockRead,
            Self::StdWrite | Self::ParkedWrite | Self::ParkedForReaders => WaitOn::RwLockWrite,
            Self::Condvar => WaitOn::Condvar,
            Self::Park => WaitOn::Park,
            Self::StdOnce | Self::Unknown => WaitOn::Futex,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_both_manglings_are_known() {
        let legacy = "_ZN3std3sys4sync5mutex5futex5Mutex14lock_contended17h0123456789abcdefE";
        let v0 = "_RNvMs_NtNtNtNtCs1_3std3sys4sync5mutex5futexNtB4_5Mutex14lock_contended";
        assert_eq!(Place::of([Some(legacy)]), Place::StdMutex);
        assert_eq!(Place::of([None, Some(v0)]), Place::StdMutex);
    }

    #[test]
    fn the_innermost_name_decides() {
        let condvar = "_ZN3std3sys4sync7condvar5futex7Condvar4wait17h0123456789abcdefE";
        let mutex = "_ZN3std3sys4sync5mutex5futex5Mutex14lock_contended17h0123456789abcdefE";
        assert_eq!(Place::of([Some(mutex), Some(condvar)]), Place::StdMutex);
        assert_eq!(Place::of([Some(condvar), Some(mutex)]), Place::Condvar);
    }

    #[test]
    fn locks_of_parking_lot_are_known_with_parameters_too() {
        let plain = "_ZN11parking_lot10raw_rwlock9RawRwLock16wait_for_readers17h0123456789abcdefE";
        let generic = "_ZN11parking_lot10raw_rwlock18RawRwLock$LT$_$GT$19lock_exclusive_slow17h0E";
        assert_eq!(Place::of([Some(plain)]), Place::ParkedForReaders);
        assert_eq!(Place::of([Some(generic)]), Place::ParkedWrite);
    }

    #[test]
    fn condition_variables_of_parking_lot_are_known_in_all_releases() {
        let old = "_ZN11parking_lot7condvar7Condvar19wait_until_internal17h0123456789abcdefE";
        let new = "_ZN11parking_lot11raw_condvar10RawCondvar19wait_until_internal17h0E";
        assert_eq!(Place::of([Some(old)]), Place::Condvar);
        assert_eq!(Place::of([Some(new)]), Place::Condvar);
    }

    #[test]
    fn a_lock_of_the_user_is_not_one_of_std() {
        let own = "_ZN4user5mutex5Mutex14lock_contended17h0123456789abcdefE";
        assert_eq!(Place::of([Some(own)]), Place::Unknown);
    }

    #[test]
    fn what_is_far_down_the_stack_does_not_count() {
        let park = Some("_ZN3std6thread4park17h0123456789abcdefE");
        assert_eq!(
            Place::of([None; NEAR].into_iter().chain([park])),
            Place::Unknown
        );
        assert_eq!(
            Place::of([Some("_ZN4user4main17h0123456789abcdefE")]),
            Place::Unknown
        );
    }
}
