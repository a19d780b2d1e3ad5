//! What the end-to-end tests are made of.
//!
//! - [`cases`]: tables of known bugs, and what must be found of them;
//! - [`command`]: the real command, on a fixture, in an environment of its own;
//! - [`messages`]: what it says to machines;
//! - [`expectation`]: what the `//~` comments of a fixture ask for;
//! - [`comparison`]: the one against the other, test by test;
//! - [`lesson`]: the pages that show bugs, reports and fixes;
//! - [`plain`]: cargo without it;
//! - [`redaction`]: what a snapshot does not keep;
//! - [`source`]: the files of the repository, for the rules about them.

pub mod cases;
pub mod command;
pub mod comparison;
pub mod expectation;
pub mod lesson;
pub mod messages;
pub mod plain;
pub mod project;
pub mod redaction;
pub mod source;
