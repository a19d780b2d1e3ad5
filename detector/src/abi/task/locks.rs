//! The locks of tokio's that tasks wait for and that only a guard can give back: see
//! [`crate::reach::Lock`].
//!
//! The executor's copy tells of semaphores alone. That one is a lock, and its guard
//! borrows it, the function says that took it.
//!
//! What it misses: locks whose function was inlined; those that a thread has; those of
//! which a reader owns its guard.

use std::collections::{BTreeMap, BTreeSet};

use dashmap::DashMap;

use super::look::Seen;
use super::waits::{self, Object};
use crate::abi::symbols;
use crate::objects;
use crate::reach::Lock;
use crate::report::wire::ThreadId;
use crate::rt::replaceable::Replaceable;
use crate::stack::{self, StackId};

/// Locks that are looked at.
const MOST: usize = 64;

/// What takes a lock and borrows it: two parts of a mangled name.
const TAKES: [(&str, &str); 3] = [
    ("4sync5mutex", "4lock"),
    ("4sync6rwlock", "5write"),
    ("4sync6rwlock", "4read"),
];

/// The locks that tasks wait for and other tasks that wait have, and for each task the
/// place of the one that it waits for.
pub fn wanted(all: &[Seen]) -> (Vec<Lock>, Vec<Option<usize>>) {
    let waiting = all.iter().filter(|seen| seen.waits());
    let waiting: BTreeSet<ThreadId> = waiting.map(|seen| seen.record.origin.id).collect();
    let mut locks: Vec<Lock> = Vec::new();
    let mut places: BTreeMap<usize, Option<usize>> = BTreeMap::new();
    let mut wanted = vec![None; all.len()];
    for (seen, wanted) in all.iter().zip(&mut wanted) {
        let id = seen.record.origin.id;
        let on = waits::of(id, seen.polls.count).filter(|_| waiting.contains(&id));
        let Some(Object::Permits(semaphore)) = on else {
            continue;
        };
        *wanted = *places.entry(semaphore).or_insert_with(|| {
            let lock = lock(semaphore, &waiting).filter(|_| locks.len() < MOST)?;
            locks.push(lock);
            Some(locks.len() - 1)
        });
    }
    (locks, wanted)
}

fn lock(semaphore: usize, waiting: &BTreeSet<ThreadId>) -> Option<Lock> {
    let taken = waits::holders(semaphore, |who| waiting.contains(&who))?;
    if !taken.into_iter().all(borrows) {
        return None;
    }
    let variable = match objects::find_block(semaphore) {
        Some(_) => None,
        None => Some(symbols::variable_at(semaphore)?),
    };
    Some(Lock {
        waiters: semaphore,
        variable,
    })
}

/// What [`borrows`] has said so far.
static KNOWN: Replaceable<DashMap<StackId, bool>> = Replaceable::new();

/// True if a lock was taken there by a guard that borrows it.
pub fn borrows(at: StackId) -> bool {
    if let Some(known) = KNOWN.get().get(&at) {
        return *known;
    }
    let stack = stack::get(at);
    let borrows = borrows_by(stack.iter().filter_map(|&pc| symbols::name_of(pc)));
    KNOWN.get().insert(at, borrows);
    borrows
}

/// In the child of a fork.
pub fn reset() {
    KNOWN.replace(DashMap::new());
}

/// The same of the functions on the stack, innermost first: the first of them that takes
/// a lock of tokio's says so. Names of those around may hold the types of others.
fn borrows_by<'a>(mut names: impl Iterator<Item = &'a str>) -> bool {
    let takes = |name: &str| {
        let of = |(module, _): &&(&str, &str)| name.contains("5tokio") && name.contains(module);
        let mut of_module = TAKES.iter().filter(of).peekable();
        of_module.peek()?;
        if name.contains("_owned") {
            return Some(false);
        }
        of_module
            .any(|(module, function)| takes_by(name, module, function))
            .then_some(true)
    };
    names.find_map(takes).unwrap_or(false)
}

/// True for the mangled name of this function in that module.
fn takes_by(name: &str, module: &str, function: &str) -> bool {
    let Some((_, after)) = name.split_once(module) else {
        return false;
    };
    // The length before the name: a longer name that ends so has another one.
    let starts = |at: usize| !after[..at].ends_with(|digit: char| digit.is_ascii_digit());
    after.match_indices(function).any(|(at, _)| {
        let ends = !after[at + function.len()..].starts_with('_');
        starts(at) && ends
    })
}

#[cfg(test)]
mod tests {
    use super::borrows_by;

    const POLLS: &str = "_ZN4core6future6future6Future4poll17h0E";
    const LOCKS: &str =
        "_ZN5tokio4sync5mutex14Mutex$LT$T$GT$4lock28_$u7b$$u7b$closure$u7d$$u7d$17h0E";
    const OWNS: &str =
        "_ZN5tokio4sync5mutex14Mutex$LT$T$GT$10lock_owned28_$u7b$$u7b$closure$u7d$$u7d$17h0E";

    fn borrows(names: &[&str]) -> bool {
        borrows_by(names.iter().copied())
    }

    #[test]
    fn locks_that_are_borrowed_are_known_in_both_manglings() {
        for name in [
            LOCKS,
            "_RNCNvMs1_NtNtCs1_5tokio4sync5mutexINtB7_5MutexmE4lock0B9_",
            "_ZN5tokio4sync6rwlock15RwLock$LT$T$GT$5write28_$u7b$$u7b$closure$u7d$$u7d$17h0E",
            "_ZN5tokio4sync6rwlock15RwLock$LT$T$GT$4read28_$u7b$$u7b$closure$u7d$$u7d$17h0E",
            "_RNCNCNvMs_NtNtCs1_5tokio4sync6rwlockINtB8_6RwLockmE4read00B9_",
        ] {
            assert!(borrows(&[name]), "{name}");
        }
    }

    #[test]
    fn owned_guards_and_permits_are_not() {
        for name in [
            OWNS,
            "_ZN5tokio4sync6rwlock15RwLock$LT$T$GT$11write_owned28_$u7b$$u7b$closure$u7d$$u7d$17h0E",
            "_ZN5tokio4sync6rwlock15RwLock$LT$T$GT$10read_owned28_$u7b$$u7b$closure$u7d$$u7d$17h0E",
            "_RNCNvMs1_NtNtCs1_5tokio4sync5mutexINtB7_5MutexNtNtCs2_3app4lock5StateE10lock_owned0B9_",
            "_ZN5tokio4sync9semaphore9Semaphore7acquire28_$u7b$$u7b$closure$u7d$$u7d$17h0E",
            "_ZN4mine4lock17h0E",
        ] {
            assert!(!borrows(&[name]), "{name}");
        }
    }

    #[test]
    fn the_innermost_function_decides() {
        // A part of taking the lock.
        let takes =
            "_ZN5tokio4sync5mutex14Mutex$LT$T$GT$7acquire28_$u7b$$u7b$closure$u7d$$u7d$17h0E";
        assert!(borrows(&[POLLS, takes, LOCKS, POLLS, OWNS]));
        assert!(!borrows(&[POLLS, takes, OWNS, POLLS, LOCKS]));
        assert!(!borrows(&[POLLS, takes]));
    }
}
