//! leakcheck: the engine that finds data races, leaked threads and deadlocks.
//!
//! This crate is two things. As a library it is the vocabulary of a finding
//! ([`report`]), which the `leakcheck` command reads and renders. Built with
//! the feature `abi` as a static object it is the runtime that the command
//! links into an instrumented program.

pub mod report;
