//! The `leakcheck` command: builds a cargo project with the compiler's own
//! instrumentation, runs its tests one process each, and judges what they did.
//!
//! - [`args`]: the command line as typed; [`plan`]: the same, resolved;
//! - [`driver`]: cargo, the compiler wrappers, the runner;
//! - [`error`]: why there is no verdict;
//! - [`outcome`]: every way a run can end, and its exit code;
//! - [`runtime`]: the embedded runtime object;
//! - [`sysroot`]: the instrumented standard library.
#![forbid(unsafe_code)]

pub mod args;
pub mod driver;
pub mod error;
pub mod outcome;
pub mod plan;
pub mod runtime;
pub mod sysroot;
