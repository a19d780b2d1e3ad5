//! The `#[track]` attribute of [leakcheck](https://docs.rs/leakcheck).
//!
//! The attribute rewrites the bodies of what it sits on so that they tell the
//! library about spawns, accesses to shared variables and synchronisation. Use
//! it as `leakcheck::track`, where it is documented with examples.
//!
//! - `args`: the arguments; `item`: what the attribute may sit on;
//! - `expand`: the transformations, each with what goes in and what comes out.

#![forbid(unsafe_code)]

mod args;
mod expand;
mod item;
#[cfg(test)]
mod snapshots;

use proc_macro::TokenStream;

/// Tracks what an item spawns, which shared variables it accesses, and how it
/// synchronises.
///
/// It may sit on a function, a method, an `impl` block, a trait, a module with
/// its content, a static variable and a struct. On a test, sync or async, it also
/// checks at the end and fails the test with a report.
///
/// ```ignore
/// use std::thread;
/// use leakcheck::track;
///
/// static mut HITS: u32 = 0;
///
/// #[track]
/// #[test]
/// fn counts() {
///     let hit = || thread::spawn(|| unsafe { HITS += 1 });
///     let (a, b) = (hit(), hit());
///     a.join().unwrap();
///     b.join().unwrap();
/// }
/// ```
///
/// fails with
///
/// ```text
/// error[LC0001]: data race on `HITS: u32`
/// ```
///
/// # Arguments
///
/// | argument | meaning |
/// |---|---|
/// | `name = "…"` | what is spawned here is called that, and a task that runs this function |
/// | `daemon` | what is spawned here, or waits here, is meant to stay |
/// | `allow(leaked_task, reason = "…")` | findings of these kinds are let through, for that reason |
/// | `skip` | alone: inside of a tracked item, this one is left alone |
/// | `crate = path` | where the crate `leakcheck` is, if not at `::leakcheck` |
///
/// `allow` knows `data_race`, `leaked_task`, `leaked_thread`, `deadlock`, `all`
/// and codes such as `LC0001`, as `leakcheck explain` lists them; plain `cargo
/// test` finds the first three.
///
/// Attributes inside of a tracked item are this one, too, by a name that is known
/// there: a module of its own imports it.
///
/// On a static variable, `name` is what reports call the variable, `allow` lets
/// races on it through, and `skip` leaves them alone, wherever it is accessed.
/// On a struct, they are about its fields.
///
/// ```ignore
/// #[track(name = "hit counter", allow(data_race, reason = "a guess is enough"))]
/// static mut HITS: u32 = 0;
///
/// #[track(name = "slot table")]
/// struct Slots {
///     used: u32,
/// }
/// ```
///
/// # When a race is certain
///
/// Code that is not tracked may order what is: a race that it may have ordered
/// is a warning, `possible data race`, and does not fail the test. Which method
/// a call names is looked up on the stack, where a type may have several of one
/// name. In optimised code, and in a program without symbols, that cannot be
/// told, and each method of the program's own counts as code that is not
/// tracked.
///
/// # What it never does
///
/// It changes no type, no order of evaluation, no drop, and evaluates nothing
/// twice. What it cannot instrument without that, it leaves as it is and
/// counts: `leakcheck::coverage()` tells what that was in the functions that
/// ran, and a report says how much. It is, above all: what a macro makes that
/// is not std's, a place that a pattern takes apart which may fail and binds a
/// part, or binds by reference, what a struct takes from another besides the fields that
/// it names, the receiver of a method call, and a field that is reached by a
/// `Deref` of the program's own. A `const fn` is left alone, and cannot count.
///
/// Lints have nothing to say of a tracked function that they would not say of
/// it as it was written. Some have less to say, such as those that look for
/// variables that nobody uses; so what is expected of them there is only
/// allowed, and what they miss is told where tracking is off. For that a tracked
/// function allows `unreachable_code` and some of clippy's lints, which a crate
/// may deny and must not forbid.
#[proc_macro_attribute]
pub fn track(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let active = cfg!(feature = "track") && (cfg!(debug_assertions) || cfg!(feature = "release"));
    item::track(arguments.into(), item.into(), active).into()
}
