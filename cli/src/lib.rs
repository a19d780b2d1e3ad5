//! The `leakcheck` command: builds a cargo project with the compiler's own
//! instrumentation, runs its tests one process each, and judges what they did.
//!
//! - [`outcome`]: every way a run can end, and its exit code;
//! - [`runtime`]: the embedded runtime object;
//! - [`sysroot`]: the instrumented standard library.
#![forbid(unsafe_code)]

pub mod outcome;
pub mod runtime;
pub mod sysroot;
