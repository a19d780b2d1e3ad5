//! What tasks wait for where the other side has a name: who has the permits of a
//! semaphore, which tokio's locks are made of, and which task is joined.
//!
//! An executor tells when such a wait is polled, when it is over, and when
//! permits are given back. Threads that block on a future wait as tasks do.
//!
//! What it misses: locks that were only tried; a guard that another task drops
//! than took it is taken for the oldest of them; of several waits in one poll,
//! as in a `select!`, the last one counts. So this explains a deadlock that is
//! proved otherwise, and proves none.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use dashmap::DashMap;

use super::registry;
use crate::report::wire::ThreadId;
use crate::rt::replaceable::Replaceable;
use crate::schedule::log;
use crate::stack::StackId;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object {
    /// Permits of the semaphore at this address.
    Permits(usize),
    /// The end of a task.
    Task {
        /// The data pointer of its wakers.
        data: usize,
        /// Where its join handle lies.
        handle: usize,
    },
}

/// A wait that was polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// For what.
    pub on: Object,
    /// In which poll of the task; 0 of a thread that blocks on a future.
    poll: u64,
    /// Where the log of synchronisations was when it was polled first.
    since: u64,
    /// Counts the waits that begin.
    turn: u64,
}

/// Who has a permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// The task or thread.
    pub who: ThreadId,
    /// Where it got it.
    pub at: StackId,
}

/// Holders kept of a semaphore.
const KEPT: usize = 64;

/// Semaphores with holders: as a rule none.
static HELD: AtomicUsize = AtomicUsize::new(0);
/// Waits that began.
static BEGUN: AtomicU64 = AtomicU64::new(0);
static WAITS: Replaceable<DashMap<ThreadId, Waits>> = Replaceable::new();
static HOLDERS: Replaceable<DashMap<usize, Vec<Holder>>> = Replaceable::new();

/// `who` polls a wait, in its poll of this number.
pub fn polled(who: ThreadId, poll: u64, on: Object) {
    let begins = || Waits {
        on,
        poll,
        since: log::next(),
        turn: BEGUN.fetch_add(1, Ordering::Relaxed),
    };
    let mut waits = WAITS.get().entry(who).or_insert_with(begins);
    if waits.on != on {
        *waits = begins();
    }
    waits.poll = poll;
}

/// A wait for permits is over, and `holder` has them if it is told and the wait
/// was ever polled. Where the log of synchronisations was at first, if it has.
pub fn over(who: ThreadId, semaphore: usize, holder: Option<Holder>) -> Option<u64> {
    let own = |_: &ThreadId, waits: &Waits| waits.on == Object::Permits(semaphore);
    let (_, waits) = WAITS.get().remove_if(&who, own)?;
    let holder = holder?;
    let mut holders = HOLDERS.get().entry(semaphore).or_default();
    if holders.is_empty() {
        HELD.fetch_add(1, Ordering::Relaxed);
    }
    if holders.len() == KEPT {
        holders.remove(0);
    }
    holders.push(holder);
    Some(waits.since)
}

/// A wait for the end of a task is over.
pub fn joined(who: ThreadId, joined: usize) {
    let own = |_: &ThreadId, waits: &Waits| matches!(waits.on, Object::Task { data, .. } if data == joined);
    WAITS.get().remove_if(&who, own);
}

/// True if nobody is known to have any permits.
#[inline]
pub fn nobody_holds() -> bool {
    HELD.load(Ordering::Relaxed) == 0
}

/// Permits of the semaphore are given back by `who`. Who counts as having had them, if
/// somebody does.
pub fn given_back(who: ThreadId, semaphore: usize) -> Option<ThreadId> {
    let mut holders = HOLDERS.get().get_mut(&semaphore)?;
    let own = holders.iter().rposition(|holder| holder.who == who);
    let had = (!holders.is_empty()).then(|| holders.remove(own.unwrap_or(0)).who);
    let empty = holders.is_empty();
    drop(holders);
    if empty
        && HOLDERS
            .get()
            .remove_if(&semaphore, |_, left| left.is_empty())
            .is_some()
    {
        HELD.fetch_sub(1, Ordering::Relaxed);
    }
    had
}

/// The task is gone.
pub fn ended(who: ThreadId) {
    WAITS.get().remove(&who);
}

/// What the task or thread waited for in its poll of this number.
pub fn of(who: ThreadId, poll: u64) -> Option<Object> {
    now(who, poll).map(|waits| waits.on)
}

fn now(who: ThreadId, poll: u64) -> Option<Waits> {
    let waits = *WAITS.get().get(&who)?;
    (waits.poll == poll).then_some(waits)
}

/// What a task or thread waited for in one poll, and who must act for that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// For what.
    pub on: Object,
    /// Who must act, as far as they have names: who explains best why it waits comes
    /// first.
    pub owners: Vec<ThreadId>,
    /// Where the first of them got its permits, if it has any.
    pub got_at: Option<StackId>,
}

/// Of each semaphore, who has waited longest for its permits, and since which turn: made
/// where one is needed first, so that to look at all tasks takes as long as there are of
/// them.
#[derive(Debug, Default)]
pub struct Queues(OnceLock<HashMap<usize, (u64, ThreadId)>>);

impl Queues {
    /// Who has waited longest, if it waits still, and longer than since that turn.
    fn first(&self, semaphore: usize, before: u64) -> Option<ThreadId> {
        let first = || {
            longest(
                WAITS
                    .get()
                    .iter()
                    .map(|waits| (*waits.key(), *waits.value())),
            )
        };
        let &(turn, who) = self.0.get_or_init(first).get(&semaphore)?;
        let waits_still = WAITS.get().get(&who)?.turn == turn;
        (waits_still && turn < before).then_some(who)
    }

    /// What the task or thread waited for in its poll of this number, where that has a
    /// name, and who must act for it.
    ///
    /// Permits are given in the order in which they were asked for. So who has some and
    /// waits for more waits for who asked before it, as a reader does behind a writer, or
    /// else for others that have some; and for itself, since it will give none back.
    pub fn named(&self, who: ThreadId, poll: u64) -> Option<Named> {
        let waits = now(who, poll)?;
        let semaphore = match waits.on {
            Object::Permits(semaphore) => semaphore,
            Object::Task { data, .. } => {
                let joined = registry::by_data(data);
                return Some(Named {
                    on: waits.on,
                    owners: joined.into_iter().map(|task| task.origin.id).collect(),
                    got_at: None,
                });
            }
        };
        let holders = HOLDERS.get().get(&semaphore);
        let holders = holders.map_or_else(Vec::new, |holders| holders.clone());
        let mut owners: Vec<ThreadId> = holders.iter().map(|holder| holder.who).collect();
        if owners.contains(&who) {
            owners.retain(|owner| *owner != who);
            let before = self.first(semaphore, waits.turn);
            owners = before.into_iter().chain(owners).collect();
            owners.push(who);
        } else {
            owners.truncate(1);
        }
        let first = owners.first();
        let held = holders.iter().find(|holder| Some(&holder.who) == first);
        Some(Named {
            on: waits.on,
            got_at: held.map(|holder| holder.at),
            owners,
        })
    }
}

fn longest(all: impl Iterator<Item = (ThreadId, Waits)>) -> HashMap<usize, (u64, ThreadId)> {
    let mut first = HashMap::new();
    for (who, waits) in all {
        if let Object::Permits(semaphore) = waits.on {
            let longest = first.entry(semaphore).or_insert((waits.turn, who));
            *longest = (*longest).min((waits.turn, who));
        }
    }
    first
}

/// Where those that have permits of the semaphore got them, if somebody has and that is
/// true of all of them, as far as they are kept.
pub fn holders(semaphore: usize, is: impl Fn(ThreadId) -> bool) -> Option<Vec<StackId>> {
    let holders = HOLDERS.get().get(&semaphore)?;
    let all = (1..KEPT).contains(&holders.len()) && holders.iter().all(|holder| is(holder.who));
    all.then(|| holders.iter().map(|holder| holder.at).collect())
}

/// In the child of a fork.
pub fn reset() {
    WAITS.replace(DashMap::new());
    HOLDERS.replace(DashMap::new());
    HELD.store(0, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_waited_longest_is_first() {
        let waits = |who, on, turn| {
            let waits = Waits {
                on,
                poll: 1,
                since: 0,
                turn,
            };
            (ThreadId(who), waits)
        };
        let joins = Object::Task { data: 8, handle: 9 };
        let first = longest(
            [
                waits(1, Object::Permits(8), 5),
                waits(2, Object::Permits(8), 3),
                waits(3, Object::Permits(16), 4),
                waits(4, joins, 1),
            ]
            .into_iter(),
        );
        assert_eq!(
            first,
            HashMap::from([(8, (3, ThreadId(2))), (16, (4, ThreadId(3)))])
        );
    }
}
