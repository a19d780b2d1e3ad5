//! What a finding is, and how it travels from the process that saw it to the
//! command that renders it.
//!
//! - [`kind`]: the table of finding kinds: code, name, level.
//! - [`wire`]: the records of a process's wire file, one JSON object a line.
//! - [`source`]: a finding of the source front end, which has names already;
//!   [`text`]: how it reads.

pub mod kind;
pub mod source;
pub mod text;
pub mod wire;
