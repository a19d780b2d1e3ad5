//! Tasks that race, but for the thread that happened to poll both.
//!
//! Two tasks polled by one thread are ordered by it, and their accesses are no
//! data race in that execution. With another worker they might have been one.
//! This looks at them as if each task were a thread of its own, ordered by
//! what synchronises only: a spawn before the first poll, a wake before the
//! next, the end of a task before its join ([`replay`]), and whatever locks,
//! channels and atomics there are.
//!
//! No second set of clocks is kept. Each poll has epochs of its own, so that a
//! cell of one's own slot tells which poll it is of; where that was another
//! task's, the [`log`] of recent synchronisations decides. It costs nothing
//! before the first poll of a task, and nothing where it is not asked for
//! (`--task-races`).
//!
//! What it misses: two polls that are far apart, for whom the log no longer
//! reaches; accesses of tasks polled by different threads that only a third
//! task in between orders; what an unrelated lock, such as a runtime's own,
//! orders by chance.

mod found;
pub mod log;
pub mod replay;

use std::cell::{Cell as StdCell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use self::replay::{Event, Object, reaches};
use crate::abi::task::record::Origin;
use crate::check::{self, Seen};
use crate::ids::{Epoch, Slot};
use crate::report::wire::ThreadId;
use crate::rt::mode;
use crate::rt::thread::Thread;
use crate::session;
use crate::shadow::word::{Cell, Stamp};

/// Polls remembered of a thread.
const POLLS: usize = 4096;
/// Pairs of tasks remembered of a thread.
const PAIRS: usize = 4096;

/// A task in a poll.
#[derive(Clone)]
pub struct Polled {
    /// The task.
    pub task: Arc<Origin>,
    /// Where the innermost function around the poll goes on.
    pub around: u64,
}

/// What a thread does from an epoch on.
struct Turn {
    since: Epoch,
    /// The task that it polls.
    polled: Option<Polled>,
    /// Where the log was.
    logged: u64,
}

/// So many conflicts of an access in the code are looked into one by one, by
/// each thread; of those beyond, fewer and fewer.
const ALL_OF: u32 = 64;
/// Counters of a thread.
const PLACES: usize = 4096;

static WANTED: AtomicBool = AtomicBool::new(false);

/// Tasks are to be looked at, or not. Called once, before std starts.
pub fn init(wanted: bool) {
    WANTED.store(wanted && !mode::leaks_alone(), Ordering::Relaxed);
}

/// True if tasks are looked at.
pub fn is_wanted() -> bool {
    WANTED.load(Ordering::Relaxed)
}

/// A poll that has not ended.
struct Open {
    polled: Polled,
    /// When it began.
    since: Stamp,
}

/// What a thread has polled, oldest first.
struct Turns {
    slot: Slot,
    turns: VecDeque<Turn>,
    /// Outermost first: a task may drive an executor of its own.
    open: Vec<Open>,
    /// Up to which epoch of the first task on this thread the second knows it.
    known: BTreeMap<(ThreadId, ThreadId), Epoch>,
}

thread_local! {
    static TURNS: RefCell<Turns> = const {
        RefCell::new(Turns {
            slot: Slot::new(0),
            turns: VecDeque::new(),
            open: Vec::new(),
            known: BTreeMap::new(),
        })
    };
    /// Conflicts so far, by the access in the code that had them.
    static CONFLICTS: [StdCell<u32>; PLACES] = const { [const { StdCell::new(0) }; PLACES] };
    /// First epoch of the poll at hand, if there is one to look at; else 0.
    static SINCE: StdCell<u64> = const { StdCell::new(0) };
    /// The task that is being polled, if it is a strand of its own: one that
    /// stays on its thread is as any code of that.
    static POLLED: StdCell<Option<ThreadId>> = const { StdCell::new(None) };
}

impl Turns {
    fn begins(&mut self, stamp: Stamp) {
        let polled = self.open.last().map(|open| open.polled.clone());
        if self.slot != stamp.slot() {
            self.slot = stamp.slot();
            self.turns.clear();
            self.known.clear();
        }
        if self.turns.len() == POLLS {
            self.turns.pop_front();
        }
        self.turns.push_back(Turn {
            since: stamp.epoch(),
            polled,
            logged: log::next(),
        });
    }

    /// The turn that an epoch of this thread is of.
    fn at(&self, epoch: Epoch) -> Option<&Turn> {
        let after = self.turns.partition_point(|turn| turn.since <= epoch);
        self.turns.get(after.checked_sub(1)?)
    }
}

/// The thread begins to poll a task.
pub fn enter(thread: &mut Thread, task: &Arc<Origin>) {
    if !WANTED.load(Ordering::Relaxed) {
        return;
    }
    log::begin();
    let around = thread.frames().last().copied().unwrap_or_default();
    let task = Arc::clone(task);
    turn(thread, |turns, since| {
        turns.open.push(Open {
            polled: Polled { task, around },
            since,
        });
    });
}

/// The innermost poll ends.
pub fn exit(thread: &mut Thread) {
    if log::is_there() {
        turn(thread, |turns, _| drop(turns.open.pop()));
    }
}

fn turn(thread: &mut Thread, change: impl FnOnce(&mut Turns, Stamp)) {
    thread.before_release();
    session::tick(thread);
    let stamp = thread.stamp_value();
    POLLED.set(None);
    SINCE.set(0);
    // At the end of a thread its variables may be gone, and there is nothing
    // to compare with any more.
    let _ = TURNS.try_with(|turns| {
        let Ok(mut turns) = turns.try_borrow_mut() else {
            return;
        };
        change(&mut turns, stamp);
        turns.begins(stamp);
        let open = turns.open.last();
        if let Some(open) = open.filter(|open| !open.polled.task.stays) {
            POLLED.set(Some(open.polled.task.id));
            SINCE.set(stamp.epoch().get());
        }
    });
}

/// True while the thread polls a task that could have been polled elsewhere.
#[inline(always)]
pub fn looks() -> bool {
    SINCE.get() != 0
}

#[inline]
fn add(thread: &Thread, at: Object, acquires: bool, releases: bool) {
    if log::is_there() {
        log::add(Event {
            who: POLLED.get().unwrap_or(thread.id),
            acquires,
            releases,
            stamp: thread.stamp_value(),
            at,
        });
    }
}

/// What runs on the thread acquires there. Called after it did.
#[inline]
pub fn acquires(thread: &Thread, at: Object) {
    add(thread, at, true, false);
}

/// What runs on the thread releases there. Called before others can know.
#[inline]
pub fn releases(thread: &Thread, at: Object) {
    add(thread, at, false, true);
}

/// It acquires there, releases, or both in one. As [`acquires`] and
/// [`releases`].
#[inline]
pub fn exchanges(thread: &Thread, at: Object, releases: bool) {
    add(thread, at, true, releases);
}

/// True if a task was ever polled.
#[inline]
pub fn is_on() -> bool {
    log::is_there()
}

/// Two polls of one thread whose tasks nothing is known to order.
struct Suspects {
    now: Polled,
    other: Polled,
    /// Where the log was at the earlier one.
    logged: u64,
    /// When the later one began.
    since: Stamp,
}

/// Looks at an access of a task's: whether it would race with one that its
/// own thread made for another task.
#[inline(never)]
pub fn look(thread: &mut Thread, seen: &Seen, at: usize, new: Cell) {
    let since = SINCE.get();
    let earlier = check::own_conflicts(at, new, Epoch::new(since));
    if earlier.iter().all(Option::is_none) || !is_looked_into(seen.pc) {
        return;
    }
    for cell in earlier.into_iter().flatten() {
        // A signal may have come while they were in use.
        let suspects = TURNS.with(|turns| suspects(&*turns.try_borrow().ok()?, cell));
        let Some(suspects) = suspects else { continue };
        let Some(place) = found::place(thread, seen, at, cell) else {
            continue;
        };
        thread.busy += 1;
        if !ordered(&suspects, cell) {
            found::tell(thread, seen, at, cell, &place, &suspects);
        }
        thread.busy -= 1;
    }
}

/// Whether a conflict of the access at `pc` is worth its time: that of a
/// runtime's queues comes up in each poll, and is always the same.
fn is_looked_into(pc: u64) -> bool {
    let hash = pc.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let counter = hash as usize % PLACES;
    let count = CONFLICTS.with(|counters| {
        let count = counters[counter].get().saturating_add(1);
        counters[counter].set(count);
        count
    });
    count <= ALL_OF || count.is_power_of_two()
}

/// The poll that the thread makes now, and the one in which it made the access
/// of `cell`, if their tasks are two and not known to be ordered.
fn suspects(turns: &Turns, cell: Cell) -> Option<Suspects> {
    let open = turns.open.last()?;
    if turns.slot != cell.slot() || open.since.slot() != cell.slot() {
        return None;
    }
    let turn = turns.at(cell.epoch())?;
    let other = turn.polled.as_ref()?;
    let now = &open.polled;
    if other.task.id == now.task.id || other.task.stays {
        return None;
    }
    let known = turns.known.get(&(other.task.id, now.task.id));
    if known.is_some_and(|known| *known >= cell.epoch()) {
        return None;
    }
    Some(Suspects {
        now: now.clone(),
        other: other.clone(),
        logged: turn.logged,
        since: open.since,
    })
}

/// True if the access of `cell` happens before now, or may do so.
fn ordered(suspects: &Suspects, cell: Cell) -> bool {
    let pair @ (earlier, later) = (suspects.other.task.id, suspects.now.task.id);
    // What the log no longer has may have ordered them.
    let Some(events) = log::since(suspects.logged) else {
        return true;
    };
    let ordered = reaches(events, earlier, cell.stamp(), later);
    if ordered {
        TURNS.with(|turns| {
            if let Ok(mut turns) = turns.try_borrow_mut() {
                if turns.known.len() == PAIRS {
                    turns.known.clear();
                }
                turns.known.insert(pair, cell.epoch());
            }
        });
    }
    ordered
}
