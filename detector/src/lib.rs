//! leakcheck finds data races, leaked threads and tasks, and deadlocks.
//!
//! As a dev-dependency it gives [`macro@track`], an attribute that finds them
//! in the items it sits on, in plain `cargo test`:
//!
//! ```
//! use leakcheck::track;
//!
//! static mut TOTAL: u32 = 0;
//!
//! #[track]
//! fn add(n: u32) {
//!     unsafe { TOTAL += n }
//! }
//!
//! leakcheck::scope(|| {
//!     let adder = std::thread::spawn(|| add(2));
//!     adder.join().unwrap();
//!     add(3);
//! });
//! ```
//!
//! [`scope`], [`check`], [`verify_none`] and [`snapshot`] are for programs
//! that ask themselves. Under the command `leakcheck test`, which sees the
//! whole program, all of this stands back.
//!
//! The crate is three things besides: the vocabulary of a finding
//! ([`report`]), which the command reads and renders; the pure engine; and,
//! built with the feature `abi` as a static object, the runtime that the
//! command links into an instrumented program.
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
pub mod lockorder;
pub mod race;
pub mod reach;
pub mod report;
pub mod shadow;
pub mod sync;
pub mod task;
#[cfg(not(feature = "abi"))]
pub mod track;
pub mod waits;
pub mod ways;

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
pub mod schedule;
#[cfg(feature = "abi")]
pub mod session;
#[cfg(feature = "abi")]
pub mod stack;
#[cfg(feature = "abi")]
pub mod wire;

#[cfg(not(feature = "abi"))]
pub use track::coverage::{Coverage, LeftAlone, coverage};
#[cfg(not(feature = "abi"))]
pub use track::scope::{Entry, Snapshot, check, scope, snapshot, verify_none};

#[cfg(feature = "attribute")]
pub use leakcheck_instrument::track;

/// What expansions of [`macro@track`] name. No promise is made about it.
#[cfg(not(feature = "abi"))]
#[doc(hidden)]
pub mod __private {
    // In the edition 2015 `::core` is a name at the root of the crate.
    pub use core;

    pub use crate::track::argument::Argument;
    pub use crate::track::coverage::Left;
    pub use crate::track::foreign::Deed;
    pub use crate::track::harness::MaybeTest;
    pub use crate::track::hooks::access::*;
    pub use crate::track::hooks::order::*;
    pub use crate::track::hooks::own::*;
    pub use crate::track::hooks::reached::*;
    pub use crate::track::hooks::spawn::*;
    pub use crate::track::hooks::tag::Tag;
    pub use crate::track::hooks::*;
    pub use crate::track::object::Object;
    pub use crate::track::packed::{Lies, Written};
    pub use crate::track::place::{Described, IsRaw, Seen, Step, any, like};
    pub use crate::track::probe::{
        Element, Joins, Outcome, Plain, Pointer, Probe, Raw, Wakes, Whole,
    };
    pub use crate::track::repeated::Index;
    pub use crate::track::runs::{Runs, asked, dropping, looked};
    pub use crate::track::scope::{Test, test_body};
    pub use crate::track::site::{Item, Owner, Site};
    pub use crate::track::variable::{Variable, range};
}
