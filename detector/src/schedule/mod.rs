//! Tasks that race, but for the thread that happened to poll both.
//!
//! Two tasks polled by one thread are ordered by it, and their accesses are no
//! data race in that execution. With another worker they might have been one.
//! This looks at them as if each task were a thread of its own, ordered by
//! what synchronises only: a spawn before the first poll, a wake before the
//! next, the end of a task before its join ([`replay`]), and whatever locks,
//! channels and atomics there are. What one task leaves in memory of the thread's
//! own ([`own`](crate::abi::task::own)) orders it before who finds it there: no
//! other thread could.
//!
//! No second set of clocks is kept. Each poll has epochs of its own, so that a
//! cell of one's own slot tells which poll it is of ([`turns`]); where that was
//! another task's, the [`log`] of recent synchronisations decides. It costs nothing
//! before the first poll of a task, and little outside of a [`window`].
//!
//! What it misses: polls outside of windows; two polls that are far apart, for whom
//! the log no longer reaches; accesses of tasks polled by different threads that only
//! a third task in between orders; what an unrelated lock, such as a runtime's own,
//! orders by chance.

mod found;
mod handed;
pub mod log;
mod moment;
pub mod replay;
mod turns;
mod window;

use std::cell::{Cell as StdCell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use self::handed::Handed;
pub use self::moment::Moment;
use self::replay::{Event, Object, reaches};
use self::turns::{Open, Polled, Suspects, Turns};
use crate::abi::task::record::Origin;
use crate::check::{self, Before, Epochs, Seen};
use crate::ids::Epoch;
use crate::report::wire::ThreadId;
use crate::rt::mode;
use crate::rt::thread::Thread;
use crate::session;
use crate::shadow::word::{Cell, Stamp};

/// So many conflicts of an access in the code are looked into one by one, by
/// each thread; of those beyond, fewer and fewer.
const ALL_OF: u32 = 64;
/// In the counter of an access that conflicts in memory of the thread's own: each
/// time, that tells of an order.
const OWN: u32 = 1 << 31;
/// No sync object.
const NOWHERE: (u64, u64) = (0, 0);
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

thread_local! {
    static TURNS: RefCell<Turns> = const { RefCell::new(Turns::new()) };
    /// Conflicts so far, by the access in the code that had them.
    static CONFLICTS: [StdCell<u32>; PLACES] = const { [const { StdCell::new(0) }; PLACES] };
    /// The poll at hand, if there is one to look at, and when before it the thread has
    /// polled the same task, or none.
    static BEFORE: StdCell<Before> = const {
        StdCell::new(Before { since: 0, but: [Epochs { from: 0, to: 0 }; 2] })
    };
    /// The task that is being polled, if it is a strand of its own: one that
    /// stays on its thread is as any code of that.
    static POLLED: StdCell<Option<ThreadId>> = const { StdCell::new(None) };
    /// The sync object at which the thread has acquired last, if it has not released
    /// since, and where the log was when it began to do so, over and over.
    static CAME: StdCell<(u64, u64)> = const { StdCell::new(NOWHERE) };
}

/// The thread begins to poll a task, one of a `pool` of threads or one that only
/// who drives its executor polls.
pub fn enter(thread: &mut Thread, task: &Arc<Origin>, pool: bool) {
    if WANTED.load(Ordering::Relaxed) {
        enters(thread, task, pool);
    }
}

#[inline(never)]
fn enters(thread: &mut Thread, task: &Arc<Origin>, pool: bool) {
    log::begin();
    window::poll();
    let nested = match around() {
        Around::Task if pool => {
            begins_to_work(thread);
            false
        }
        Around::Task => {
            releases(thread, Object::turn_of(task.id));
            true
        }
        Around::Worker | Around::Nothing => false,
    };
    let around = thread.frames().last().copied().unwrap_or_default();
    let task = Arc::clone(task);
    let id = task.id;
    turn(thread, |turns, since| {
        turns.open.push(Open {
            polled: Polled { task, around },
            since,
            nested,
            works: false,
        });
    });
    acquires(thread, Object::turn_of(id));
}

/// The innermost poll, of the task with this number, ends, for good if it is
/// `over`: who is next on the thread may then drop what the task had.
pub fn exit(thread: &mut Thread, task: ThreadId, over: bool) {
    if window::number() != 0 {
        exits(thread, task, over);
    }
}

#[inline(never)]
fn exits(thread: &mut Thread, task: ThreadId, over: bool) {
    let nested = |turns: &RefCell<Turns>| {
        let turns = turns.try_borrow().ok()?;
        Some(turns.open.last()?.nested)
    };
    let heard = over || TURNS.try_with(nested).ok().flatten().unwrap_or(false);
    if heard {
        releases(thread, Object::end_of(task));
    }
    turn(thread, |turns, _| drop(turns.open.pop()));
    if heard {
        acquires(thread, Object::end_of(task));
    }
}

/// The thread is about to drop a task, which is not polled any more.
pub fn drops(thread: &Thread, task: ThreadId) {
    if window::is_open() {
        log::add(Event {
            who: task,
            acquires: false,
            releases: true,
            stamp: Stamp::new(thread.stamp_value().slot(), Epoch::MAX),
            at: Object::end_of(task),
        });
        acquires(thread, Object::end_of(task));
    }
}

/// What a poll that begins is inside of.
enum Around {
    /// The poll of a task that drives an executor of its own.
    Task,
    /// The poll of what is a task only by name: the loop of a pool's worker.
    Worker,
    /// No poll.
    Nothing,
}

fn around() -> Around {
    let around = TURNS.try_with(|turns| match turns.try_borrow().ok()?.open.last()? {
        Open { works: true, .. } => Some(Around::Worker),
        _ => Some(Around::Task),
    });
    around.ok().flatten().unwrap_or(Around::Nothing)
}

/// The task that the thread polls polls those of a pool: from now on it is the
/// thread.
fn begins_to_work(thread: &mut Thread) {
    releases(thread, Object::turn_of(thread.id));
    turn(thread, |turns, _| {
        if let Some(open) = turns.open.last_mut() {
            open.works = true;
        }
    });
    acquires(thread, Object::turn_of(thread.id));
}

fn turn(thread: &mut Thread, change: impl FnOnce(&mut Turns, Stamp)) {
    let window = window::number();
    if !window.is_multiple_of(2) {
        thread.before_release();
        session::tick(thread);
    }
    let stamp = thread.stamp_value();
    POLLED.set(None);
    BEFORE.set(Before::default());
    // At the end of a thread its variables may be gone, and there is nothing
    // to compare with any more.
    let _ = TURNS.try_with(|turns| {
        let Ok(mut turns) = turns.try_borrow_mut() else {
            return;
        };
        change(&mut turns, stamp);
        let looked_at = !window.is_multiple_of(2);
        if looked_at {
            turns.begins(stamp, window);
        }
        if let Some(polled) = turns.strand() {
            POLLED.set(Some(polled.task.id));
            if looked_at {
                BEFORE.set(Before {
                    since: stamp.epoch().get(),
                    but: turns.passed_over(&polled.task),
                });
            }
        }
    });
}

/// True while the thread polls a task that could have been polled elsewhere.
#[inline(always)]
pub fn looks() -> bool {
    BEFORE.with(|before| before.get().since) != 0
}

/// What runs on the thread: the task that it polls, or itself.
#[inline]
fn strand(thread: &Thread) -> ThreadId {
    POLLED.get().unwrap_or(thread.id)
}

#[inline]
fn add(thread: &Thread, at: Object, acquires: bool, releases: bool) {
    if window::is_open() {
        if releases {
            CAME.set(NOWHERE);
        } else if CAME.get().0 != at.bits() {
            CAME.set((at.bits(), log::next()));
        }
        log::add(Event {
            who: strand(thread),
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

/// True while what synchronises is noted.
#[inline]
pub fn is_on() -> bool {
    window::is_open()
}

/// Where the log was when what runs on the thread came to a sync object, where it has
/// acquired just now: before it first read it, waiting for its turn there.
pub fn came_to(at: Object) -> u64 {
    match CAME.get() {
        (object, logged) if object == at.bits() => logged,
        _ => log::next(),
    }
}

/// Looks at an access of a task's: whether it would race with one that its
/// own thread made for another task.
#[inline(always)]
pub fn look(thread: &mut Thread, seen: &Seen, at: usize, new: Cell) {
    window::access();
    if check::may_conflict(at, new, &BEFORE.get()) {
        look_at_conflicts(thread, seen, at, new);
    }
}

#[inline(never)]
fn look_at_conflicts(thread: &mut Thread, seen: &Seen, at: usize, new: Cell) {
    let local = thread.locals.contains(&at);
    let Conflicts { own, looked_into } = match local {
        true => Conflicts::LOCAL,
        false => count(seen.pc),
    };
    if !own && !looked_into {
        return;
    }
    let before = BEFORE.get();
    for cell in check::own_conflicts(at, new, &before).into_iter().flatten() {
        if own {
            hands_over(cell, before, (!local).then_some(at));
        }
        if !looked_into {
            continue;
        }
        // A signal may have come while they were in use.
        let suspects = TURNS.with(|turns| turns.try_borrow().ok()?.suspects(cell));
        let Some(suspects) = suspects else { continue };
        if found::is_own(thread, seen, at, cell, &suspects) {
            hands_over(cell, before, Some(at));
            counter(seen.pc, |count| count | OWN);
        }
    }
}

/// The poll at hand finds in memory of the thread's own what the access of `cell` left.
fn hands_over(cell: Cell, before: Before, addr: Option<usize>) {
    TURNS.with(|turns| {
        if let Ok(mut turns) = turns.try_borrow_mut() {
            turns.handed.add(Handed {
                left: cell.epoch(),
                found: Epoch::new(before.since),
                logged: log::next(),
                addr,
            });
        }
    });
}

/// What is to be done about a conflict of an access in the code.
struct Conflicts {
    /// It may be in memory of the thread's own.
    own: bool,
    /// It is worth its time.
    looked_into: bool,
}

impl Conflicts {
    /// In a thread-local variable.
    const LOCAL: Self = Self {
        own: true,
        looked_into: false,
    };
}

/// Counts a conflict of the access at `pc`: those of a runtime's queues come up in each
/// poll, and are always the same.
fn count(pc: u64) -> Conflicts {
    let counted = counter(pc, |counter| {
        counter & OWN | ((counter & !OWN) + 1).min(OWN - 1)
    });
    let times = counted & !OWN;
    Conflicts {
        own: counted & OWN != 0,
        looked_into: times <= ALL_OF || times.is_power_of_two(),
    }
}

/// Changes the counter of the access at `pc`.
fn counter(pc: u64, change: impl FnOnce(u32) -> u32) -> u32 {
    let hash = pc.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let counter = hash as usize % PLACES;
    CONFLICTS.with(|counters| {
        counters[counter].set(change(counters[counter].get()));
        counters[counter].get()
    })
}

/// True if the access of `cell` happens before now, or may do so.
fn ordered(suspects: &Suspects, cell: Cell) -> bool {
    let (earlier, later) = (suspects.other.task.id, suspects.now.task.id);
    // What is no longer remembered may have ordered them.
    let Some(events) = events(suspects) else {
        return true;
    };
    let ordered = reaches(events, earlier, cell.stamp(), later);
    if ordered {
        TURNS.with(|turns| {
            if let Ok(mut turns) = turns.try_borrow_mut() {
                turns.knows(later, earlier, cell.epoch());
            }
        });
    }
    ordered
}

/// What may have ordered two polls, in the order in which it happened.
fn events(suspects: &Suspects) -> Option<impl Iterator<Item = Event>> {
    let logged = log::since(suspects.logged)?;
    let mut all: Vec<(u64, Event)> = logged
        .into_iter()
        .map(|(at, it)| (2 * at + 1, it))
        .collect();
    TURNS.with(|turns| {
        let turns = turns.try_borrow().ok()?;
        for handed in turns.handed.since(suspects.logged)? {
            let pair = turns.hand(handed).into_iter().flatten();
            all.extend(pair.map(|event| (2 * handed.logged, event)));
        }
        Some(())
    })?;
    all.sort_by_key(|(at, _)| *at);
    Some(all.into_iter().map(|(_, event)| event))
}
