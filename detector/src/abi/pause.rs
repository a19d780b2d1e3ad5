//! Pauses at synchronisation, where the plan of [`crate::explore`] has one.
//!
//! A place is the address of the operation and of the calls around it,
//! relative to the program, so that it is the same in the next process.
//!
//! A thread that pauses until no other can go on looks again and again at what
//! the others have noted of themselves, and asks the kernel of those that note
//! a wait. A sleep, or a wait that ends by itself, counts as going on for a
//! little while only; a thread that computes counts as long as the pause may
//! last.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::end;
use super::init;
use super::kernel;
use crate::explore::{Point, Rank, Steps};
use crate::report::wire::ThreadId;
use crate::rt::lock::Spin;
use crate::rt::sys;
use crate::rt::thread::Thread;
use crate::rt::waiting::{Seen, Waiting};
use crate::session;

/// Frames that tell places apart.
const FRAMES: usize = 8;

/// The longest pause until no other thread can go on: so much processor time
/// of the whole process, which does not run while the machine is busy, or so
/// long.
const MOST_WORK: u64 = 5_000_000;
/// See [`MOST_WORK`].
const LONGEST: u64 = 100_000_000;
/// So long in a pause, who waits with a timeout counts as going on.
const PATIENCE: u64 = 2_000_000;
/// Between two looks at the others: at first, and at most.
const LOOKS: [u64; 2] = [20_000, 160_000];
/// More threads than that are not looked at.
const MANY: usize = 64;

static ON: AtomicBool = AtomicBool::new(false);
static SEED: AtomicU64 = AtomicU64::new(0);
/// Nanoseconds that all threads have paused, by the clock.
static PAUSED: AtomicU64 = AtomicU64::new(0);
/// Nanoseconds that threads that pause have looked at others.
static LOOKED: AtomicU64 = AtomicU64::new(0);
/// Points that threads have come to.
static ARRIVALS: AtomicU64 = AtomicU64::new(0);
/// The threads that pause until no other can go on.
static PAUSING: Spin<Vec<Pausing>> = Spin::new(Vec::new());

/// A thread that pauses until no other can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Pausing {
    rank: Rank,
    arrival: u64,
    thread: ThreadId,
}

/// In the child of a fork: no other thread is here.
pub fn reset() {
    PAUSING.reset();
    PAUSING.lock().clear();
}

/// Called once, before any constructor, with what the environment says.
pub fn init(seed: Option<&str>) {
    if let Some(seed) = seed.and_then(|seed| seed.parse().ok()) {
        SEED.store(seed, Ordering::Relaxed);
        ON.store(true, Ordering::Relaxed);
    }
}

/// True if there are pauses.
#[inline(always)]
pub fn on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// What decides where there are pauses.
pub fn seed() -> u64 {
    SEED.load(Ordering::Relaxed)
}

/// Nanoseconds that all threads have paused so far.
pub fn paused() -> u64 {
    PAUSED.load(Ordering::Relaxed)
}

/// The thread is about to take a lock, or something like one, at `pc`.
#[cold]
#[inline(never)]
pub fn before_taking(thread: &mut Thread, pc: u64) {
    let holding = thread.steps.holds_more_than_at_spawn(locks(thread));
    at(thread, pc, Point::Take { holding });
}

/// The thread has spawned another.
#[cold]
#[inline(never)]
pub fn spawned(thread: &mut Thread) {
    let locks = locks(thread);
    thread.steps.spawned(locks);
}

/// Of the thread that this one is about to spawn.
#[cold]
pub fn child(thread: &mut Thread) -> Steps {
    thread.steps.child(ARRIVALS.fetch_add(1, Ordering::Relaxed))
}

/// How many locks the thread holds. What was only added to is as a rule a
/// reference count.
fn locks(thread: &Thread) -> usize {
    thread.locks().iter().filter(|held| !held.shared).count()
}

/// A thread that is followed has come to a point at `pc`.
#[cold]
#[inline(never)]
pub fn at(thread: &mut Thread, pc: u64, point: Point) {
    // Alone, it is late for nobody.
    if thread.busy != 0 || session::alone() {
        return;
    }
    let program = init::program() as u64;
    let frames = thread.frames();
    let near = &frames[frames.len().saturating_sub(FRAMES)..];
    let place = near.iter().fold(pc.wrapping_sub(program), |place, frame| {
        place.rotate_left(7) ^ frame.wrapping_sub(program)
    });
    let seed = SEED.load(Ordering::Relaxed);
    let arrival = ARRIVALS.fetch_add(1, Ordering::Relaxed);
    if let Some(rank) = thread.steps.pause(seed, place, point, arrival) {
        let own = Pausing {
            rank,
            arrival,
            thread: thread.id,
        };
        let time = until_idle(own);
        thread.steps.paused(Duration::from_nanos(time));
    }
}

/// Waits until no other thread can go on, and it is this one's turn. How long
/// it took.
fn until_idle(own: Pausing) -> u64 {
    let begin = kernel::now();
    let worked = work();
    let mut looked = kernel::own_processor_time();
    let [mut slice, longest_slice] = LOOKS;
    let mut counted = 0;
    PAUSING.lock().push(own);
    loop {
        nap(slice);
        slice = (slice * 2).min(longest_slice);
        let time = kernel::now() - begin;
        PAUSED.fetch_add(time - counted, Ordering::Relaxed);
        counted = time;
        let next = is_next(own) && others_idle(time >= PATIENCE);
        let so_far = kernel::own_processor_time();
        LOOKED.fetch_add(so_far - looked, Ordering::Relaxed);
        looked = so_far;
        if next || time >= LONGEST || work().saturating_sub(worked) >= MOST_WORK {
            PAUSING.lock().retain(|pausing| *pausing != own);
            return time;
        }
    }
}

/// Nanoseconds that threads have run, but for the looks of those that pause.
fn work() -> u64 {
    kernel::processor_time().saturating_sub(LOOKED.load(Ordering::Relaxed))
}

/// True if none of those that pause goes before it.
fn is_next(own: Pausing) -> bool {
    PAUSING.lock().iter().min() == Some(&own)
}

/// True if each other thread pauses, or waits for one that does: all of them at
/// the moment between two passes.
fn others_idle(patience_is_over: bool) -> bool {
    let live = session::live();
    if live.len() > MANY {
        return true;
    }
    let pausing: Vec<ThreadId> = PAUSING
        .lock()
        .iter()
        .map(|pausing| pausing.thread)
        .collect();
    let mut asleep = Vec::new();
    for record in live {
        // SAFETY: records stay mapped for good; these fields are atomics, or a
        // number that is old at worst.
        let (waiting, id) = unsafe {
            (
                &(*record).waiting,
                (&raw const (*record).id).read_volatile(),
            )
        };
        if pausing.contains(&id) || end::waits_for_others(id) {
            continue;
        }
        match waiting.look() {
            Some(seen) if seen.is_untimed() || patience_is_over => asleep.push((waiting, seen)),
            Some(_) | None => return false,
        }
    }
    let still = |(waiting, seen): &(&Waiting, Seen)| {
        kernel::is_asleep(waiting.kernel_id()) && waiting.is_still(seen.turn)
    };
    asleep.iter().all(still) && asleep.iter().all(still)
}

/// Sleeps for so many nanoseconds.
fn nap(nanoseconds: u64) {
    let time = libc::timespec {
        tv_sec: 0,
        tv_nsec: nanoseconds as i64,
    };
    // SAFETY: the time is readable.
    unsafe {
        sys::call(
            libc::SYS_nanosleep,
            [&raw const time as usize, 0, 0, 0, 0, 0],
        )
    };
}
