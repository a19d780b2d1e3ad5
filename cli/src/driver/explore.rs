//! `--explore`: each test in several schedules, each with a seed of its own.
//!
//! A test is settled by the first run that does not pass in silence; the runs
//! after that are left out. The seed makes the same threads pause at the same
//! places again (`leakcheck::explore`).

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use crate::model::Explored;

/// How often each test is run, and with which seeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exploration {
    /// Runs of a test, at most.
    pub runs: u32,
    /// Of the first run; the others have those that follow.
    pub seed: u64,
}

impl Exploration {
    /// As the command line asks for; without a seed, by the clock.
    #[must_use]
    pub fn new(runs: u32, seed: Option<u64>) -> Self {
        let by_clock = || {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            u64::from(now.map_or(0, |now| now.subsec_micros()))
        };
        Self {
            runs,
            seed: seed.unwrap_or_else(by_clock),
        }
    }

    /// The seed of a run, counted from 0.
    #[must_use]
    pub const fn seed_of(self, run: u32) -> u64 {
        self.seed.wrapping_add(run as u64)
    }
}

/// Whether a test is to be run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// If there are runs left.
    Again,
    /// It has been told.
    Settled,
}

/// Which tests are settled, and what is known of the others.
#[derive(Debug, Default)]
pub struct Progress(HashMap<usize, State>);

#[derive(Debug, Clone, Copy)]
enum State {
    /// Silent so far.
    Silent {
        runs: u32,
        elapsed: Duration,
    },
    Settled,
}

/// A run that has ended, seen in the course of its test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Silent, and there are more to come.
    Silent,
    /// The test was told before.
    Late,
    /// To be told now.
    Tell {
        /// Of all its runs.
        elapsed: Duration,
        /// What to say.
        explored: Explored,
    },
}

impl Progress {
    /// Test `number` has ended a run; `silent` if it passed and nothing was
    /// found that is an error.
    pub fn step(
        &mut self,
        exploration: Exploration,
        number: usize,
        run: u32,
        silent: bool,
        elapsed: Duration,
    ) -> Step {
        let state = self.0.entry(number).or_insert(State::Silent {
            runs: 0,
            elapsed: Duration::ZERO,
        });
        let State::Silent {
            runs,
            elapsed: before,
        } = *state
        else {
            return Step::Late;
        };
        let (runs, elapsed) = (runs + 1, before + elapsed);
        if silent && runs < exploration.runs {
            *state = State::Silent { runs, elapsed };
            return Step::Silent;
        }
        *state = State::Settled;
        let explored = if silent {
            Explored {
                run: runs,
                seed: None,
            }
        } else {
            Explored {
                run: run + 1,
                seed: Some(exploration.seed_of(run)),
            }
        };
        Step::Tell { elapsed, explored }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: Exploration = Exploration { runs: 3, seed: 10 };
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_silent_test_is_told_after_all_its_runs() {
        let mut progress = Progress::default();
        let mut step = |number, run| progress.step(THREE, number, run, true, SECOND);
        assert_eq!(step(0, 0), Step::Silent);
        assert_eq!(step(1, 0), Step::Silent);
        assert_eq!(step(0, 2), Step::Silent);
        let explored = Explored { run: 3, seed: None };
        assert_eq!(
            step(0, 1),
            Step::Tell {
                elapsed: 3 * SECOND,
                explored
            }
        );
    }

    #[test]
    fn the_first_run_that_is_not_silent_settles() {
        let mut progress = Progress::default();
        let mut step = |run, silent| progress.step(THREE, 0, run, silent, SECOND);
        assert_eq!(step(0, true), Step::Silent);
        let explored = Explored {
            run: 3,
            seed: Some(12),
        };
        assert_eq!(
            step(2, false),
            Step::Tell {
                elapsed: 2 * SECOND,
                explored
            }
        );
        assert_eq!(step(1, false), Step::Late);
    }
}
