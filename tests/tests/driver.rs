//! The driver on all kinds of projects: selection and settings of the user,
//! exit codes, the other ways to call it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::thread;

use leakcheck_tests::command::{Ended, Workshop, fixture};
use leakcheck_tests::expectation::marks;
use leakcheck_tests::messages::{Finding, TestLine};
use tempfile::TempDir;

const NONE: [&str; 0] = [];

fn workshop() -> Workshop {
    Workshop::new(
        env!("CARGO_BIN_EXE_leakcheck-under-test"),
        env!("CARGO_TARGET_TMPDIR"),
    )
}

/// Names of the tests that ran, sorted.
fn names(ended: &Ended) -> Vec<String> {
    let mut names: Vec<_> = ended
        .tests()
        .into_iter()
        .map(|test| format!("{} {}", test.test.package, test.test.name))
        .collect();
    names.sort();
    names
}

fn outcome<'a>(tests: &'a [TestLine], name: &str) -> &'a str {
    let test = tests.iter().find(|test| test.test.name == name);
    &test.unwrap_or_else(|| panic!("{name} was not run")).outcome
}

#[test]
fn clean_is_0() {
    let ended = workshop().test("cdylib", &NONE).run();
    ended.assert_code(0);
    assert_eq!(
        names(&ended),
        ["cdylib adds_from_outside", "cdylib tests::adds"]
    );
    assert_eq!(ended.summary().exit_code, 0);
}

/// Two locks in two orders, by threads that hardly ever meet: a seed that makes
/// them wait for each other does so again, and their twin stays silent.
#[test]
fn exploring_finds_a_rare_schedule_and_replays_it() {
    let explore = |args: &[&str]| {
        let all = [&["cockroach_locks::cockroach_10214"], args].concat();
        let ended = workshop().test("goker", &all).run();
        (ended.tests(), ended.summary().exit_code)
    };
    let (tests, code) = explore(&["--explore", "40", "--seed", "4"]);
    assert_eq!(code, 66);
    let [found, twin] = &tests[..] else {
        panic!("two tests: {tests:?}");
    };
    assert_eq!((&*found.outcome, &*twin.outcome), ("deadlock", "pass"));
    assert_eq!((twin.runs, twin.seed), (Some(40), None));
    let seed = found.seed.unwrap();
    assert!((4..44).contains(&seed));
    // The operating system has a say too.
    let again = (0..5).any(|_| {
        let seed = seed.to_string();
        let (tests, _) = explore(&["--explore", "1", "--seed", &seed]);
        tests.iter().any(|test| test.outcome == "deadlock")
    });
    assert!(again, "seed {seed}");
}

/// What the allocator's own reuse of memory looks like is a warning at most.
#[test]
fn an_allocator_in_c_gives_no_error() {
    let ended = workshop().test("mimalloc", &NONE).run();
    ended.assert_code(0);
    let potential =
        |finding: &Finding| finding.level == "warning" && finding.certainty == "potential";
    assert!(ended.findings().iter().all(potential), "{}", ended.stderr);
}

#[test]
fn wrong_usage_is_2() {
    let ended = workshop().test("cdylib", &["--no-such-option"]).run();
    ended.assert_code(2);
    assert!(
        ended.stderr.contains("--no-such-option"),
        "{}",
        ended.stderr
    );
}

#[test]
fn no_tests_is_4() {
    workshop().test("empty", &NONE).run().assert_code(4);
    workshop()
        .test("cdylib", &["no_such_test"])
        .run()
        .assert_code(4);
}

#[test]
fn findings_are_66() {
    let ended = workshop().test("harness-false", &["--test", "races"]).run();
    ended.assert_code(66);
    assert_eq!(ended.summary().exit_code, 66);
}

#[test]
fn own_failure_is_70() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let ended = workshop()
        .test("cdylib", &NONE)
        .env("LEAKCHECK_CACHE_DIR", file.join("cache"))
        .run();
    ended.assert_code(70);
    let told = file.join("cache").display().to_string();
    assert!(ended.stderr.contains(&told), "{}", ended.stderr);
}

#[test]
fn failed_build_is_101() {
    let ended = workshop().test("broken-code", &NONE).run();
    ended.assert_code(101);
    assert!(
        ended.stderr.contains("mismatched types"),
        "{}",
        ended.stderr
    );

    let ended = workshop().test("broken-manifest", &NONE).run();
    ended.assert_code(101);
    assert!(ended.stderr.contains("Cargo.toml"), "{}", ended.stderr);
}

#[test]
fn no_project_is_101() {
    let dir = TempDir::new().unwrap();
    let ended = workshop().call_in(dir.path(), &["test"]).run();
    ended.assert_code(101);
    assert!(ended.stderr.contains("Cargo.toml"), "{}", ended.stderr);
}

#[test]
fn timeouts() {
    let ended = workshop().test("hangs", &["--timeout", "1"]).run();
    ended.assert_code(100);
    let tests = ended.tests();
    assert_eq!(outcome(&tests, "tests::ends"), "pass");
    assert_eq!(outcome(&tests, "tests::spins"), "timeout");
    assert_eq!(outcome(&tests, "tests::sleeps"), "timeout");

    let ended = workshop().test("hangs", &["--run-timeout", "2"]).run();
    ended.assert_code(124);
    assert_eq!(ended.summary().exit_code, 124);
}

/// Tasks that wait for each other while another goes on are told when the test is
/// ended from outside, as by its timeout; those that can go on are not.
#[test]
fn ended_while_tasks_wait_for_each_other() {
    for (name, sides) in [("two_orders", Some(2)), ("two_orders_fixed", None)] {
        let name = format!("tasks::{name}");
        let ended = workshop()
            .test("hangs", &["--", "--ignored", "--exact", &name])
            .run();
        ended.assert_code(100);
        let told: Vec<_> = ended
            .findings()
            .iter()
            .map(|found| {
                (
                    found.code.clone(),
                    found.certainty.clone(),
                    found.legs.len(),
                )
            })
            .collect();
        let expected = sides.map(|sides| ("LC0003".to_owned(), "observed".to_owned(), sides));
        assert_eq!(told, Vec::from_iter(expected), "{}", ended.stderr);
    }
}

/// Each way to end badly is told as what it is, and what was found before it
/// is there.
#[test]
fn crashes() {
    let ended = workshop().test("crashes", &NONE).run();
    ended.assert_code(100);
    let (tests, findings) = (ended.tests(), ended.findings());
    for (name, end, races) in [
        ("passes", "pass", false),
        ("segfault", "crash", true),
        ("segfault_in_thread", "crash", true),
        ("abort", "crash", true),
        ("stack_overflow", "crash", true),
        ("stack_overflow_in_thread", "crash", true),
        ("exit_zero", "exit", true),
        ("exit_seven", "exit", true),
        ("panics", "fail", true),
        ("panics_in_thread", "pass", false),
        ("double_panic", "crash", false),
        ("should_panic", "pass", false),
        ("should_panic_but_does_not", "fail", false),
        ("returns_error", "fail", false),
        ("prints_much", "fail", false),
    ] {
        assert_eq!(outcome(&tests, name), end, "{name}");
        let found = findings
            .iter()
            .any(|finding| finding.is_in(name) && finding.code == "LC0001");
        assert_eq!(found, races, "a race in {name}");
    }
    assert!(
        tests
            .iter()
            .all(|test| test.test.name != "ignored" || test.outcome == "ignored")
    );
    assert!(
        ended.stderr.contains("this test fails"),
        "the output of a failed test is shown"
    );
    assert!(
        ended.stderr.contains("line 4999 of much output"),
        "all of it"
    );
}

#[test]
fn ignored_tests_run_on_request() {
    let ended = workshop()
        .test("crashes", &["ignored", "--", "--ignored"])
        .run();
    ended.assert_code(100);
    assert_eq!(names(&ended), ["crashes ignored"]);
}

#[test]
fn filters_reach_the_tests() {
    let ended = workshop()
        .test(
            "crashes",
            &["panic", "--", "--skip", "should", "--skip", "double"],
        )
        .run();
    ended.assert_code(100);
    assert_eq!(
        names(&ended),
        ["crashes panics", "crashes panics_in_thread"]
    );

    let ended = workshop()
        .test("crashes", &["--", "--exact", "passes"])
        .run();
    ended.assert_code(0);
    assert_eq!(names(&ended), ["crashes passes"]);
}

#[test]
fn build_scripts_and_macros_stay_plain() {
    workshop().test("build-script", &NONE).run().assert_code(0);
}

#[test]
fn tests_without_libtest() {
    let ended = workshop().test("harness-false", &NONE).run();
    ended.assert_code(66);
    let file = Path::new("tests/races.rs");
    let text = fs::read_to_string(fixture("harness-false").join(file)).unwrap();
    let lines: Vec<_> = marks(file, &text)
        .iter()
        .map(|mark| Some(mark.line))
        .collect();
    let findings = ended.findings();
    assert!(!findings.is_empty());
    for finding in findings {
        assert_eq!((&*finding.test.binary, &*finding.code), ("races", "LC0001"));
        assert!(
            finding.legs.iter().all(|leg| lines.contains(&leg.line)),
            "{}",
            finding.rendered
        );
    }

    let ended = workshop()
        .test(
            "harness-false",
            &["--test", "passes", "--no-capture", "--", "--greet"],
        )
        .run();
    ended.assert_code(0);
    assert!(
        ended.stderr.contains("hello from the test program"),
        "{}",
        ended.stderr
    );

    let ended = workshop()
        .test(
            "harness-false",
            &["--test", "fails", "--features", "failing"],
        )
        .run();
    ended.assert_code(100);
    assert!(ended.stderr.contains("about to fail"), "{}", ended.stderr);
}

#[test]
fn doctests_are_instrumented() {
    let ended = workshop().test("doctests", &["--doc"]).run();
    ended.assert_code(66);
    let findings = ended.findings();
    assert!(findings.iter().all(|finding| finding.code == "LC0001"));
    // Which of the merged ones it was.
    let of = |item: &str| {
        let name = format!("src/lib.rs - {item} (line ");
        let mut of = findings.iter();
        of.find(move |finding| finding.test.name.contains(&name))
            .unwrap_or_else(|| panic!("nothing is found in the example of {item}"))
    };
    assert!(
        of("Shareable")
            .rendered
            .contains("self.0.set(self.0.get() + more);")
    );
    let own = of("one");
    for line in ["unsafe { SUM += doctests::one() }", "unsafe { SUM += 2 };"] {
        assert!(own.rendered.contains(line), "{}", own.rendered);
    }
    assert!(
        own.rendered.contains("`doctest::main::SUM`"),
        "{}",
        own.rendered
    );
    assert_eq!(findings.len(), 2);
    assert_eq!(names(&ended).len(), 6);
}

fn two_packages(args: &[&str]) -> leakcheck_tests::command::Call {
    // A directory of its own: one cargo at a time uses it.
    let target = workshop().target_dir().join("two-packages");
    workshop()
        .test("two-packages", args)
        .env("CARGO_TARGET_DIR", target)
}

#[test]
fn packages_and_features_are_selected() {
    let left = [
        "doubles",
        "flags_of_the_config_hold",
        "variables_of_the_config_hold",
    ];
    let left = left.map(|name| format!("left tests::{name}"));
    let right = ["quadruples", "runs_in_its_package"].map(|name| format!("right tests::{name}"));

    let ended = two_packages(&["--workspace"]).run();
    ended.assert_code(0);
    assert_eq!(names(&ended), [&left[..], &right[..]].concat());

    let ended = two_packages(&["-p", "right"]).run();
    assert_eq!(names(ended.assert_code(0)), right);

    let ended = two_packages(&["--workspace", "--exclude", "right", "--lib"]).run();
    assert_eq!(names(ended.assert_code(0)), left);

    let ended = two_packages(&["-p", "left", "--features", "extra", "--", "extra"]).run();
    assert_eq!(
        names(ended.assert_code(0)),
        ["left tests::with_the_extra_feature"]
    );
}

/// Flags in the environment take the place of those in the configuration, as
/// cargo has it; and ours come on top of either.
#[test]
fn rustflags_of_the_user_hold() {
    let flags = "--cfg=from_env --check-cfg=cfg(from_env)";
    for variable in ["RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS"] {
        let ended = two_packages(&["-p", "left", "flags"])
            .env(variable, flags)
            .run();
        assert_eq!(
            names(ended.assert_code(0)),
            ["left tests::flags_of_the_config_hold"]
        );
    }
    let ended = two_packages(&["-p", "right", "--release"]).run();
    ended.assert_code(0);
}

#[test]
fn a_second_run_builds_nothing() {
    let dir = TempDir::new().unwrap();
    let run = || {
        workshop()
            .test("cdylib", &NONE)
            .env("CARGO_TARGET_DIR", dir.path())
            .run()
    };
    let first = run();
    assert!(
        first.assert_code(0).stderr.contains("Compiling cdylib"),
        "{}",
        first.stderr
    );
    let second = run();
    assert!(
        !second.assert_code(0).stderr.contains("Compiling"),
        "{}",
        second.stderr
    );

    // And what plain cargo builds beside it is its own.
    let plain = || {
        let target = dir.path();
        workshop()
            .call_program("cargo", &fixture("cdylib"), &["test"])
            .env("CARGO_TARGET_DIR", target)
            .run()
    };
    plain().assert_code(0);
    assert!(!run().assert_code(0).stderr.contains("Compiling"));
    assert!(!plain().assert_code(0).stderr.contains("Compiling"));
}

/// Nothing is there yet, and two runs want it at once.
#[test]
fn two_runs_at_once() {
    let dir = TempDir::new().unwrap();
    let run = |number: u32| {
        workshop()
            .test("cdylib", &["--lib"])
            .env("LEAKCHECK_CACHE_DIR", dir.path().join("cache"))
            .env("CARGO_TARGET_DIR", dir.path().join(number.to_string()))
            .run()
    };
    thread::scope(|scope| {
        let runs = [1, 2].map(|number| scope.spawn(move || run(number)));
        for run in runs {
            run.join().unwrap().assert_code(0);
        }
    });
}

#[test]
fn as_a_subcommand_of_cargo() {
    let dir = TempDir::new().unwrap();
    symlink(workshop().program(), dir.path().join("cargo-leakcheck")).unwrap();
    let path = std::env::var("PATH").unwrap();
    let ended = workshop()
        .call_program(
            "cargo",
            &fixture("cdylib"),
            &["leakcheck", "test", "--message-format=json"],
        )
        .env("PATH", format!("{}:{path}", dir.path().display()))
        .run();
    ended.assert_code(0);
    assert_eq!(ended.summary().exit_code, 0);
}

#[test]
fn programs_run() {
    let run = |argument: &str| {
        let target = workshop().target_dir().join("two-packages");
        let args = ["run", "-q", "-p", "right", "--", argument];
        workshop()
            .call("two-packages", &args)
            .env("CARGO_TARGET_DIR", target)
            .run()
    };
    let ended = run("print");
    assert_eq!(ended.assert_code(0).stdout, "12\n");
    run("fail").assert_code(9);
    let ended = run("race");
    assert!(
        ended.assert_code(66).stderr.contains("LC0001"),
        "{}",
        ended.stderr
    );
}

#[test]
fn environment_for_other_runners() {
    let script = format!(
        "eval \"$('{}' show-env --sh)\" && cargo test --test races",
        workshop().program().display()
    );
    let ended = workshop()
        .call_program("sh", &fixture("harness-false"), &["-c", &script])
        .run();
    assert_ne!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("LC0001"), "{}", ended.stderr);
}

#[test]
fn explanations() {
    for code in ["LC0001", "LC0002", "LC0003", "LC0004", "LC0005", "LC0006"] {
        let ended = workshop().call("empty", &["explain", code]).run();
        assert!(
            ended.assert_code(0).stdout.len() > 200,
            "{code}: {}",
            ended.stdout
        );
    }
    workshop()
        .call("empty", &["explain", "LC9999"])
        .run()
        .assert_code(2);
}

/// Every line has its type and schema, and a finding all that is promised.
#[test]
fn lines_for_machines() {
    let ended = workshop().test("harness-false", &NONE).run();
    let mut types = Vec::new();
    for line in ended.stdout.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(value["schema"], 1, "{line}");
        let kind = value["type"].as_str().unwrap().to_owned();
        if kind == "finding" {
            for field in [
                "code",
                "kind",
                "level",
                "certainty",
                "fingerprint",
                "rendered",
            ] {
                assert!(value[field].is_string(), "{field} in {line}");
            }
            for leg in value["legs"].as_array().unwrap() {
                for field in [
                    "role", "thread", "file", "line", "column", "function", "stack",
                ] {
                    assert!(!leg[field].is_null(), "{field} in {leg}");
                }
            }
        }
        types.push(kind);
    }
    assert_eq!(types.last().map(String::as_str), Some("summary"));
    for kind in ["finding", "test", "summary"] {
        assert!(
            types.iter().any(|found| found == kind),
            "no line of type {kind}"
        );
    }
}
