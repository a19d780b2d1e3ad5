//! Whether a task knew at one moment of what another had done at another moment, by
//! something else than the thread that polled both.

use std::sync::atomic::{AtomicU32, Ordering};

use super::replay::reaches;
use super::{log, window};
use crate::report::wire::ThreadId;
use crate::rt::thread::Thread;
use crate::shadow::word::Stamp;

/// Questions that are answered in a process; beyond, all is taken to be known.
const ANSWERS: u32 = 4096;

static ASKED: AtomicU32 = AtomicU32::new(0);

/// Something that a task did, or a thread outside of its tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    who: ThreadId,
    stamp: Stamp,
    /// Where the log was.
    logged: u64,
    window: u64,
}

impl Moment {
    /// The moment at hand; none if nothing is noted.
    pub fn now(thread: &Thread) -> Option<Self> {
        let window = window::number();
        (!window.is_multiple_of(2)).then(|| Self {
            who: super::strand(thread),
            stamp: thread.stamp_value(),
            logged: log::next(),
            window,
        })
    }

    /// True if one strand acts at both: in the log, tasks that stay on their thread are
    /// that thread.
    pub fn is_of_the_same(&self, other: &Self) -> bool {
        self.who == other.who
    }

    /// True if who acts at the moment `other` knew of this one before the log was at
    /// `then`, or may have.
    pub fn is_known(&self, other: &Self, then: u64) -> bool {
        if self.window != other.window {
            return true;
        }
        if then <= self.logged {
            return false;
        }
        if ASKED.fetch_add(1, Ordering::Relaxed) >= ANSWERS {
            return true;
        }
        let Some(events) = log::since(self.logged) else {
            return true;
        };
        let before = events.into_iter().take_while(|(at, _)| *at < then);
        reaches(
            before.map(|(_, event)| event),
            self.who,
            self.stamp,
            other.who,
        )
    }
}
