//! When a thread that is still alive at the end of the process is a leak.
//!
//! The threads get time to end, but only as long as that is possible: a set of
//! threads that can never run again is told at once. A thread that is being
//! joined, or that runs its last destructors, is not alive any more.
//!
//! Pure: the caller looks at the threads and waits for events. Which pools are
//! idle by design is the reader's business, who has the names of functions.

use std::time::Duration;

use crate::report::kind::Certainty;

/// How long threads may take to end where no event tells sooner.
pub const DEFAULT_GRACE: Duration = Duration::from_millis(1000);

/// The threads still alive, without the main thread and the one that ends the
/// process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alive {
    /// How many.
    pub threads: usize,
    /// How many of them can never run again.
    pub stuck: usize,
}

/// What to do next at the end of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// No thread is left.
    Clean,
    /// Wait for a thread to end or to block.
    Wait,
    /// Report the threads that are left.
    Report,
}

/// What to do, given who is alive and whether the grace period is over.
pub fn next(alive: Alive, time_is_up: bool) -> Next {
    match alive {
        Alive { threads: 0, .. } => Next::Clean,
        Alive { threads, stuck } if threads == stuck || time_is_up => Next::Report,
        Alive { .. } => Next::Wait,
    }
}

/// How sure it is that the thread never ends.
pub fn certainty(stuck: bool) -> Certainty {
    if stuck {
        Certainty::Proved
    } else {
        Certainty::Observed
    }
}

/// The grace period that the environment asks for.
pub fn grace(value: Option<&str>) -> Duration {
    value
        .and_then(|ms| ms.trim().parse().ok())
        .map_or(DEFAULT_GRACE, Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_may_still_end_get_their_time() {
        let alive = Alive {
            threads: 2,
            stuck: 1,
        };
        assert_eq!(next(alive, false), Next::Wait);
        assert_eq!(next(alive, true), Next::Report);
    }

    #[test]
    fn stuck_threads_are_told_at_once() {
        assert_eq!(
            next(
                Alive {
                    threads: 2,
                    stuck: 2
                },
                false
            ),
            Next::Report
        );
    }

    #[test]
    fn no_thread_no_leak() {
        assert_eq!(
            next(
                Alive {
                    threads: 0,
                    stuck: 0
                },
                true
            ),
            Next::Clean
        );
    }

    #[test]
    fn a_grace_that_is_no_number_is_the_default() {
        assert_eq!(grace(Some("20")), Duration::from_millis(20));
        assert_eq!(grace(Some("soon")), DEFAULT_GRACE);
        assert_eq!(grace(None), DEFAULT_GRACE);
    }
}
