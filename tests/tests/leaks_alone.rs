//! `--no-races`: leaks and deadlocks are found in programs that are not
//! instrumented.

use leakcheck_tests::command::{Workshop, fixture};
use leakcheck_tests::comparison::compare;
use leakcheck_tests::expectation;

fn workshop() -> Workshop {
    Workshop::new(
        env!("CARGO_BIN_EXE_leakcheck-under-test"),
        env!("CARGO_TARGET_TMPDIR"),
    )
}

/// All of the fixture's tests are as its marks say but `others`, which are not.
#[track_caller]
fn check(name: &str, others: &[&str]) {
    check_within(name, "", others);
}

/// The same of those in a module, a prefix of their names.
#[track_caller]
fn check_within(name: &str, module: &str, others: &[&str]) {
    let mut expected = expectation::of_fixture(&fixture(name));
    expected.retain(|test, _| test.starts_with(module));
    assert!(!expected.is_empty(), "no test in {module}");
    let ended = workshop()
        .test(name, &["--no-races", "--timeout", "120", "--", module])
        .run();
    ended.assert_code(66);
    let mut wrong = compare(name, &expected, &ended.tests(), &ended.findings());
    for other in others {
        let of = wrong.remove(*other);
        let of = of.unwrap_or_else(|| panic!("no test {other}"));
        assert!(!of.is_empty(), "{other} is as its marks say");
    }
    let complaints: Vec<_> = wrong.into_values().flatten().collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert!(
        ended.stderr.contains("data races were not looked for"),
        "{}",
        ended.stderr
    );
}

#[test]
fn threads_that_stay_are_found() {
    check("leaks", &[]);
}

#[test]
fn deadlocks_are_found() {
    // Who has a lock of std's is not seen: the cycle shows as leaked threads, and
    // orders of locks do not show.
    let unseen = [
        "locks::partial",
        "orders::a_reader_and_a_writer",
        "orders::accounts",
        "orders::three_orders",
        "orders::two_orders",
    ];
    check("deadlocks", &unseen);
}

#[test]
fn tasks_that_stay_are_found() {
    // Orders of locks do not show without clocks.
    let unseen = [
        "mixed::a_lock_is_kept_while_another_is_awaited",
        "mixed::a_task_that_stays",
        "mixed::a_task_that_stays_and_awaits",
        "mixed::a_writer_and_a_reader",
        "mixed::three_in_a_ring",
        "mixed::two_orders",
        "mixed::two_orders_on_two_workers",
        "mixed::with_parking_lot",
        "orders::three_in_a_ring",
        "orders::two_orders",
        "orders::two_orders_on_two_workers",
        "orders::with_a_writer",
        "orders::with_owned_guards",
        "semaphores::all_of_three",
        "semaphores::behind_a_gate_for_two",
        "semaphores::two_orders",
        "semaphores::two_orders_on_two_workers",
        "semaphores::with_a_mutex",
        "semaphores::with_owned_permits",
    ];
    check("tokio-tasks", &unseen);
}

#[test]
fn tasks_that_stay_are_found_beside_parking_lot() {
    check_within("tokio", "leaked::", &[]);
}
