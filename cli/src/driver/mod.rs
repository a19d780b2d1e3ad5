//! The driver: cargo builds and names the tests, we run them one process each.
//!
//! Who calls whom:
//!
//! 1. `leakcheck test` calls `cargo test --no-run` ([`cargo`]);
//! 2. cargo calls us as `leakcheck-rustc` and `leakcheck-rustdoc`
//!    ([`wrapper`]), which append the flags of instrumentation ([`flags`]);
//! 3. `leakcheck test` calls `cargo test` once more, and cargo calls us as
//!    `leakcheck-runner` ([`target_runner`]), which notes how each test binary
//!    is to be called ([`record`]);
//! 4. the binaries are asked for their tests ([`libtest`], [`suite`]), and
//!    each test runs in a process of its own ([`runner`], [`execute`],
//!    [`process`]);
//! 5. rustdoc runs the doctests with us as their runner ([`doctest`]).
//!
//! Another runner, cargo-nextest, calls us as its target runner for each test;
//! each leaves a fragment of the report ([`nextest`]).
//!
//! What one process tells the next goes through the environment ([`mod@env`]).

pub mod cargo;
pub mod commands;
pub mod doctest;
pub mod env;
pub mod execute;
pub mod explore;
pub mod flags;
pub mod libtest;
pub mod nextest;
pub mod process;
pub mod progress;
pub mod record;
pub mod reporter;
pub mod runner;
pub mod scratch;
pub mod signals;
pub mod snapshots;
pub mod status;
pub mod suite;
pub mod target_runner;
pub mod teller;
pub mod verdict;
pub mod watch;
pub mod wrapper;
