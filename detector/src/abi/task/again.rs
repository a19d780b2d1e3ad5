//! What a thread notes again and again of the tasks that it polls and wakes, found
//! again without a search: where it is, whom it wakes, and when.
//!
//! Without instrumentation a stack is read from frame pointers, each of which
//! leads to the next, and is then looked for in the table of all stacks. But a
//! thread leaves and wakes wakers at few places. It keeps where the frames of its
//! latest stacks lay and what each of them held: if all of that is there still, so
//! is the stack. None of these reads waits for another.
//!
//! The time is asked for at every so many polls and around each call that blocks,
//! so what is noted of a thread that only computes may be as much as
//! [`POLLS`] polls old.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use super::record::Record;
use super::registry;
use crate::abi::kernel;
use crate::rt::thread::Thread;
use crate::stack::{self, FRAMES, StackId};

/// Stacks kept of a thread: places for them, and stacks in each.
const SETS: usize = 16;
/// See [`SETS`].
const WAYS: usize = 4;
/// Tasks that a thread woke, kept.
const TASKS: usize = 64;
/// Polls after which the time is asked for again.
const POLLS: u32 = 16;

/// A word of the stack that says where the next frame is, and one that says where
/// the call returns to.
type Frame = [usize; 2];

/// A stack that the thread had.
struct Known {
    /// Where it began.
    frame: usize,
    /// What was not looked beyond.
    outermost: usize,
    /// The frames, innermost first.
    frames: Vec<Frame>,
    stack: StackId,
}

impl Known {
    /// True if the stack is here again.
    ///
    /// # Safety
    /// `frame` is a frame of a function of the calling thread's that has not
    /// returned.
    #[inline]
    unsafe fn is_here(&self, frame: usize, outermost: usize) -> bool {
        if self.frame != frame || self.outermost != outermost {
            return false;
        }
        let mut at = frame;
        let mut differs = 0;
        for [outer, pc] in &self.frames {
            // SAFETY: a frame of the same thread's stack above one that has not
            // returned: that part of the stack is there.
            let [outer_now, pc_now] = unsafe { (at as *const Frame).read_volatile() };
            differs |= (outer ^ outer_now) | (pc ^ pc_now);
            at = *outer;
        }
        differs == 0
    }
}

/// The latest stacks.
struct Stacks {
    sets: Vec<[Option<Known>; WAYS]>,
    /// Which of a set is forgotten next.
    turn: usize,
}

/// A task that the thread woke, and the data pointer of its wakers.
type Woken = (usize, Arc<Record>);

thread_local! {
    static STACKS: RefCell<Stacks> = const {
        RefCell::new(Stacks {
            sets: Vec::new(),
            turn: 0,
        })
    };
    static WOKEN: RefCell<Vec<Option<Woken>>> = const { RefCell::new(Vec::new()) };
    /// The time, and how many polls it holds for.
    static TIME: Cell<(u64, u32)> = const { Cell::new((0, 0)) };
}

/// The stack of the calling thread around the function that has `frame`, up to the
/// frame `outermost`. To be called while the runtime is at work.
#[inline]
pub fn stack(thread: &Thread, frame: usize, pc: u64, outermost: usize) -> StackId {
    let known = STACKS.try_with(|stacks| {
        let mut stacks = stacks.try_borrow_mut().ok()?;
        if let Some(set) = stacks.sets.get(place(frame, pc)) {
            for known in set.iter().flatten() {
                // SAFETY: the caller's frame.
                if unsafe { known.is_here(frame, outermost) } {
                    return Some(known.stack);
                }
            }
        }
        Some(look(&mut stacks, thread, frame, pc, outermost))
    });
    // At the end of a thread its variables may be gone.
    match known {
        Ok(Some(stack)) => stack,
        Ok(None) | Err(_) => stack::intern(pc, &[]),
    }
}

fn place(frame: usize, pc: u64) -> usize {
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    ((frame as u64 ^ pc.rotate_left(24)).wrapping_mul(MIX) >> 32) as usize % SETS
}

#[cold]
fn look(stacks: &mut Stacks, thread: &Thread, frame: usize, pc: u64, outermost: usize) -> StackId {
    let mut frames: Vec<Frame> = Vec::with_capacity(FRAMES);
    let mut at = frame;
    thread.walk(frame, |here, call| {
        if here >= outermost && !frames.is_empty() {
            return false;
        }
        if let Some([outer, _]) = frames.last_mut() {
            *outer = here;
        }
        at = here;
        frames.push([0, call as usize]);
        frames.len() < FRAMES
    });
    if frames.first().is_none_or(|[_, call]| *call as u64 != pc) {
        // Not on the stack that the thread began with.
        return stack::intern(pc, &[]);
    }
    if let Some([outer, _]) = frames.last_mut() {
        // SAFETY: the last frame that was walked.
        *outer = unsafe { (at as *const usize).read_volatile() };
    }
    let calls = || frames.iter().map(|[_, pc]| *pc as u64);
    let stack = stack::intern_frames(frames.len(), calls);
    if stacks.sets.is_empty() {
        stacks.sets.resize_with(SETS, Default::default);
    }
    stacks.turn = (stacks.turn + 1) % WAYS;
    let turn = stacks.turn;
    let set = &mut stacks.sets[place(frame, pc)];
    let way = set.iter().position(Option::is_none).unwrap_or(turn);
    set[way] = Some(Known {
        frame,
        outermost,
        frames,
        stack,
    });
    stack
}

/// Does something with the task whose wakers have this data pointer. To be called
/// while the runtime is at work.
#[inline]
pub fn with_task(data: usize, with: impl Fn(&Record)) {
    let known = WOKEN.try_with(|woken| {
        let mut woken = woken.try_borrow_mut().ok()?;
        if woken.is_empty() {
            woken.resize_with(TASKS, || None);
        }
        // Tasks are as far from each other as they are large.
        let place = &mut woken[(data >> 6 ^ data >> 12) % TASKS];
        if let Some((at, record)) = place
            && *at == data
            && record.notes.is_at(data)
        {
            with(record);
            return Some(());
        }
        let record = registry::by_data(data)?;
        with(&record);
        *place = Some((data, record));
        Some(())
    });
    if known.is_err()
        && let Some(record) = registry::by_data(data)
    {
        with(&record);
    }
}

/// About now, where a poll has ended.
#[inline]
pub fn time() -> u64 {
    match TIME.get() {
        (_, 0) => {
            let now = kernel::lately();
            TIME.set((now, POLLS));
            now
        }
        (now, left) => {
            TIME.set((now, left - 1));
            now
        }
    }
}

/// The thread has waited, or is about to.
pub fn time_has_passed() {
    TIME.set((0, 0));
}
