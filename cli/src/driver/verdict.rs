//! What became of one test.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use leakcheck::report::kind::Kind;

use super::process::{Cause, Ended};
use crate::model::{Finding, TestReport};

/// How a test's process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The test passed.
    Passed,
    /// The test failed; for a harness of its own, the program's exit code.
    Failed {
        /// Exit code.
        code: i32,
    },
    /// A signal that leakcheck did not send.
    Crashed {
        /// Its number.
        signal: i32,
    },
    /// The test ended the process before the harness could.
    LeftEarly {
        /// Exit code.
        code: i32,
    },
    /// All its threads were stuck, and the runtime ended it.
    Stuck,
    /// Its time was up.
    TimedOut {
        /// How long that is.
        limit: Duration,
    },
    /// The run was stopped while it ran.
    Stopped,
}

impl Verdict {
    /// From the end of the process. `harness_finished` is whether the harness
    /// said its last word; none where there is no harness to say it.
    #[must_use]
    pub fn new(
        ended: &Ended,
        limit: Option<Duration>,
        harness_finished: Option<bool>,
        stuck: bool,
    ) -> Self {
        match ended.cause {
            Cause::TimeLimit => Self::TimedOut {
                limit: limit.unwrap_or(ended.elapsed),
            },
            Cause::Stopped(_) => Self::Stopped,
            Cause::Itself if stuck => Self::Stuck,
            Cause::Itself => match (ended.status.code(), harness_finished) {
                (None, _) => Self::Crashed {
                    signal: ended.status.signal().unwrap_or_default(),
                },
                (Some(code), Some(false)) => Self::LeftEarly { code },
                (Some(0), Some(true) | None) => Self::Passed,
                (Some(code), Some(true) | None) => Self::Failed { code },
            },
        }
    }

    /// Whether the test counts as failed. One that was ended for being stuck
    /// does not: the finding is its verdict.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        match self {
            Self::Passed | Self::Stuck | Self::Stopped => false,
            Self::Failed { .. }
            | Self::Crashed { .. }
            | Self::LeftEarly { .. }
            | Self::TimedOut { .. } => true,
        }
    }

    /// One sentence for people, where the status word does not say it all.
    #[must_use]
    pub fn reason(self) -> Option<String> {
        match self {
            Self::Passed | Self::Failed { .. } | Self::Stopped => None,
            Self::Crashed { signal } => Some(match signal_name(signal) {
                "SIGKILL" => "killed by SIGKILL, not by leakcheck: was memory short?".to_owned(),
                name => format!("killed by {name}"),
            }),
            Self::LeftEarly { code } => Some(format!(
                "the process exited with code {code} before the test returned"
            )),
            Self::Stuck => Some("all its threads wait for each other; ended".to_owned()),
            Self::TimedOut { limit } => Some(format!(
                "ended after {} s, see --timeout",
                limit.as_secs_f64()
            )),
        }
    }
}

/// `SIGSEGV` for 11.
#[must_use]
pub fn signal_name(signal: i32) -> &'static str {
    signal_hook::low_level::signal_name(signal).unwrap_or("an unknown signal")
}

/// The word at the beginning of a test's line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Word {
    /// Passed, without an error found.
    Pass,
    /// A data race.
    Race,
    /// A leaked thread or task.
    Leak,
    /// Threads that wait for each other.
    Deadlock,
    /// The test failed.
    Fail,
    /// Died of a signal.
    Crash,
    /// Left before it was over.
    Exit,
    /// Took too long.
    Timeout,
    /// The run was stopped.
    Stopped,
    /// Left out for `#[ignore]`.
    Ignored,
}

impl Word {
    /// The word for a verdict and what was found.
    #[must_use]
    pub fn of(verdict: Verdict, report: Option<&TestReport>) -> Self {
        match verdict {
            Verdict::Failed { .. } => Self::Fail,
            Verdict::Crashed { .. } => Self::Crash,
            Verdict::LeftEarly { .. } => Self::Exit,
            Verdict::TimedOut { .. } => Self::Timeout,
            Verdict::Stopped => Self::Stopped,
            Verdict::Stuck => Self::Deadlock,
            Verdict::Passed => match report.and_then(|report| errors(&report.findings).next()) {
                Some(worst) => Self::of_kind(worst.kind),
                None => Self::Pass,
            },
        }
    }

    const fn of_kind(kind: Kind) -> Self {
        match kind {
            Kind::DataRace
            | Kind::RaceWithFree
            | Kind::RaceWithReturn
            | Kind::VolatileRace
            | Kind::TaskRace => Self::Race,
            Kind::LeakedThread
            | Kind::LeakedTask
            | Kind::AbortedTask
            | Kind::DetachedTask
            | Kind::PanickedTask => Self::Leak,
            Kind::Deadlock | Kind::LockOrder => Self::Deadlock,
        }
    }

    /// As it is printed.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Race => "RACE",
            Self::Leak => "LEAK",
            Self::Deadlock => "DEADLOCK",
            Self::Fail => "FAIL",
            Self::Crash => "CRASH",
            Self::Exit => "EXIT",
            Self::Timeout => "TIMEOUT",
            Self::Stopped => "STOPPED",
            Self::Ignored => "IGNORED",
        }
    }
}

/// The findings that make a run fail.
pub fn errors(findings: &[Finding]) -> impl Iterator<Item = &Finding> {
    findings.iter().filter(|finding| finding.fails())
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;
    use std::time::Duration;

    use super::{Cause, Ended, Verdict, Word, signal_name};
    use crate::driver::process::StopReason;

    fn ended(cause: Cause, raw: i32) -> Ended {
        Ended {
            status: ExitStatus::from_raw(raw),
            cause,
            elapsed: Duration::from_secs(1),
        }
    }

    #[test]
    fn verdicts() {
        let limit = Duration::from_secs(5);
        let exited = |code: i32| code << 8;
        for (ended, finished, stuck, verdict, word) in [
            (
                ended(Cause::Itself, 0),
                Some(true),
                false,
                Verdict::Passed,
                Word::Pass,
            ),
            (
                ended(Cause::Itself, 0),
                None,
                false,
                Verdict::Passed,
                Word::Pass,
            ),
            (
                ended(Cause::Itself, exited(101)),
                Some(true),
                false,
                Verdict::Failed { code: 101 },
                Word::Fail,
            ),
            (
                ended(Cause::Itself, exited(3)),
                None,
                false,
                Verdict::Failed { code: 3 },
                Word::Fail,
            ),
            (
                ended(Cause::Itself, 0),
                Some(false),
                false,
                Verdict::LeftEarly { code: 0 },
                Word::Exit,
            ),
            (
                ended(Cause::Itself, exited(7)),
                Some(false),
                false,
                Verdict::LeftEarly { code: 7 },
                Word::Exit,
            ),
            (
                ended(Cause::Itself, 11),
                Some(false),
                false,
                Verdict::Crashed { signal: 11 },
                Word::Crash,
            ),
            (
                ended(Cause::Itself, exited(66)),
                Some(false),
                true,
                Verdict::Stuck,
                Word::Deadlock,
            ),
            (
                ended(Cause::TimeLimit, 15),
                Some(false),
                false,
                Verdict::TimedOut { limit },
                Word::Timeout,
            ),
            (
                ended(Cause::Stopped(StopReason::Signal), 15),
                Some(false),
                false,
                Verdict::Stopped,
                Word::Stopped,
            ),
        ] {
            let got = Verdict::new(&ended, Some(limit), finished, stuck);
            assert_eq!((got, Word::of(got, None)), (verdict, word), "{ended:?}");
        }
    }

    #[test]
    fn signals_have_names() {
        assert_eq!(signal_name(11), "SIGSEGV");
        assert_eq!(
            Verdict::Crashed { signal: 9 }.reason().unwrap(),
            "killed by SIGKILL, not by leakcheck: was memory short?"
        );
    }
}
