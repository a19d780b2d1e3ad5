//! cargo-nextest runs the tests: its filters and retries, archives, tests that
//! it kills, and an interrupt.

use leakcheck_tests::command::{Ended, Workshop};
use leakcheck_tests::project::Project;

fn project() -> Project {
    Project::new(Workshop::new(
        env!("CARGO_BIN_EXE_leakcheck-under-test"),
        env!("CARGO_TARGET_TMPDIR"),
    ))
}

/// How a test ended.
#[track_caller]
fn outcome(ended: &Ended, name: &str) -> String {
    let mut tests = ended.tests().into_iter();
    let test = tests.find(|test| test.test.name == name);
    test.unwrap_or_else(|| panic!("no {name}: {}", ended.stderr))
        .outcome
}

/// Tests that race and then never end.
fn hang(project: &Project, names: &[&str]) {
    let tests = project.read("tests/bank.rs");
    let more: Vec<String> = names
        .iter()
        .map(|name| {
            format!(
                "\n#[test]\nfn {name}() {{\n    visitors_are_counted();\n    \
                 eprintln!(\"it hangs\");\n    loop {{\n        \
                 thread::sleep(std::time::Duration::from_secs(3600));\n    }}\n}}\n"
            )
        })
        .collect();
    project.write("tests/bank.rs", &format!("{tests}{}", more.concat()));
}

/// nextest's own filters and retries, our findings: one of the first attempt
/// counts, though the second is silent.
#[test]
fn nextest_runs_the_tests() {
    let project = project();
    let tests = project.read("tests/bank.rs");
    project.write(
        "tests/bank.rs",
        &format!(
            "{tests}\n#[test]\nfn leaks_at_first() {{\n    if std::env::var(\"NEXTEST_ATTEMPT\").unwrap() == \"1\" {{\n        \
             journal_is_kept();\n    }}\n}}\n\n#[test]\nfn fails() {{\n    panic!();\n}}\n"
        ),
    );
    let run = |args: &[&str]| {
        let mut words = vec![
            "nextest",
            "--message-format",
            "json",
            "--output",
            "junit=n.xml",
            "run",
        ];
        words.extend(args);
        project.call(&words).run()
    };
    let found = run(&[
        "--retries",
        "1",
        "-E",
        "test(leaks_at_first) + test(transfers_queue)",
    ]);
    found.assert_code(66);
    assert!(
        found.stderr.contains("FLAKY"),
        "nextest tried again: {}",
        found.stderr
    );
    assert_eq!(outcome(&found, "leaks_at_first"), "leak");
    assert_eq!(outcome(&found, "transfers_queue"), "pass");
    let findings = found.findings();
    assert_eq!(findings.len(), 1);
    assert_eq!(
        (findings[0].code.as_str(), findings[0].test.binary.as_str()),
        ("LC0002", "bank")
    );
    assert!(project.read("n.xml").contains("failures=\"1\""));

    run(&["-E", "test(transfers_queue)"]).assert_code(0);
    run(&["-E", "test(fails)"]).assert_code(100);
    run(&["-E", "test(no_such_test)"]).assert_code(4);
    // A deadlock is no failure of the test's own.
    let stuck = run(&["--no-fail-fast", "-E", "test(transfers)"]);
    stuck.assert_code(66);
    assert_eq!(outcome(&stuck, "transfers_cross"), "deadlock");
    // What the baseline lists passes in nextest too.
    project
        .call(&["baseline", "write", "journal_is_kept"])
        .run()
        .assert_code(0);
    let known = run(&["-E", "test(journal_is_kept)"]);
    known.assert_code(0);
    assert_eq!(known.findings()[0].state, "baseline");

    let list = project.call(&["nextest", "list"]).run();
    list.assert_code(0);
    assert!(list.stdout.contains("transfers_cross"), "{}", list.stdout);
}

/// An archive's executables are extracted and gone again, and what takes too
/// long is killed, with the time to say something or without: the findings
/// are there, and the places have names.
#[test]
fn killed_tests_of_an_archive_keep_their_findings() {
    let project = project();
    hang(&project, &["hangs_and_is_ended", "hangs_and_is_killed"]);
    project.write(
        ".config/nextest.toml",
        r#"
        [profile.default]
        slow-timeout = { period = "15s", terminate-after = 1, grace-period = "20s" }
        [[profile.default.overrides]]
        filter = 'test(killed)'
        slow-timeout = { period = "15s", terminate-after = 1, grace-period = "0s" }
        "#,
    );
    project
        .call(&["nextest", "archive", "--archive-file", "tests.tar.zst"])
        .run()
        .assert_code(0);
    let ended = project
        .call(&[
            "nextest",
            "--message-format",
            "json",
            "--output",
            "junit=n.xml",
            "run",
            "--archive-file",
            "tests.tar.zst",
            "--no-fail-fast",
            "--test-threads",
            "3",
            "-E",
            "test(hangs) + test(journal)",
        ])
        .run();
    ended.assert_code(100);
    assert_eq!(outcome(&ended, "journal_is_kept"), "leak");
    assert_eq!(outcome(&ended, "hangs_and_is_ended"), "timeout");
    assert_eq!(outcome(&ended, "hangs_and_is_killed"), "timeout");
    let findings = ended.findings();
    for (code, test) in [
        ("LC0001", "hangs_and_is_ended"),
        ("LC0001", "hangs_and_is_killed"),
        ("LC0002", "journal_is_kept"),
    ] {
        let found = findings
            .iter()
            .find(|finding| finding.code == code && finding.is_in(test))
            .unwrap_or_else(|| panic!("no {code} in {test}: {}", ended.stderr));
        let place = (found.legs[0].file.as_deref(), found.legs[0].line);
        assert!(
            place.0 == Some("src/lib.rs") && place.1.is_some(),
            "{test}: {place:?}"
        );
    }
    let junit = project.read("n.xml");
    for said in ["killed by nextest", "ended by nextest", "leakcheck.LC0001"] {
        assert!(junit.contains(said), "{said}: {junit}");
    }
}

/// What was found before the interrupt is told, and the files are written.
#[test]
fn an_interrupt_leaves_reports() {
    let project = project();
    hang(&project, &["hangs"]);
    let interrupted = project
        .call(&[
            "nextest",
            "--output",
            "json=n.json",
            "--output",
            "sarif=n.sarif",
            "run",
            "--no-capture",
            "-E",
            "test(hangs)",
        ])
        .away_from_the_terminal()
        .interrupt_after(|line| line.contains("it hangs"));
    assert_eq!(interrupted.code, Some(130), "{}", interrupted.stderr);
    let ended = Ended {
        stdout: project.read("n.json"),
        ..interrupted
    };
    assert_eq!(outcome(&ended, "hangs"), "stopped");
    assert_eq!(ended.findings()[0].code, "LC0001");
    assert_eq!(ended.summary().exit_code, 130);
    assert!(project.read("n.sarif").contains("LC0001"));
}

/// Suppressions: what matched nothing is counted, and not called stale, since
/// which tests there are is nextest's to know.
#[test]
fn what_matches_nothing_is_not_called_stale() {
    let project = project();
    project.edit(
        "src/lib.rs",
        "    /// One more.\n",
        "    /// One more.\n    #[cfg_attr(any(), track(allow(LC0001, reason = \"counted roughly\")))]\n",
    );
    let run = |args: &[&str]| {
        let mut words = vec![
            "nextest",
            "--message-format",
            "json",
            "--deny-stale",
            "run",
            "-E",
        ];
        words.extend(args);
        project.call(&words).run()
    };
    let silent = run(&["test(transfers_queue)"]);
    silent.assert_code(0);
    assert!(silent.summary().stale.is_empty());
    assert!(
        silent.stderr.contains("1 suppression matched nothing here"),
        "{}",
        silent.stderr
    );
    let matched = run(&["test(visitors)"]);
    matched.assert_code(0);
    assert_eq!(matched.findings()[0].state, "suppressed");
    assert!(
        !matched.stderr.contains("matched nothing"),
        "{}",
        matched.stderr
    );
}
