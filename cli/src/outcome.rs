//! Every way a run of leakcheck can end, and the exit code of each.
//!
//! The codes are an interface: a CI job gates on them. They are matched in one
//! place, [`Outcome::code`], and nowhere else is a number written.

use std::process::ExitCode;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Nothing was found and every test passed. Code 0.
    Clean,
    /// Every test passed or was ended by leakcheck because of a finding, and
    /// there is at least one finding of level `error` that nothing excuses.
    /// Code 66.
    Findings,
    /// The configuration, the baseline or a suppression file is broken, or,
    /// with `--deny-stale`, has entries that match nothing. Code 67.
    Stale,
    /// At least one test failed, crashed, timed out or ended its process
    /// itself; there may be findings as well. Code 100.
    TestsFailed,
    /// cargo did not build the project: it does not compile, its manifest is
    /// broken, or there is no project. Code 101.
    BuildFailed,
    /// No test matched. Code 4.
    NoTests,
    /// The command line asks for what there is not. Code 2.
    Usage,
    /// leakcheck itself failed: no toolchain, an unwritable cache, a bug.
    /// Code 70.
    Internal,
    /// The whole run took longer than `--run-timeout`. Code 124.
    RunTimeout,
    /// The run was stopped by SIGINT or SIGTERM. Code 130.
    Interrupted,
    /// `leakcheck run` and the target runner: the program ended with this
    /// status of its own, and nothing was found in it.
    Program(u8),
}

impl Outcome {
    /// The exit code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Usage => 2,
            Self::NoTests => 4,
            Self::Findings => 66,
            Self::Stale => 67,
            Self::Internal => 70,
            Self::TestsFailed => 100,
            Self::BuildFailed => 101,
            Self::RunTimeout => 124,
            Self::Interrupted => 130,
            Self::Program(code) => code,
        }
    }
}

impl Outcome {
    /// All that have a code of their own.
    const ALL: [Self; 10] = [
        Self::Clean,
        Self::Findings,
        Self::Stale,
        Self::TestsFailed,
        Self::BuildFailed,
        Self::NoTests,
        Self::Usage,
        Self::Internal,
        Self::RunTimeout,
        Self::Interrupted,
    ];

    /// The outcome with this code.
    #[must_use]
    pub fn of_code(code: u8) -> Self {
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.code() == code)
            .unwrap_or(Self::Program(code))
    }

    /// What a run of several parts ends with, from the codes of the parts:
    /// the one that says most, in the order in which a single run decides.
    #[must_use]
    pub fn worst_code(codes: &[u8]) -> u8 {
        let order = [
            Self::Internal,
            Self::BuildFailed,
            Self::Usage,
            Self::Interrupted,
            Self::RunTimeout,
            Self::TestsFailed,
            Self::Findings,
            Self::Stale,
        ];
        // A shard without tests is no fault while another has some.
        let fine = |code: &u8| *code == Self::Clean.code() || *code == Self::NoTests.code();
        order
            .map(Self::code)
            .into_iter()
            .find(|code| codes.contains(code))
            .or_else(|| codes.iter().copied().find(|code| !fine(code)))
            .or_else(|| codes.contains(&0).then_some(0))
            .or_else(|| codes.first().copied())
            .unwrap_or(Self::NoTests.code())
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(outcome.code())
    }
}

#[cfg(test)]
mod tests {
    use super::Outcome;

    #[test]
    fn codes_are_those_of_the_documentation() {
        let table = [
            (Outcome::Clean, 0),
            (Outcome::Usage, 2),
            (Outcome::NoTests, 4),
            (Outcome::Findings, 66),
            (Outcome::Stale, 67),
            (Outcome::Internal, 70),
            (Outcome::TestsFailed, 100),
            (Outcome::BuildFailed, 101),
            (Outcome::RunTimeout, 124),
            (Outcome::Interrupted, 130),
            (Outcome::Program(7), 7),
        ];
        for (outcome, code) in table {
            assert_eq!(outcome.code(), code, "{outcome:?}");
        }
    }
}
