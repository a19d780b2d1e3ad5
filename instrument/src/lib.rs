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
/// It may sit on a function, a method, an `impl` block, a module with its
/// content, a static variable and a struct. On a test, sync or async, it also
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
/// | `name = "…"` | what is spawned here is called that |
/// | `daemon` | what is spawned here is meant to stay |
/// | `allow(leaked_task, reason = "…")` | findings of this kind are let through; also `leaked_thread`, `data_race` |
/// | `skip` | alone: inside of a tracked item, this one is left alone |
/// | `crate = path` | where the crate `leakcheck` is, if not at `::leakcheck` |
///
/// On a static variable in a tracked module, `name` is what reports call the
/// variable, `allow(data_race, …)` lets races on it through, and `skip` leaves
/// accesses to it alone.
///
/// # What it never does
///
/// It changes no type, no order of evaluation, no drop. What it cannot
/// instrument without that, it leaves as it is. An access to a place in
/// `unsafe` code evaluates the place once more for its address: a `Deref` or
/// `Index` of your own in such a place is taken to have no effects.
#[proc_macro_attribute]
pub fn track(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let active = cfg!(feature = "track") && (cfg!(debug_assertions) || cfg!(feature = "release"));
    item::track(arguments.into(), item.into(), active).into()
}
