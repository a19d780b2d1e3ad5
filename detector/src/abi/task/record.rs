//! What the runtime keeps of a task.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::again;
use super::registry;
use super::trail::{Common, Trail};
use super::turn::Scheduler;
use crate::hooks::table;
use crate::report::wire::{self, Executor, TaskType, ThreadId};
use crate::rt::lock::Spin;
use crate::stack::{self, StackId};
use crate::task::{Facts, Reached};
use crate::ways::{Place, Ways};

/// Spawners kept of a task.
const SPAWNERS: u32 = 16;
/// Branches of a `select!` kept.
pub const BRANCHES: usize = 4;

/// Tasks spawned by none.
static CHILDREN_OF_NONE: AtomicU64 = AtomicU64::new(0);

/// Where a task comes from: kept as long as the task or one that it spawned.
#[derive(Debug)]
pub struct Origin {
    /// Its number.
    pub id: ThreadId,
    /// Type of its future.
    pub future: &'static str,
    /// Where that is a box of any type: the function that polls what is in it; else 0.
    pub poll: u64,
    /// Whose it is.
    pub executor: Executor,
    /// Where it was spawned.
    pub spawned_at: StackId,
    /// By which thread.
    pub thread: ThreadId,
    /// By which task, if the thread was polling one.
    pub parent: Option<Arc<Self>>,
    /// One thread polls it, always: its future need not be `Send`.
    pub stays: bool,
    generation: u32,
    children: AtomicU64,
    /// Its place in the tree of spawns.
    pub place: Place,
    name: OnceLock<String>,
}

impl Origin {
    /// Of a task that `parent` spawned, or `thread` alone.
    pub fn new(
        id: ThreadId,
        (future, poll): (&'static str, u64),
        executor: Executor,
        spawned_at: StackId,
        thread: ThreadId,
        parent: Option<Arc<Self>>,
        stays: bool,
    ) -> Self {
        let generation = parent.as_ref().map_or(0, |parent| parent.generation + 1);
        let above = parent.as_ref();
        let born = above.map_or(&CHILDREN_OF_NONE, |parent| &parent.children);
        let number = born.fetch_add(1, Ordering::Relaxed) + 1;
        Self {
            id,
            future,
            poll,
            executor,
            spawned_at,
            thread,
            stays,
            generation,
            children: AtomicU64::new(0),
            place: Place::new(above.map(|parent| parent.place), number),
            name: OnceLock::new(),
            // A task that spawns its successor must not keep all before it.
            parent: parent.filter(|_| !generation.is_multiple_of(SPAWNERS)),
        }
    }

    /// Its name from now on; a second one is left out.
    pub fn call(&self, name: String) {
        drop(self.name.set(name));
    }

    /// For the wire.
    pub fn describe(&self, finished: bool) -> wire::Thread {
        wire::Thread {
            id: self.id,
            name: self.name.get().cloned(),
            parent: Some(self.parent.as_ref().map_or(self.thread, |task| task.id)),
            spawned_at: stack::get(self.spawned_at),
            finished,
            task: Some(TaskType {
                future: self.future.to_owned(),
                poll: (self.poll != 0).then_some(self.poll),
                executor: self.executor,
            }),
        }
    }
}

/// A live task.
#[derive(Debug)]
pub struct Record {
    /// Where it comes from.
    pub origin: Arc<Origin>,
    /// Which word of its wakers is their data pointer.
    pub data_word: usize,
    /// Reads its state.
    inspect: extern "C" fn(*const ()) -> u64,
    /// Nanosecond at which it was spawned.
    pub born: u64,
    /// What changes all the time.
    pub notes: Notes,
    /// What else changes.
    pub rest: Spin<Rest>,
    /// What polls it.
    pub scheduler: Scheduler,
    /// The data pointer of its wakers, as far as it is known before it is polled.
    pub placed: AtomicUsize,
    trail: Spin<Trail>,
    /// Where it has let others go first.
    pub ways: Spin<Ways>,
}

/// What changes of a task with each poll and wake-up, each word by itself: who
/// reads it while the task is being polled may see some of it older than the rest.
///
/// Invariant: only who polls the task writes, but for the wake-up, and with stores
/// alone: an exchange costs as much as all the rest.
#[derive(Debug, Default)]
pub struct Notes {
    count: AtomicU64,
    /// Zero before the first poll, and once the future is gone.
    data: AtomicUsize,
    /// By whom, and where: one word.
    woken: AtomicU64,
    woken_at: AtomicU64,
    idle_since: AtomicU64,
    thread: AtomicU32,
    chains: [AtomicU32; BRANCHES],
    /// See [`Left`].
    left: AtomicU64,
}

/// Which poll was the last that left a waker, and how often: one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Left {
    /// Which poll.
    poll: u64,
    /// Places of that poll.
    len: usize,
    /// With those beyond that are places of the one before.
    valid: usize,
}

impl Left {
    const LEN: u32 = 4;

    fn from_bits(bits: u64) -> Self {
        let part = |at: u32| (bits >> at) as usize & ((1 << Self::LEN) - 1);
        Self {
            poll: bits >> (2 * Self::LEN),
            len: part(0),
            valid: part(Self::LEN),
        }
    }

    fn bits(self) -> u64 {
        self.poll << (2 * Self::LEN) | (self.valid << Self::LEN | self.len) as u64
    }
}

/// What changes of a task now and then.
#[derive(Debug, Default, Clone, Copy)]
pub struct Rest {
    /// The words of its waker; zero before the first poll.
    pub waker: [usize; 2],
    /// Its future is gone: it must not be inspected.
    pub gone: bool,
    /// It is told already, or nothing is to be told of it.
    pub reported: bool,
    /// Its executor is shut down, and drops it after this poll.
    pub shut: bool,
}

/// What changes of a task, at one moment.
#[derive(Debug, Clone)]
pub struct Polls {
    /// How often it was polled.
    pub count: u64,
    /// Which thread polls it, or did last.
    pub thread: Option<ThreadId>,
    /// Nanosecond at which the last poll ended.
    pub idle_since: u64,
    /// Where it left its waker: the newest poll's that did so, oldest first.
    chains: Vec<StackId>,
    /// Which poll that was.
    pub chains_poll: u64,
    /// Who woke it last.
    pub woken: Option<Wake>,
    /// What else.
    pub rest: Rest,
}

/// A wake-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wake {
    /// By whom.
    pub by: ThreadId,
    /// Where.
    pub at: StackId,
    /// When.
    pub time: u64,
}

/// No wake-up: the number of no thread.
const NOBODY: u64 = 0;

/// Writes the word, if it is another one.
#[inline(always)]
fn changes(word: &AtomicU64, to: u64) {
    if word.load(Ordering::Relaxed) != to {
        word.store(to, Ordering::Relaxed);
    }
}

impl Notes {
    /// Which poll is at hand, or was last.
    #[inline]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// The thread begins to poll it.
    #[inline]
    pub fn begins(&self, thread: ThreadId) {
        self.count.store(self.count() + 1, Ordering::Relaxed);
        if self.thread.load(Ordering::Relaxed) != thread.0 {
            self.thread.store(thread.0, Ordering::Relaxed);
        }
    }

    /// The poll ends at this nanosecond.
    #[inline]
    pub fn ends(&self, at: u64) {
        changes(&self.idle_since, at);
    }

    /// True if its wakers have this data pointer, and its future is not gone.
    #[inline]
    pub fn is_at(&self, data: usize) -> bool {
        self.data.load(Ordering::Relaxed) == data
    }

    fn left(&self) -> Left {
        Left::from_bits(self.left.load(Ordering::Relaxed))
    }

    fn set_left(&self, left: Left) {
        self.left.store(left.bits(), Ordering::Relaxed);
    }

    /// The task leaves its waker somewhere. True if that is the only place where it
    /// has done so in the poll at hand, or in the last one that did.
    #[inline(always)]
    pub fn awaits_again(&self, chain: StackId) -> bool {
        let (poll, left) = (self.count(), self.left());
        let again = left.len == 1 && self.chains[0].load(Ordering::Relaxed) == chain.0;
        if again && left.poll != poll {
            self.set_left(Left {
                poll,
                len: 1,
                valid: 1,
            });
        }
        again
    }

    /// The task left its waker somewhere. If that is nowhere of the last poll's, returns
    /// what it has awaited in that and in this one.
    fn add_chain(&self, chain: StackId) -> Option<[StackId; BRANCHES]> {
        let poll = self.count();
        let mut left = self.left();
        if left.poll != poll {
            left = Left {
                poll,
                len: 0,
                valid: left.len,
            };
        }
        let at = |at: usize| self.chains[at].load(Ordering::Relaxed);
        let known = left.len == BRANCHES || (0..left.len).any(|known| at(known) == chain.0);
        let (len, valid) = (left.len, left.valid.max(left.len));
        left.len += usize::from(!known);
        self.set_left(left);
        if known {
            return None;
        }
        if let Some(before) = (len..valid).find(|before| at(*before) == chain.0) {
            self.chains[before].store(at(len), Ordering::Relaxed);
            self.chains[len].store(chain.0, Ordering::Relaxed);
            return None;
        }
        let mut known = [StackId::default(); BRANCHES];
        for (place, to) in known[..valid].iter_mut().enumerate() {
            *to = StackId(at(place));
        }
        self.chains[len].store(chain.0, Ordering::Relaxed);
        Some(known)
    }

    /// It is woken.
    #[inline]
    pub fn woken(&self, wake: Wake) {
        let word = u64::from(wake.by.0) << 32 | u64::from(wake.at.0);
        changes(&self.woken, word + 1);
        changes(&self.woken_at, wake.time);
    }

    fn wake(&self) -> Option<Wake> {
        let word = self.woken.load(Ordering::Relaxed);
        (word != NOBODY).then(|| Wake {
            by: ThreadId(((word - 1) >> 32) as u32),
            at: StackId((word - 1) as u32),
            time: self.woken_at.load(Ordering::Relaxed),
        })
    }
}

impl Polls {
    /// Where it left its waker, the latest first.
    pub fn chains(&self) -> impl Iterator<Item = StackId> {
        self.chains.iter().rev().copied()
    }
}

impl Record {
    /// Of a new task.
    pub fn new(
        origin: Arc<Origin>,
        data_word: u32,
        inspect: extern "C" fn(*const ()) -> u64,
        born: u64,
    ) -> Self {
        Self {
            origin,
            data_word: data_word as usize & 1,
            inspect,
            born,
            notes: Notes::default(),
            rest: Spin::new(Rest::default()),
            scheduler: Scheduler::default(),
            placed: AtomicUsize::new(0),
            trail: Spin::new(Trail::default()),
            ways: Spin::new(Ways::default()),
        }
    }

    /// True if it is known that one thread polls it, whichever that is.
    pub fn has_one_thread(&self) -> bool {
        self.origin.stays || self.scheduler.is_alone()
    }

    /// True if who polls the handle of the task, whose wakers have `data`, is
    /// given its panic.
    pub fn keeps_panic(&self, data: usize) -> bool {
        data != 0 && (self.inspect)(data as *const ()) & table::KEEPS_PANIC != 0
    }

    /// Its waker is another one than before.
    pub fn set_waker(&self, waker: [usize; 2]) {
        self.rest.lock().waker = waker;
        self.notes
            .data
            .store(waker[self.data_word], Ordering::Relaxed);
    }

    /// The task left its waker somewhere.
    pub fn add_chain(&self, chain: StackId) {
        if let Some(known) = self.notes.add_chain(chain) {
            let now = again::time();
            let mut trail = self.trail.lock();
            trail.moved(chain, &known, now, Common::between);
        }
    }

    /// Since which nanosecond the task has been in each call of what it awaits,
    /// innermost first.
    pub fn since(&self, chain: StackId) -> Vec<u64> {
        self.trail.lock().since(chain)
    }

    /// Its future is about to be dropped. Returns the data pointer of its wakers.
    pub fn goes(&self) -> usize {
        let mut rest = self.rest.lock();
        rest.gone = true;
        self.notes.data.store(0, Ordering::Relaxed);
        self.placed.load(Ordering::Relaxed)
    }

    /// How it was polled.
    pub fn polls(&self) -> Polls {
        self.polls_with(*self.rest.lock())
    }

    fn polls_with(&self, rest: Rest) -> Polls {
        let notes = &self.notes;
        let count = notes.count();
        let left = notes.left();
        let chains = &notes.chains[..left.len.min(BRANCHES)];
        Polls {
            count,
            thread: (count > 0).then(|| ThreadId(notes.thread.load(Ordering::Relaxed))),
            idle_since: notes.idle_since.load(Ordering::Relaxed),
            chains: chains
                .iter()
                .map(|at| StackId(at.load(Ordering::Relaxed)))
                .collect(),
            chains_poll: left.poll,
            woken: notes.wake(),
            rest,
        }
    }

    /// What its state is and what else is known of it; none if it is gone.
    pub fn look(&self) -> Option<(Facts, Polls)> {
        // The future is not dropped as long as the lock is held, nor is what
        // its wakers point to.
        let rest = self.rest.lock();
        if rest.gone {
            return None;
        }
        let state = match rest.waker[self.data_word] {
            // It was never polled, and where its state is is not known.
            0 => table::IS_SCHEDULED,
            data => (self.inspect)(data as *const ()),
        };
        let is = |flag| state & flag != 0;
        let facts = Facts {
            polls: self.notes.count(),
            scheduled: is(table::IS_SCHEDULED),
            running: is(table::IS_RUNNING),
            complete: is(table::IS_COMPLETE),
            cancelled: is(table::IS_CANCELLED),
            handle: is(table::HAS_HANDLE),
            references: (state >> table::REFERENCES_SHIFT)
                .saturating_sub(registry::kept(rest.waker[self.data_word])),
            reached: Reached::Live,
        };
        Some((facts, self.polls_with(*rest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chains(notes: &Notes) -> Vec<u32> {
        let all = notes.chains[..notes.left().len].iter();
        all.map(|at| at.load(Ordering::Relaxed)).collect()
    }

    #[test]
    fn the_newest_poll_that_left_a_waker_counts() {
        let notes = Notes::default();
        notes.begins(ThreadId(7));
        for chain in [1, 2, 1] {
            notes.add_chain(StackId(chain));
        }
        assert_eq!(chains(&notes), [1, 2]);
        notes.begins(ThreadId(8));
        assert_eq!(chains(&notes), [1, 2]);
        for chain in 3..9 {
            notes.add_chain(StackId(chain));
        }
        assert_eq!(chains(&notes), [3, 4, 5, 6]);
        assert_eq!(notes.count(), 2);
    }

    #[test]
    fn only_what_is_new_asks_for_a_comparison() {
        let notes = Notes::default();
        let none = StackId::default();
        notes.begins(ThreadId(7));
        assert_eq!(notes.add_chain(StackId(1)), Some([none; BRANCHES]));
        let one = [StackId(1), none, none, none];
        assert_eq!(notes.add_chain(StackId(2)), Some(one));
        notes.begins(ThreadId(7));
        // In the other order.
        assert_eq!(notes.add_chain(StackId(2)), None);
        assert_eq!(notes.add_chain(StackId(1)), None);
        assert_eq!(chains(&notes), [2, 1]);
        notes.begins(ThreadId(7));
        let both = [StackId(2), StackId(1), none, none];
        assert_eq!(notes.add_chain(StackId(3)), Some(both));
    }

    #[test]
    fn a_wake_up_is_read_as_it_was_noted() {
        let notes = Notes::default();
        assert_eq!(notes.wake(), None);
        let wake = Wake {
            by: ThreadId(0),
            at: StackId(0),
            time: 5,
        };
        notes.woken(wake);
        assert_eq!(notes.wake(), Some(wake));
    }

    #[test]
    fn what_is_awaited_again_is_noted_as_ever() {
        let (short, long) = (Notes::default(), Notes::default());
        let polls: [&[u32]; 8] = [&[1], &[1], &[], &[1, 1], &[2], &[2, 1], &[2, 1], &[1]];
        for poll in polls {
            short.begins(ThreadId(7));
            long.begins(ThreadId(7));
            for &chain in poll {
                let known = long.add_chain(StackId(chain));
                if short.awaits_again(StackId(chain)) {
                    assert_eq!(known, None);
                } else {
                    assert_eq!(short.add_chain(StackId(chain)), known);
                }
                assert_eq!(short.left(), long.left());
                assert_eq!(chains(&short), chains(&long));
            }
        }
        assert!(short.awaits_again(StackId(1)));
        assert!(!short.awaits_again(StackId(2)));
    }
}
