//! The source front end: what `#[track]` feeds, under plain `cargo test`.
//!
//! - [`hooks`]: what an expansion calls; [`probe`], [`place`] and [`argument`]:
//!   dispatch by type; [`packed`]: what lies at an odd address; [`site`]: places of the source; [`variable`]: static
//!   variables that have a name; [`coverage`]: what was left alone.
//! - [`local`]: a thread's own cells; [`strand`]: threads and their clocks;
//!   [`slots`]: how these stay short;
//!   [`task`]: futures that are spawned, and [`snapshot`]: their clocks; [`units`]: both, as long as they are
//!   there; [`context`]: the tests and scopes that they belong to.
//! - [`engine`]: order and verdicts; [`locks`]: who has which, and [`guard`]: by what guard; [`shadow`]: accesses; [`object`]: what
//!   synchronises, by its type; [`ends`]: what a drop tells; [`foreign`] and [`derefs`]: what its own code may do, asked by [`runs`], by methods that it has ([`methods`], [`has`]), if it is of who it seems ([`own_crates`]);
//!   [`callee`] and [`direct`]: which function is called, and by whom;
//!   [`channel`]: which channel an end belongs to; [`identity`]: by its words;
//!   [`sharded`]: the tables of all these; [`found`]: findings in words.
//! - [`scope`]: what a program calls itself; [`harness`]: whether a function
//!   runs as a test.
//!
//! No unsafe code but in [`identity`], no system call: it runs wherever std does.

pub mod argument;
pub mod callee;
pub mod channel;
pub mod context;
pub mod coverage;
pub mod derefs;
pub mod direct;
pub mod ends;
pub mod engine;
pub mod foreign;
pub mod found;
pub mod guard;
pub mod harness;
pub mod has;
pub mod hooks;
pub mod identity;
pub mod local;
pub mod locks;
pub mod methods;
pub mod object;
pub mod own_crates;
pub mod packed;
pub mod place;
pub mod probe;
pub mod repeated;
pub mod runs;
pub mod scope;
pub mod shadow;
pub mod sharded;
pub mod site;
pub mod slots;
pub mod snapshot;
pub mod strand;
pub mod task;
pub mod units;
pub mod variable;
