//! Fingerprints: what they depend on, and what not.

use leakcheck::report::kind::Kind;
use leakcheck::report::wire::{AccessOp, Finding, Memory};
use leakcheck_cli::model::Fingerprint;

use crate::world::{MAIN, World, access, race, test};

/// The fingerprint of a race on `static_name` between these two functions.
fn of(first: &str, second: &str, static_name: &str, swapped: bool, name: &str) -> Fingerprint {
    let mut world = World::new();
    let worker = world.worker(if swapped { 9 } else { 1 }, "teller");
    // Lines, places and addresses differ between the two orders.
    let needle = if swapped {
        "drop(slot)"
    } else {
        "TOTAL += amount"
    };
    let stack = |world: &mut World, function: &str| {
        vec![
            world.std("core::ptr::write"),
            world.user(function, "src/bank.rs", needle),
            world.user(
                &format!("bank::tests::{name}::{{{{closure}}}}"),
                "src/bank.rs",
                "READY",
            ),
        ]
    };
    let (one, other) = (stack(&mut world, first), stack(&mut world, second));
    let addr = world.variable(static_name, None, 8);
    let mut found: Finding = race(
        Kind::DataRace,
        access(MAIN, AccessOp::Write, false, 8, one),
        access(worker, AccessOp::Write, false, 8, other),
        Memory::Static { addr },
    );
    if swapped {
        found.legs.reverse();
    }
    world.found(found);
    let (reports, _) = world.collect_as(&[test(&format!("tests::{name}"))]);
    reports[0].findings[0].fingerprint.clone()
}

#[test]
fn the_order_of_the_legs_lines_and_tests_do_not_matter() {
    let one = of("bank::f", "bank::g", "bank::X", false, "alpha");
    assert_eq!(one, of("bank::f", "bank::g", "bank::X", true, "alpha"));
    assert_eq!(one, of("bank::f", "bank::g", "bank::X", false, "beta"));
    assert_eq!(one, of("bank::f", "<bank::g>", "bank::X", false, "alpha"));
}

#[test]
fn functions_and_memory_do_matter() {
    let one = of("bank::f", "bank::g", "bank::X", false, "alpha");
    assert_ne!(one, of("bank::f", "bank::h", "bank::X", false, "alpha"));
    assert_ne!(one, of("bank::f", "bank::g", "bank::Y", false, "alpha"));
}

#[test]
fn the_recipe_is_frozen() {
    // A change here makes every baseline of every user stale: raise `lc1`.
    let one = of("bank::f", "bank::g", "bank::X", false, "alpha");
    assert_eq!(one.as_str(), "lc1:27d249deb1f6cae3");
}
