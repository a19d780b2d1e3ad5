//! When a task is a leak.
//!
//! A task that waits can only go on when it is woken, through a waker. Where
//! nobody has one, or where nothing that can still run reaches one, the task
//! never runs again: that is proved, however the program goes on. Any other
//! task is only told when its executor drops it, as information.
//!
//! What it misses: a task whose handle is alive may be aborted by whoever has
//! the handle, so that nothing is proved of it.
//!
//! Pure: the caller reads the states.

use crate::report::kind::Certainty;
use crate::report::wire::{Proof, TaskState};

/// What is known of a task at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// How often it was polled.
    pub polls: u64,
    /// It is in a queue.
    pub scheduled: bool,
    /// It is being polled.
    pub running: bool,
    /// It has completed.
    pub complete: bool,
    /// It is cancelled, and only to be dropped.
    pub cancelled: bool,
    /// Its join handle is alive.
    pub handle: bool,
    /// Wakers, and handles that could abort it.
    pub references: u64,
    /// How its wakers are reached.
    pub reached: Reached,
}

/// How what can still run reaches the wakers of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// It does, or nobody has looked.
    Live,
    /// It was not found to, but an owner of what leads to them was not found
    /// either.
    Unaccounted,
    /// It does not.
    Not,
}

/// What a task is at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It ends: it has completed, or is only to be dropped.
    Ending,
    /// It is still there, and may run again.
    Alive(TaskState),
    /// It waits, and as far as was found never runs again.
    MayBeStuck,
    /// It waits, and never runs again.
    Stuck(Proof),
}

/// The verdict on a task.
pub fn verdict(facts: Facts) -> Verdict {
    if facts.complete || facts.cancelled {
        return Verdict::Ending;
    }
    let state = if facts.running {
        TaskState::Running
    } else if facts.polls == 0 {
        TaskState::New
    } else if facts.scheduled {
        TaskState::Scheduled
    } else {
        TaskState::Waiting
    };
    if state != TaskState::Waiting || facts.handle {
        return Verdict::Alive(state);
    }
    if facts.references == 0 {
        return Verdict::Stuck(Proof::NoWaker);
    }
    match facts.reached {
        Reached::Live => Verdict::Alive(state),
        Reached::Unaccounted => Verdict::MayBeStuck,
        Reached::Not => Verdict::Stuck(Proof::Unreachable),
    }
}

impl Verdict {
    /// The state that a report tells, and the proof.
    pub fn told(self) -> Option<(TaskState, Option<Proof>, Certainty)> {
        match self {
            Self::Ending => None,
            Self::Alive(state) => Some((state, None, Certainty::Observed)),
            Self::MayBeStuck => Some((TaskState::Waiting, None, Certainty::Potential)),
            Self::Stuck(proof) => Some((TaskState::Waiting, Some(proof), Certainty::Proved)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAITS: Facts = Facts {
        polls: 3,
        scheduled: false,
        running: false,
        complete: false,
        cancelled: false,
        handle: false,
        references: 1,
        reached: Reached::Live,
    };

    #[test]
    fn without_a_waker_it_is_stuck() {
        let facts = Facts {
            references: 0,
            ..WAITS
        };
        assert_eq!(verdict(facts), Verdict::Stuck(Proof::NoWaker));
        let alive = [
            Facts {
                scheduled: true,
                ..facts
            },
            Facts {
                running: true,
                ..facts
            },
            Facts { polls: 0, ..facts },
            Facts {
                handle: true,
                ..facts
            },
        ];
        for facts in alive {
            assert!(matches!(verdict(facts), Verdict::Alive(_)), "{facts:?}");
        }
    }

    #[test]
    fn a_waker_that_nothing_reaches_is_none() {
        assert_eq!(verdict(WAITS), Verdict::Alive(TaskState::Waiting));
        let facts = |reached| Facts { reached, ..WAITS };
        let unreachable = Verdict::Stuck(Proof::Unreachable);
        assert_eq!(verdict(facts(Reached::Not)), unreachable);
        let unsure = verdict(facts(Reached::Unaccounted));
        assert_eq!(unsure, Verdict::MayBeStuck);
        let told = (TaskState::Waiting, None, Certainty::Potential);
        assert_eq!(unsure.told(), Some(told));
    }

    #[test]
    fn what_is_cancelled_or_complete_is_no_leak() {
        for facts in [
            Facts {
                cancelled: true,
                references: 0,
                ..WAITS
            },
            Facts {
                complete: true,
                references: 0,
                ..WAITS
            },
        ] {
            assert_eq!(verdict(facts), Verdict::Ending);
            assert_eq!(verdict(facts).told(), None);
        }
    }
}
