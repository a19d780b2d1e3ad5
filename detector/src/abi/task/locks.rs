//! The locks of tokio's that tasks wait for and that only a guard can give back: see
//! [`crate::reach::Lock`].
//!
//! The executor's copy tells of semaphores alone. That one is a lock, and its guard
//! borrows it and shares it with no other, the function says that took it.
//!
//! What it misses: locks whose function was inlined; those that a thread has.

use std::collections::{BTreeMap, BTreeSet};

use super::look::Seen;
use super::waits::{self, Object};
use crate::abi::symbols;
use crate::objects;
use crate::reach::Lock;
use crate::report::wire::ThreadId;
use crate::stack::{self, StackId};

/// Locks that are looked at.
const MOST: usize = 64;

/// What takes a lock for its task alone, and borrows it: two parts of a mangled name.
const TAKES: [(&str, &str); 2] = [("4sync5mutex", "4lock"), ("4sync6rwlock", "5write")];

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
    let at = waits::only_holder(semaphore, |who| waiting.contains(&who))?;
    if !takes_alone(at) {
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

/// True if a lock was taken there for its task alone, by a guard that borrows it.
fn takes_alone(at: StackId) -> bool {
    let takes = |name: &str| {
        TAKES
            .iter()
            .any(|(module, function)| name.contains("5tokio") && takes_by(name, module, function))
    };
    stack::get(at)
        .iter()
        .filter_map(|&pc| symbols::name_of(pc))
        .any(takes)
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
    use super::{TAKES, takes_by};

    fn takes(name: &str) -> bool {
        let takes = |(module, function): &(&str, &str)| takes_by(name, module, function);
        TAKES.iter().any(takes)
    }

    #[test]
    fn locks_that_are_taken_for_one_are_known_in_both_manglings() {
        assert!(takes(
            "_ZN5tokio4sync5mutex14Mutex$LT$T$GT$4lock28_$u7b$$u7b$closure$u7d$$u7d$17h0123456789abcdefE"
        ));
        assert!(takes(
            "_RNCNvMs1_NtNtCs1_5tokio4sync5mutexINtB7_5MutexmE4lock0B9_"
        ));
        assert!(takes(
            "_ZN5tokio4sync6rwlock15RwLock$LT$T$GT$5write28_$u7b$$u7b$closure$u7d$$u7d$17h0123456789abcdefE"
        ));
    }

    #[test]
    fn owned_guards_and_readers_are_not() {
        for name in [
            "_ZN5tokio4sync5mutex14Mutex$LT$T$GT$10lock_owned28_$u7b$$u7b$closure$u7d$$u7d$17h0E",
            "_ZN5tokio4sync6rwlock15RwLock$LT$T$GT$11write_owned28_$u7b$$u7b$closure$u7d$$u7d$17h0E",
            "_ZN5tokio4sync6rwlock15RwLock$LT$T$GT$4read28_$u7b$$u7b$closure$u7d$$u7d$17h0E",
            "_ZN5tokio4sync9semaphore9Semaphore7acquire28_$u7b$$u7b$closure$u7d$$u7d$17h0E",
            "_ZN4mine4lock17h0E",
        ] {
            assert!(!takes(name), "{name}");
        }
    }
}
