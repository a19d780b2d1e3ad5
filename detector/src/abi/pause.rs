//! Pauses at synchronisation, where the plan of [`crate::explore`] has one.
//!
//! A place is the address of the operation and of the calls around it,
//! relative to the program, so that it is the same in the next process.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::init;
use crate::explore::Point;
use crate::rt::sys;
use crate::rt::thread::Thread;
use crate::session;

/// Frames that tell places apart.
const FRAMES: usize = 8;

static ON: AtomicBool = AtomicBool::new(false);
static SEED: AtomicU64 = AtomicU64::new(0);
/// Nanoseconds that all threads have paused.
static PAUSED: AtomicU64 = AtomicU64::new(0);

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

/// The thread has spawned another, at `pc`.
#[cold]
#[inline(never)]
pub fn spawned(thread: &mut Thread, pc: u64) {
    let locks = locks(thread);
    thread.steps.spawned(locks);
    at(thread, pc, Point::Spawned);
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
    let Some(pause) = thread
        .steps
        .pause(SEED.load(Ordering::Relaxed), place, point)
    else {
        return;
    };
    let nanoseconds = pause.as_nanos() as u64;
    PAUSED.fetch_add(nanoseconds, Ordering::Relaxed);
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
