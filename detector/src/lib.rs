//! leakcheck: the engine that finds data races, leaked threads and deadlocks.
//!
//! This crate is two things. As a library it is the vocabulary of a finding
//! ([`report`]), which the `leakcheck` command reads and renders, and the pure
//! engine. Built with the feature `abi` as a static object it is the runtime
//! that the command links into an instrumented program.
//!
//! Data flows one way: hooks (`abi`) → the check (`check`, `objects`)
//! → findings (`findings`) → the wire file (`wire`). The pure parts,
//! [`clock`], [`shadow::word`], [`race`], [`sync`], [`history`] and [`explore`],
//! hold the rules.

#[cfg(test)]
extern crate self as leakcheck;

pub mod clock;
pub mod explore;
pub mod history;
pub mod hooks;
pub mod ids;
pub mod leak;
pub mod race;
pub mod reach;
pub mod report;
pub mod shadow;
pub mod sync;
pub mod task;
#[cfg(not(feature = "abi"))]
pub mod track;
pub mod waits;

#[cfg(feature = "abi")]
pub mod abi;
#[cfg(feature = "abi")]
pub mod check;
#[cfg(feature = "abi")]
pub mod findings;
#[cfg(feature = "abi")]
pub mod objects;
#[cfg(feature = "abi")]
pub mod registry;
#[cfg(feature = "abi")]
pub mod rt;
#[cfg(feature = "abi")]
pub mod session;
#[cfg(feature = "abi")]
pub mod stack;
#[cfg(feature = "abi")]
pub mod wire;

#[cfg(not(feature = "abi"))]
pub use track::scope::{Entry, Snapshot, check, scope, snapshot, verify_none};

#[cfg(feature = "attribute")]
pub use leakcheck_instrument::track;

/// What expansions of [`macro@track`] name. No promise is made about it.
#[cfg(not(feature = "abi"))]
#[doc(hidden)]
pub mod __private {
    pub use crate::track::hooks::access::*;
    pub use crate::track::hooks::order::*;
    pub use crate::track::hooks::spawn::*;
    pub use crate::track::hooks::*;
    pub use crate::track::probe::{
        Argument, Element, Joins, Outcome, Plain, Pointer, Probe, Raw, Whole,
    };
    pub use crate::track::scope::{Test, test_body};
    pub use crate::track::site::{Item, Site};
}
