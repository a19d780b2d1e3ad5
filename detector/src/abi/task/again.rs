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
//!
//! All of this is to be called while the runtime is at work: a signal handler must
//! not change what is being read.

use std::cell::Cell;
use std::ptr::null_mut;
use std::sync::Arc;

use super::record::Record;
use super::registry;
use crate::abi::kernel;
use crate::rt::thread::Thread;
use crate::stack::{self, FRAMES, StackId};

/// Stacks kept of a thread: places for them, and stacks in each.
const SETS: usize = 64;
/// See [`SETS`].
const WAYS: usize = 4;
/// Tasks that a thread woke, kept.
const TASKS: usize = 64;
/// Polls after which the time is asked for again.
const POLLS: u32 = 32;

/// A frame of a stack: where it is, and its two words, which say where the next one is
/// and where the call returns to.
#[derive(Debug, Clone, Copy)]
struct Frame {
    at: usize,
    words: [u64; 2],
}

impl Frame {
    /// True if its words are what is there now. They are read one by one: the program has
    /// just written them so, and the processor passes each on as it was written.
    ///
    /// # Safety
    /// It is mapped.
    #[inline(always)]
    unsafe fn is_there(&self) -> bool {
        let now = self.at as *const u64;
        // SAFETY: as the caller says.
        let outer = unsafe { now.read_volatile() };
        // SAFETY: as above.
        let pc = unsafe { now.add(1).read_volatile() };
        outer == self.words[0] && pc == self.words[1]
    }
}

/// A stack that the thread had. All zeros are none.
struct Known {
    /// The frame of the function at its place; 0 if this is none.
    frame: usize,
    /// The place.
    pc: u64,
    /// What was not looked beyond.
    outermost: usize,
    /// The frames, innermost first.
    frames: Option<Box<[Frame]>>,
    stack: StackId,
}

impl Known {
    /// True if the stack is here again.
    ///
    /// # Safety
    /// `frame` is the frame pointer of a function of the calling thread's that has not
    /// returned, or anything if that function has no frame.
    #[inline(always)]
    unsafe fn is_here(&self, frame: usize, pc: u64, outermost: usize) -> bool {
        if self.frame != frame || self.pc != pc || self.outermost != outermost {
            return false;
        }
        let Some(frames) = &self.frames else {
            return false;
        };
        for frame in frames {
            // SAFETY: the first of all is on the thread's stack, where it was before; each
            // other lies above it there. That part of the stack is mapped.
            if !unsafe { frame.is_there() } {
                return false;
            }
        }
        true
    }
}

/// What is kept of a thread. All zeros are nothing.
struct Kept {
    stacks: [[Known; WAYS]; SETS],
    /// Which of a set is forgotten next.
    turn: usize,
    /// Tasks that it woke, by the data pointers of their wakers.
    woken: [Option<Arc<Record>>; TASKS],
}

thread_local! {
    /// Null before there is anything, and at the end of the thread: a word that is
    /// read without a look whether it is there.
    static KEPT: Cell<*mut Kept> = const { Cell::new(null_mut()) };
    static OWNER: Owner = const { Owner };
    /// The time, and how many polls it holds for.
    static TIME: Cell<(u64, u32)> = const { Cell::new((0, 0)) };
}

/// Frees what is kept, at the end of the thread.
struct Owner;

impl Drop for Owner {
    fn drop(&mut self) {
        let kept = KEPT.replace(null_mut());
        if !kept.is_null() {
            // SAFETY: a box that the thread made, which nobody finds any more.
            drop(unsafe { Box::from_raw(kept) });
        }
    }
}

#[inline(always)]
fn kept() -> Option<&'static Kept> {
    // SAFETY: null, or the thread's own, which lives until its end. It is changed
    // by `change` alone, within which nobody reads.
    unsafe { KEPT.get().as_ref() }
}

/// Changes what is kept; not at the end of the thread.
fn change(with: impl FnOnce(&mut Kept)) {
    if OWNER.try_with(|_| ()).is_err() {
        return;
    }
    if KEPT.get().is_null() {
        // SAFETY: made of numbers and of what all zeros are nothing of.
        let kept: Box<Kept> = unsafe { Box::new_zeroed().assume_init() };
        KEPT.set(Box::into_raw(kept));
    }
    // SAFETY: not null, and nobody reads it meanwhile: the runtime is at work, and
    // what is passed here reads nothing.
    with(unsafe { &mut *KEPT.get() });
}

/// The stack of the calling thread as [`stack`] says it, if it is the one that was
/// found last at a place like that.
#[inline(always)]
pub fn latest_stack(frame: usize, pc: u64, outermost: usize) -> Option<StackId> {
    let [latest, ..] = &kept()?.stacks[set_of(frame, pc)];
    // SAFETY: the caller's frame.
    unsafe { latest.is_here(frame, pc, outermost) }.then_some(latest.stack)
}

/// The stack of the calling thread from the place `pc` on, which is in a function that
/// has `frame`, up to the frame `outermost`.
pub fn stack(thread: &Thread, frame: usize, pc: u64, outermost: usize) -> StackId {
    // SAFETY: the caller's frame.
    let is_here = |known: &&Known| unsafe { known.is_here(frame, pc, outermost) };
    let known = kept().and_then(|kept| kept.stacks[set_of(frame, pc)].iter().find(is_here));
    match known {
        Some(known) => known.stack,
        None => look(thread, frame, pc, outermost),
    }
}

#[inline(always)]
fn set_of(frame: usize, pc: u64) -> usize {
    // Frames begin at every sixteenth byte.
    (frame >> 4 ^ pc as usize) % SETS
}

#[cold]
fn look(thread: &Thread, frame: usize, pc: u64, outermost: usize) -> StackId {
    let mut frames: Vec<Frame> = Vec::with_capacity(FRAMES);
    thread.walk(frame, |at, call| {
        if at >= outermost {
            return false;
        }
        // SAFETY: a frame that is walked.
        let outer = unsafe { (at as *const u64).read_volatile() };
        let words = [outer, call];
        frames.push(Frame { at, words });
        frames.len() < FRAMES - 1
    });
    let calls = || std::iter::once(pc).chain(frames.iter().map(|frame| frame.words[1]));
    let stack = stack::intern_frames(1 + frames.len(), calls);
    change(|kept| {
        let set = &mut kept.stacks[set_of(frame, pc)];
        kept.turn = (kept.turn + 1) % WAYS;
        let free = set.iter().position(|known| known.frame == 0);
        set[free.unwrap_or(kept.turn)] = Known {
            frame,
            pc,
            outermost,
            frames: Some(frames.into()),
            stack,
        };
    });
    stack
}

/// The task whose wakers have this data pointer, if the thread woke it before.
#[inline(always)]
pub fn known_task(data: usize) -> Option<&'static Record> {
    let record = kept()?.woken[place_of(data)].as_deref()?;
    record.notes.is_at(data).then_some(record)
}

/// Does something with the task whose wakers have this data pointer.
pub fn with_task(data: usize, with: impl Fn(&Record)) {
    if let Some(known) = known_task(data) {
        with(known);
    } else if let Some(record) = registry::by_data(data) {
        with(&record);
        change(|kept| kept.woken[place_of(data)] = Some(record));
    }
}

#[inline(always)]
fn place_of(data: usize) -> usize {
    // Tasks are as far from each other as they are large.
    (data >> 6 ^ data >> 12) % TASKS
}

/// About now, if that need not be asked for.
#[inline(always)]
pub fn known_time() -> Option<u64> {
    let (now, left) = TIME.get();
    (left > 0).then_some(now)
}

/// The same at the end of a poll.
#[inline(always)]
pub fn known_time_at_end() -> Option<u64> {
    let (now, left) = TIME.get();
    TIME.set((now, left.checked_sub(1)?));
    Some(now)
}

/// About now.
pub fn time() -> u64 {
    known_time_at_end().unwrap_or_else(|| {
        let now = kernel::lately();
        TIME.set((now, POLLS));
        now
    })
}

/// The thread has waited, or is about to.
pub fn time_has_passed() {
    TIME.set((0, 0));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_is_known_while_each_word_of_it_is_the_same() {
        // Two frames: each says where the next one is, and where the call returns to.
        let mut words = [0_u64; 4];
        let at = [&raw const words[0], &raw const words[2]].map(|at| at as usize);
        words = [at[1] as u64, 20, 0, 30];
        let frames = [0, 1].map(|frame| Frame {
            at: at[frame],
            words: [words[2 * frame], words[2 * frame + 1]],
        });
        let known = Known {
            frame: at[0],
            pc: 10,
            outermost: usize::MAX,
            frames: Some(Box::new(frames)),
            stack: StackId(1),
        };
        // SAFETY: the words are there.
        let is_here = |pc, outermost| unsafe { known.is_here(at[0], pc, outermost) };
        assert!(is_here(10, usize::MAX));
        assert!(!is_here(11, usize::MAX));
        assert!(!is_here(10, at[1]));
        for place in 0..words.len() {
            let word = (&raw mut words).cast::<u64>().wrapping_add(place);
            // SAFETY: a word of the array.
            let before = unsafe { word.replace(99) };
            assert!(!is_here(10, usize::MAX));
            // SAFETY: as above.
            unsafe { word.write(before) };
            assert!(is_here(10, usize::MAX));
        }
    }
}
