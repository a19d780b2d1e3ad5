//! Forms of code in which the attribute sees no call, or one that looks like std's:
//! a race that such code orders is never certain, and one that it does not order
//! is told (`fixtures/forms`).

use std::path::Path;

use leakcheck_tests::command::fixture;
use leakcheck_tests::plain::cargo;

#[track_caller]
fn pass(mode: &str) {
    let manifest = fixture("forms").join("Cargo.toml");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plain");
    let ended = cargo(&["test", "--no-fail-fast", "--tests"], &manifest, &target)
        .env("FORMS", mode)
        .output()
        .expect("cargo runs");
    let text = String::from_utf8_lossy(&ended.stdout) + String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{text}");
    let counted = text.lines().filter_map(|line| {
        let (_, after) = line.split_once("test result: ok. ")?;
        after.split(' ').next()?.parse::<usize>().ok()
    });
    assert!(counted.sum::<usize>() > 3000, "few forms were run: {text}");
}

/// One after the other, for they are built once.
#[test]
fn forms_that_may_run_anything() {
    pass("ordered");
    pass("racy");
}
