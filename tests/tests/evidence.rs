//! The known bugs and their fixed twins, a few times each: what needs no rare
//! schedule is found, and no twin is reported.

use std::process::{Command, Stdio};

use serde_json::Value;

#[track_caller]
fn check(suite: &str, cases: u64, at_least: u64) {
    let output = Command::new(env!("CARGO_BIN_EXE_evidence"))
        .args(["--suite", suite, "--runs", "2", "--explore", "2"])
        .args(["--check", "--format", "json"])
        .args(["--work", env!("CARGO_TARGET_TMPDIR")])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
    let lines: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let summary = lines.last().unwrap();
    assert_eq!(summary["type"], "summary");
    assert_eq!(summary["cases"], cases);
    assert_eq!(lines.len() as u64, cases + 1);
    let found = summary["found"].as_u64().unwrap() + summary["explored"].as_u64().unwrap();
    assert!(found >= at_least, "{found} of {cases}\n{said}");
}

/// Most of what is missed in so few runs is one schedule of many.
#[test]
fn goker() {
    check("goker", 103, 75);
}

#[test]
fn lessons() {
    check("lessons", 28, 27);
}
