//! Every part of the reports, compared with snapshots: from wire records and
//! a table of symbols, so that no compiler is needed.
//!
//! To bless a change: `INSTA_UPDATE=always cargo test -p leakcheck-cli --test report`.

mod deadlocks;
mod fingerprints;
mod leaks;
mod machine;
mod outputs;
mod page;
mod races;
mod redaction;
mod symbols;
mod tasks;
mod variants;
mod world;
