//! What a person reads about the quick start: every part of the report.

use std::fs;
use std::path::Path;

use leakcheck_tests::command::{Workshop, repository};
use leakcheck_tests::redaction::filters;

fn workshop() -> Workshop {
    Workshop::new(
        env!("CARGO_BIN_EXE_leakcheck-under-test"),
        env!("CARGO_TARGET_TMPDIR"),
    )
}

fn snapshot(name: &str, args: &[&str]) {
    let mut words = vec!["test", "--test-threads", "1", "--test", "bank"];
    words.extend(args);
    let ended = workshop().call("quickstart", &words).run();
    ended.assert_code(66);
    // What comes before is of cargo.
    let start = ended
        .stderr
        .find("    Starting")
        .expect("the tests were started");
    let filters = filters(&repository());
    let filters: Vec<(&str, &str)> = filters.iter().map(|(from, to)| (&**from, &**to)).collect();
    insta::with_settings!({ filters => filters, omit_expression => true }, {
        insta::assert_snapshot!(name, &ended.stderr[start..]);
    });
}

#[test]
fn quick_start() {
    snapshot("quick_start", &[]);
}

/// The README shows what this test sees, line by line.
#[test]
fn readme() {
    let filters = filters(&repository());
    let redacted = |text: &str| {
        filters.iter().fold(text.to_owned(), |text, (from, to)| {
            let pattern = regex_lite::Regex::new(from).unwrap();
            pattern.replace_all(&text, to).into_owned()
        })
    };
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    let (_, report) = readme.split_once("```text\n").unwrap();
    let (report, _) = report.split_once("```").unwrap();
    let snapshots = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    let seen = fs::read_to_string(snapshots.join("report__quick_start.snap")).unwrap();
    assert!(report.lines().count() > 40);
    for line in redacted(report).lines() {
        assert!(
            seen.lines().any(|seen| seen.trim_end() == line.trim_end()),
            "not in the report: {line}"
        );
    }
}

/// Both sides of a race under two locks say which one they hold: the earlier
/// one from the history.
#[test]
fn locks_of_both_sides() {
    let ended = workshop()
        .call("races", &["test", "locks::wrong_lock"])
        .run();
    ended.assert_code(66);
    for lock in ["LEFT", "RIGHT"] {
        let held = format!("holds lock `{lock}`, acquired at races/src/locks.rs:");
        assert!(ended.stderr.contains(&held), "{}", ended.stderr);
    }
}
