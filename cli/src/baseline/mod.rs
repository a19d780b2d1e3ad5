//! The baseline: findings that were there when the gate was turned on, and do
//! not count until somebody looks at them.
//!
//! - [`mod@file`]: the file; [`edit`]: how `baseline write` and `prune` change it.

pub mod edit;
pub mod file;

pub use file::{Baseline, Entry};

/// Version of the file.
pub const SCHEMA: i64 = 1;
