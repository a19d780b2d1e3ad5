//! What a person reads about the quick start: every part of the report.

use leakcheck_tests::command::{Workshop, repository};
use leakcheck_tests::redaction::filters;

fn workshop() -> Workshop {
    Workshop::new(
        env!("CARGO_BIN_EXE_leakcheck-under-test"),
        env!("CARGO_TARGET_TMPDIR"),
    )
}

fn snapshot(name: &str, args: &[&str]) {
    // Built first, so that cargo has nothing to tell below.
    workshop()
        .call("quickstart", &["test", "--no-run"])
        .run()
        .assert_code(0);
    let mut words = vec!["test", "--test-threads", "1", "--test", "bank"];
    words.extend(args);
    let ended = workshop().call("quickstart", &words).run();
    ended.assert_code(66);
    insta::with_settings!({ filters => filters(&repository()), omit_expression => true }, {
        insta::assert_snapshot!(name, ended.stderr);
    });
}

#[test]
fn quick_start() {
    snapshot("quick_start", &[]);
}
