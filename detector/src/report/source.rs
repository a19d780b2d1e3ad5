//! A finding in names and places of the source, as the source front end knows
//! it: without addresses, and without a file between two processes.

use std::fmt;

use super::kind::{Certainty, Kind, Level};

/// Something that tracked code did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub kind: Kind,
    /// How sure it is.
    pub certainty: Certainty,
    /// One sentence without its end.
    pub title: String,
    /// The accesses of a race (the earlier first), or the leaked task or
    /// thread.
    pub legs: Vec<Leg>,
    /// What else is known.
    pub notes: Vec<String>,
    /// What to do next.
    pub help: String,
}

/// One side of a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leg {
    /// Where.
    pub place: Place,
    /// What happens there.
    pub label: String,
}

/// A place in the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// As the compiler names it.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
    /// Path of the function.
    pub function: String,
    /// The expression.
    pub text: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl Finding {
    /// How it counts: what may have been ordered unseen is a warning.
    pub const fn level(&self) -> Level {
        match self.certainty {
            Certainty::Proved | Certainty::Observed => Level::Error,
            Certainty::Potential => Level::Warning,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::text::write(self, f)
    }
}
