//! The `leakcheck` command: builds a cargo project with the compiler's own
//! instrumentation, runs its tests one process each, and judges what they did.
//!
//! - [`args`]: the command line as typed; [`plan`]: the same, resolved;
//! - [`driver`]: cargo, the compiler wrappers, the runner;
//! - [`symbolize`]: names for addresses; [`collect`]: findings from what the
//!   tested processes wrote; [`model`]: what a finding is;
//! - [`error`]: why there is no verdict;
//! - [`outcome`]: every way a run can end, and its exit code;
//! - [`runtime`]: the embedded runtime object;
//! - [`sysroot`]: the instrumented standard library.
#![forbid(unsafe_code)]

pub mod args;
pub mod collect;
pub mod driver;
pub mod error;
pub mod model;
pub mod outcome;
pub mod plan;
pub mod runtime;
pub mod symbolize;
pub mod sysroot;
