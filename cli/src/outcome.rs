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
    /// there is at least one finding of level `error`. Code 66.
    Findings,
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
            Self::Internal => 70,
            Self::TestsFailed => 100,
            Self::BuildFailed => 101,
            Self::RunTimeout => 124,
            Self::Interrupted => 130,
            Self::Program(code) => code,
        }
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
