//! Every fixture under the real command: what its `//~` comments ask for is
//! found, at that place and by that code, and nothing else is.
//!
//! `LEAKCHECK_REPEAT=20` runs each that often and prints a table.

use leakcheck_tests::command::{Workshop, fixture};
use leakcheck_tests::comparison::{Repetitions, compare};
use leakcheck_tests::expectation;

fn workshop() -> Workshop {
    Workshop::new(
        env!("CARGO_BIN_EXE_leakcheck-under-test"),
        env!("CARGO_TARGET_TMPDIR"),
    )
}

fn repetitions() -> usize {
    match std::env::var("LEAKCHECK_REPEAT") {
        Ok(number) => number.parse().expect("LEAKCHECK_REPEAT is a number"),
        Err(_) => 1,
    }
}

#[track_caller]
fn check(name: &str) {
    check_with(name, &[]);
}

#[track_caller]
fn check_with(name: &str, options: &[&str]) {
    let expected = expectation::of_fixture(&fixture(name));
    assert!(!expected.is_empty(), "the fixture {name} has no tests");
    let found_something = expected.values().any(|test| !test.marks.is_empty());
    let mut repetitions_done = Repetitions::default();
    for _ in 0..repetitions() {
        let mut words = vec!["--timeout", "120"];
        words.extend(options);
        let ended = workshop().test(name, &words).run();
        let levels = ended.findings();
        let code = if levels.iter().any(|finding| finding.level == "error") {
            66
        } else {
            0
        };
        if found_something {
            ended.assert_code(66);
        } else {
            ended.assert_code(code);
        }
        repetitions_done.add(compare(name, &expected, &ended.tests(), &ended.findings()));
    }
    print!("{}", repetitions_done.table(name));
    let complaints = repetitions_done.complaints();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

macro_rules! fixtures {
    ($($name:ident = $fixture:literal),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                check($fixture);
            }
        )*

        /// A fixture that nobody runs proves nothing.
        #[test]
        fn every_fixture_with_marks_is_run() {
            let here = [$($fixture),*];
            for entry in std::fs::read_dir(fixture("")).unwrap() {
                let entry = entry.unwrap();
                let name = entry.file_name().into_string().unwrap();
                let tests_elsewhere = [
                    "harness-false",
                    "quickstart",
                    "sound",
                    "task-ends",
                    "task-races",
                    "task-reports",
                    "track",
                ];
                if !entry.path().join("src").is_dir()
                    || here.contains(&&*name)
                    || tests_elsewhere.contains(&&*name)
                {
                    continue;
                }
                let tests = expectation::of_fixture(&entry.path());
                assert!(tests.values().all(|test| test.marks.is_empty()), "{name} is not run");
            }
        }
    };
}

fixtures! {
    arc_swap = "arc-swap",
    async_task = "async-task",
    cdeps = "cdeps",
    correct = "correct",
    crossbeam = "crossbeam",
    dashmap = "dashmap",
    deadlocks = "deadlocks",
    flume = "flume",
    kernel = "kernel",
    leaks = "leaks",
    parking_lot = "parking-lot",
    races = "races",
    rayon = "rayon",
    tokio = "tokio",
    tokio_tasks = "tokio-tasks",
}

/// Nothing is proved of a task that something could wake, whatever the allocator
/// is, and nothing is told where a search can find what does.
#[test]
fn sound() {
    for _ in 0..repetitions() {
        let ended = workshop().test("sound", &["--timeout", "120"]).run();
        ended.assert_code(0);
        let tests = ended.tests();
        assert_eq!(tests.len(), 60);
        for test in tests {
            assert_eq!(test.outcome, "pass", "{}", test.test.name);
        }
        for finding in ended.findings() {
            let may_be_told = finding.rendered.contains("`hidden::") || finding.level == "note";
            let told = &finding.rendered;
            assert!(may_be_told && finding.certainty != "proved", "{told}");
        }
    }
}

/// Notes and warnings of how tasks end: as errors here, for a note is not
/// compared.
#[test]
fn task_ends() {
    let deny = ["aborted-task", "detached-task", "panicked-task"];
    check_with("task-ends", &deny.map(|kind| ["--deny", kind]).concat());
    // The command tells of them, and does not fail for them.
    let ended = workshop().test::<&str>("task-ends", &[]).run();
    ended.assert_code(0);
    // Notes are errors for who asks for them by name.
    let denied = workshop().test("task-ends", &["--deny", "aborted-task", "aborted"]);
    let denied = denied.run();
    denied.assert_code(66);
    let told = denied.findings();
    let mut aborted = told.iter().filter(|finding| finding.code == "LC0011");
    assert!(
        aborted.all(|finding| finding.level == "error"),
        "{}",
        denied.stderr
    );
}

/// What only the turns of one worker order is a warning, and an error here.
#[test]
fn task_races() {
    check_with("task-races", &["--deny", "task-race"]);
    let one = "a_static_on_the_current_thread";
    let told = |options: &[&str]| {
        let options = [options, &["--", "--exact", one]].concat();
        let ended = workshop().test("task-races", &options).run();
        ended.assert_code(0);
        let findings = ended.findings().into_iter();
        findings
            .map(|finding| (finding.code, finding.level))
            .collect::<Vec<_>>()
    };
    let warning = [("LC0009".to_owned(), "warning".to_owned())];
    assert_eq!(told(&[]), warning);
    assert_eq!(told(&["--no-task-races"]), []);
    assert_eq!(told(&["--no-task-races", "--task-races"]), warning);
}

/// Whatever tasks let others go first, on one thread or on several: what is correct
/// stays so.
#[test]
fn correct_tasks_in_other_orders() {
    let ended = workshop()
        .test("tokio", &["--explore", "10", "--seed", "1", "_fixed"])
        .run();
    ended.assert_code(0);
    let tests = ended.tests();
    assert!(tests.len() > 5, "{}", ended.stderr);
    assert!(tests.iter().all(|test| test.outcome == "pass"));
    assert!(ended.findings().is_empty(), "{}", ended.stderr);
}

/// Memory whose free was seen is not of an allocator that is not.
#[test]
fn a_use_after_free_is_certain() {
    let ended = workshop()
        .test("races", &["--", "--exact", "heap::use_after_free"])
        .run();
    ended.assert_code(66);
    let findings = ended.findings();
    assert_eq!(findings.len(), 1, "{}", ended.stderr);
    assert_eq!(findings[0].certainty, "observed", "{}", ended.stderr);
}
