//! The locks that a thread holds, and what it knew before it took each of them:
//! who came after another for another reason than that lock.
//!
//! A lock that is free, and that nobody gave back since the thread last knew,
//! teaches nothing and has no note.

use super::{Held, LOCK_FRAMES, LOCKS, Thread};
use crate::clock::VectorClock;
use crate::history::HeldThen;
use crate::report::wire::{ThreadId, WaitOn};
use crate::stack::StackId;
use crate::sync::ReleaseClock;

/// How a lock was taken.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    /// Address of the lock word.
    pub addr: usize,
    /// Read lock.
    pub shared: bool,
    /// What it is, as far as the call says.
    pub on: WaitOn,
    /// [`Thread::learns`] was true of it.
    pub taught: bool,
    /// For whom, while tasks are looked at.
    pub taker: Option<Taker>,
    /// Return address of the call.
    pub pc: u64,
}

/// Who took a lock of a thread's, among the tasks that the thread polls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taker {
    /// The task, or the thread itself.
    pub who: ThreadId,
    /// In which poll of the task.
    pub poll: u64,
    /// Where the log of synchronisations was before.
    pub logged: u64,
}

/// Which of a thread's notes is a lock's, if one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Note(u8);

impl Note {
    /// Nothing was learned.
    pub const NONE: Self = Self(u8::MAX);
}

/// One for each lock that a thread can hold, and one for the lock that it is
/// about to take.
#[derive(Debug)]
pub struct Notes {
    clocks: [VectorClock; LOCKS + 1],
    /// Bits of those that a lock has.
    taken: u32,
}

impl Notes {
    /// All free.
    pub const fn new() -> Self {
        Self {
            clocks: [const { VectorClock::new() }; LOCKS + 1],
            taken: 0,
        }
    }

    /// All free again.
    pub fn reset(&mut self) {
        self.taken = 0;
    }

    /// The one to write to. There always is one: a thread that holds as many
    /// locks as there are forgets one before it keeps another note.
    fn free(&self) -> u8 {
        self.taken.trailing_ones() as u8
    }

    /// A lock has the note that was written last.
    pub fn keep(&mut self) -> Note {
        let note = self.free();
        self.taken |= 1 << note;
        Note(note)
    }

    /// The lock is given back.
    pub fn give_back(&mut self, note: Note) {
        if note != Note::NONE {
            self.taken &= !(1 << note.0);
        }
    }
}

impl Thread {
    /// The thread took a lock.
    #[inline]
    pub fn lock_taken(&mut self, taken: &Taken) {
        let &Taken {
            addr,
            shared,
            on,
            taught,
            taker,
            pc,
        } = taken;
        if !shared {
            // Taken again without being given back: it was no lock.
            self.lock_released(addr);
        }
        if self.held_len == LOCKS {
            self.remove_lock(0);
        }
        let note = if taught {
            self.notes.keep()
        } else {
            Note::NONE
        };
        let depth = (self.top as usize - self.frames as usize) / size_of::<u64>();
        let depth = depth.min(LOCK_FRAMES - 1);
        let calls = self.top.wrapping_sub(depth);
        // SAFETY: at most as many entries as there are below `top`. Volatile,
        // so that they are read one by one, as they were written just now: a
        // wider read would have to wait for that.
        let call = |at: usize| unsafe { calls.add(at).read_volatile() };
        let held = &mut self.held[self.held_len];
        held.addr = addr;
        held.shared = shared;
        held.on = on;
        held.note = note;
        held.taker = taker;
        // Mostly it is taken where one was taken the last time.
        let there = &mut held.calls[..depth];
        let mut differ = (held.pc ^ pc) | (held.depth ^ depth) as u64;
        for (at, there) in there.iter().enumerate() {
            differ |= there ^ call(at);
        }
        if differ != 0 {
            held.pc = pc;
            held.depth = depth;
            for (at, there) in there.iter_mut().enumerate() {
                *there = call(at);
            }
            held.interned = StackId(0);
        }
        self.held_len += 1;
        self.log_locks();
    }

    /// The locks changed: the next access that is logged says so.
    #[inline]
    fn log_locks(&mut self) {
        self.locks_changed = true;
        // No thread has that stamp.
        self.logged_stamp = 0;
    }

    /// The thread gave a lock back.
    #[inline]
    pub fn lock_released(&mut self, addr: usize) {
        if let Some(at) = self.held[..self.held_len]
            .iter()
            .rposition(|held| held.addr == addr)
        {
            self.remove_lock(at);
            self.log_locks();
        }
    }

    #[inline]
    fn remove_lock(&mut self, at: usize) {
        self.notes.give_back(self.held[at].note);
        self.held.copy_within(at + 1..self.held_len, at);
        self.held_len -= 1;
    }

    /// The locks that it holds, in the order in which it took them.
    pub fn locks(&self) -> &[Held] {
        &self.held[..self.held_len]
    }

    /// The thread is about to take a lock, or something like one, that
    /// publishes `clock`: notes what it knows, if that teaches it something.
    #[cold]
    pub fn learns(&mut self, clock: &ReleaseClock) -> bool {
        let new = !self.clocks.knows(clock);
        if new {
            let note = self.notes.free();
            self.notes.clocks[usize::from(note)].assign(self.clocks.now());
        }
        new
    }

    /// The lock at this place of [`Thread::locks`], its stack in the table of
    /// stacks.
    pub fn held_then(&mut self, at: usize) -> HeldThen {
        self.held[at].then()
    }

    /// What the thread knew before it took the lock at this place of
    /// [`Thread::locks`].
    pub fn knew_before(&self, at: usize) -> &[u64] {
        let mut notes = self.locks()[at..].iter().map(|held: &Held| held.note);
        match notes.find(|note| *note != Note::NONE) {
            Some(note) => self.notes.clocks[usize::from(note.0)].as_slice(),
            None => self.clocks.now(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_one_locks_until_it_is_given_back() {
        let mut notes = Notes::new();
        let all: Vec<Note> = (0..LOCKS).map(|_| notes.keep()).collect();
        assert_eq!(all.len(), LOCKS);
        assert_eq!(usize::from(notes.free()), LOCKS);
        notes.give_back(all[3]);
        notes.give_back(Note::NONE);
        assert_eq!(notes.free(), 3);
        assert_eq!(notes.keep(), all[3]);
        notes.reset();
        assert_eq!(notes.free(), 0);
    }
}
