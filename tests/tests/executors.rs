//! Which tasks are seen: those of executors that cargo builds from whatever
//! source, and those that libraries spawn; and what is said of those unseen.

use std::fs;
use std::process::Command;

use leakcheck_tests::command::{Ended, Workshop, fixture};
use leakcheck_tests::messages::Gap;

fn workshop() -> Workshop {
    Workshop::new(
        env!("CARGO_BIN_EXE_leakcheck-under-test"),
        env!("CARGO_TARGET_TMPDIR"),
    )
}

/// What is said of an executor that leakcheck cannot patch.
const UNSEEN: &str = "tokio 9.0.0: its tasks";

#[test]
fn a_release_that_does_not_fit_is_told_by_test_and_run() {
    let test = workshop().test::<&str>("unfit", &[]).run();
    test.assert_code(0);
    let gaps = test.summary().gaps;
    assert!(
        gaps.iter()
            .any(|gap| gap.gap == "unseen-tasks" && gap.text.contains(UNSEEN)),
        "{gaps:?}"
    );
    // cargo compiles nothing this time, and it is told all the same.
    for _ in 0..2 {
        let run = workshop().call("unfit", &["run", "--quiet"]).run();
        run.assert_code(0);
        assert_eq!(run.stdout, "ran\n");
        assert!(run.stderr.contains(UNSEEN), "{}", run.stderr);
    }
}

/// Where another program calls cargo, which then tells us nothing of what it built.
#[test]
fn a_release_that_does_not_fit_is_told_by_nextest_and_in_a_shell() {
    let run = ["nextest", "--message-format", "json", "run"];
    for _ in 0..2 {
        let nextest = workshop().call("unfit", &run).run();
        nextest.assert_code(0);
        let gaps = nextest.summary().gaps;
        let told = |gap: &Gap| gap.gap == "unseen-tasks" && gap.text.contains(UNSEEN);
        assert_eq!(gaps.iter().filter(|gap| told(gap)).count(), 1, "{gaps:?}");
    }
    let script = format!(
        "eval \"$('{}' show-env --sh)\" && cargo run --quiet",
        workshop().program().display()
    );
    let shell = workshop()
        .call_program("sh", &fixture("unfit"), &["-c", &script])
        .run();
    assert_eq!(shell.code, Some(0), "{}", shell.stderr);
    assert_eq!(shell.stdout, "ran\n");
    assert!(shell.stderr.contains(UNSEEN), "{}", shell.stderr);
}

#[test]
fn a_task_is_called_by_what_is_in_its_box() {
    let name = "parts::a_boxed_future";
    let ended = workshop()
        .test("tokio-tasks", &["--", "--exact", name])
        .run();
    ended.assert_code(66);
    let findings = ended.findings();
    assert_eq!(findings.len(), 1, "{}", ended.stderr);
    let title = &findings[0].title;
    assert!(
        title.contains("`fixture_tokio_tasks::parts::waits_for_ever`"),
        "{title}"
    );
}

/// A project that leaks a task of tokio's, which is vendored: nothing is known
/// of any registry, and there is no network.
#[test]
fn vendored_sources_are_patched_offline() {
    let dir = tempfile::tempdir().unwrap();
    let write = |file: &str, text: &str| {
        let path = dir.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write(
        "Cargo.toml",
        "[package]\nname = \"vendored\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
         [dependencies]\ntokio = { version = \"1.54\", features = [\"rt\"] }\n\n[workspace]\n",
    );
    write(
        "src/lib.rs",
        "#[test]\nfn waits_for_nothing() {\n    \
         let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();\n    \
         runtime.spawn(std::future::pending::<()>());\n    \
         runtime.block_on(tokio::task::yield_now());\n}\n",
    );
    let vendor = Command::new(env!("CARGO"))
        .args(["vendor", "--quiet"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&vendor.stderr).into_owned();
    assert!(vendor.status.success(), "{told}");
    write(
        ".cargo/config.toml",
        "[source.crates-io]\nreplace-with = \"vendored\"\n\n\
         [source.vendored]\ndirectory = \"vendor\"\n",
    );

    let home = tempfile::tempdir().unwrap();
    let test = |words: &[&str]| -> Ended {
        let mut args = vec!["test", "--message-format", "json"];
        args.extend(words);
        workshop()
            .call_in(dir.path(), &args)
            .env("CARGO_HOME", home.path())
            .env("CARGO_NET_OFFLINE", "true")
            .run()
    };
    for words in [&["--offline"][..], &["--locked"]] {
        let ended = test(words);
        ended.assert_code(66);
        let codes: Vec<String> = ended
            .findings()
            .into_iter()
            .map(|found| found.code)
            .collect();
        assert_eq!(codes, ["LC0007"]);
        assert_eq!(ended.summary().gaps, []);
    }
}

/// The tasks of programs on popular libraries, by the runtime's own count. It
/// takes minutes to build them, and is run by hand:
///
/// `cargo test -p leakcheck-tests --test executors -- --ignored`
#[test]
#[ignore = "it builds hyper, reqwest, tonic, async-std and smol, for minutes"]
fn all_tasks_of_popular_libraries_are_seen() {
    let shown: [(&str, &[&str]); 6] = [
        (
            "hyper",
            &["fixture_ecosystem::server", "waits for a connection"],
        ),
        ("reqwest", &["fixture_ecosystem::server", "reqwest"]),
        ("tonic", &["tonic::transport::server", "hyper::proto::h2"]),
        (
            "async-std",
            &["async_std::task::builder::SupportTaskLocals"],
        ),
        ("smol", &["core::future::pending::Pending"]),
        ("async-executor", &["core::future::pending::Pending"]),
    ];
    for (library, names) in shown {
        for options in [&[][..], &["--no-races"]] {
            let mut words = vec!["run", "--quiet"];
            words.extend(options);
            words.extend(["--", library]);
            let ended = workshop().call("ecosystem", &words).run();
            let count: usize = ended.stdout.trim().parse().unwrap_or_else(|_| {
                panic!("no count of {library}: {}\n{}", ended.stdout, ended.stderr)
            });
            let seen = format!("threads, {count} tasks");
            assert!(
                ended.stderr.contains(&seen),
                "{library} has {count}: {}",
                ended.stderr
            );
            for name in names {
                assert!(ended.stderr.contains(name), "{library}: {}", ended.stderr);
            }
        }
    }
}
