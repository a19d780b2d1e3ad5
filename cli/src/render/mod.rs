//! Findings as text: for a person, and for machines.
//!
//! - [`human`]: in the manner of rustc, with source snippets;
//! - [`sarif`]: for code scanning; [`junit`]: for test reports; [`github`]:
//!   annotations and a summary of the step; [`html`]: one page;
//! - [`outputs`]: the files.
//!
//! All but the first are made of the [document](crate::document) alone, so
//! that a merged report is like any other.

pub mod github;
pub mod html;
pub mod human;
pub mod junit;
pub mod outputs;
pub mod sarif;
