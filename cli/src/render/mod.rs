//! Findings as text: for a person, and for a machine.
//!
//! - [`human`]: in the manner of rustc, with source snippets;
//! - [`json`]: one object a line, with a schema.

pub mod human;
pub mod json;
