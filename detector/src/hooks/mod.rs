//! The seam between the runtime and code that knows of it, in one process.
//!
//! - [`table`]: the functions that the runtime offers;
//! - [`lookup`]: how code that may run without the runtime finds them.
//!
//! Both files use `core` only: the overlays of executors contain their text.

pub mod lookup;
pub mod table;
