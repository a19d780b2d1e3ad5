//! What a thread knew before it took each of the locks that it holds: who came
//! after another for another reason than that lock.
//!
//! A lock that is free, and that nobody gave back since the thread last knew,
//! teaches nothing and has no note.

use super::{Held, LOCKS, Thread};
use crate::clock::VectorClock;
use crate::history::HeldThen;
use crate::report::wire::WaitOn;
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
    /// Return address of the call.
    pub pc: u64,
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
