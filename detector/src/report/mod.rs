//! What a finding is, and how it travels from the process that saw it to the
//! command that renders it.
//!
//! - [`kind`]: the table of finding kinds: code, name, level.
//! - [`wire`]: the records of a process's wire file, one JSON object a line.

pub mod kind;
pub mod wire;
