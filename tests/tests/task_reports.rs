//! What is said of tasks: each kind of report, each thing that a task can wait for, and
//! who has the other end, as a person reads it.

use std::collections::BTreeMap;

use leakcheck_tests::command::{Ended, Workshop, repository};
use leakcheck_tests::messages::Finding;
use leakcheck_tests::redaction::filters;

const OPTIONS: [&str; 6] = [
    "--deny",
    "aborted-task",
    "--deny",
    "detached-task",
    "--deny",
    "panicked-task",
];

/// The tests that nothing is told of.
fn is_silent(test: &str) -> bool {
    test.ends_with("_fixed")
}

fn workshop() -> Workshop {
    Workshop::new(
        env!("CARGO_BIN_EXE_leakcheck-under-test"),
        env!("CARGO_TARGET_TMPDIR"),
    )
}

fn check(options: &[&str]) {
    let options = [&OPTIONS, options].concat();
    let ended = workshop().test("task-reports", &options).run();
    ended.assert_code(66);
    check_findings(&ended);
}

/// What is said of one test of another fixture.
fn check_one(fixture: &str, test: &str, options: &[&str]) {
    let options = [options, &["--", "--exact", test]].concat();
    check_findings(&workshop().test(fixture, &options).run());
}

fn check_findings(ended: &Ended) {
    let findings = ended.findings();
    let mut told: BTreeMap<String, Vec<&Finding>> = BTreeMap::new();
    for test in ended.tests() {
        told.insert(test.test.name, Vec::new());
    }
    // How many threads and tasks of its own a library has, the machine decides.
    let of_library = ["idle worker of", "task of async-process's reaper"];
    let is_own = |found: &&Finding| !of_library.iter().any(|of| found.title.starts_with(of));
    for finding in findings.iter().filter(is_own) {
        // What is alike is told once for all tests.
        for test in &finding.tests {
            told.get_mut(&test.name).expect("a test").push(finding);
        }
    }
    let filters = filters(&repository());
    let own = [
        (r" #\d+", " #N"),
        (r"\b([a-z][a-z_-]*)-\d+\.\d+\.\d+/", "$1-VERSION/"),
        (r"(VERSION/\S+\.rs):\d+:\d+", "$1:PLACE"),
        (r"polled \d+ times", "polled N times"),
        (r"fingerprint lc1:[0-9a-f]+", "fingerprint"),
        (r" *(, for|\(for) \d+(\.\d+)? m?s\)?", ""),
    ];
    let filters = filters.iter().map(|(from, to)| (&**from, &**to));
    let filters: Vec<(&str, &str)> = own.into_iter().chain(filters).collect();
    for (test, mut found) in told {
        assert_eq!(found.is_empty(), is_silent(&test), "{test}: {found:?}");
        found.sort_by(|one, other| one.title.cmp(&other.title));
        let text: Vec<&str> = found.iter().map(|finding| &*finding.rendered).collect();
        if !text.is_empty() {
            insta::with_settings!({ filters => filters.clone(), omit_expression => true }, {
                insta::assert_snapshot!(test.replace("::", "__"), text.join("\n"));
            });
        }
    }
}

#[test]
fn instrumented() {
    check(&[]);
}

#[test]
fn leaks_alone() {
    check(&["--no-races"]);
}

#[test]
fn orders_of_locks() {
    check_one("tokio-tasks", "orders::two_orders", &[]);
    check_one("tokio-tasks", "orders::with_a_writer", &[]);
    check_one("tokio-tasks", "semaphores::with_a_mutex", &[]);
}

#[test]
fn races_of_one_schedule() {
    check_one("task-races", "a_static_on_the_current_thread", &[]);
}

#[test]
fn tasks_of_async_executor() {
    check_one("async-task", "waits_for_nothing", &[]);
}

#[test]
fn tasks_of_smol_and_async_std() {
    let ended = workshop().test("smol", &OPTIONS).run();
    ended.assert_code(66);
    check_findings(&ended);
}

#[test]
fn locks_that_others_share() {
    let one = "beside::opposite_orders_of_static_locks";
    check_one("tokio-tasks", one, &[]);
    check_one("tokio-tasks", one, &["--no-races"]);
}
