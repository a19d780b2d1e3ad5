//! Findings that somebody has said need not count, with a reason: in the
//! configuration, in the code, by the library whose they are, or in a file
//! made for ThreadSanitizer.
//!
//! - [`rule`]: what one of them matches; [`glob`]: its wildcards;
//! - [`configured`]: `[[ignore]]` of the configuration;
//! - [`code`]: `#[track(allow(…))]` on the function;
//! - [`library`]: marks that a library ships for threads of its own;
//! - [`tsan`]: suppression files of ThreadSanitizer.

pub mod code;
pub mod configured;
pub mod glob;
pub mod library;
pub mod rule;
pub mod tsan;

pub use rule::{Matcher, Owner, Rule};
