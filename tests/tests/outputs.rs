//! What a run leaves behind for other tools: files, annotations, shards,
//! other runners, and an interrupt in the middle.

use std::fs;
use std::process::Stdio;

use leakcheck_tests::command::{Ended, Workshop};
use leakcheck_tests::messages::Message;
use leakcheck_tests::project::Project;
use serde_json::Value;
use tempfile::TempDir;

fn workshop() -> Workshop {
    Workshop::new(
        env!("CARGO_BIN_EXE_leakcheck-under-test"),
        env!("CARGO_TARGET_TMPDIR"),
    )
}

fn project() -> Project {
    Project::new(workshop())
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"))
        .collect()
}

fn fingerprints(lines: &[Value]) -> Vec<String> {
    let of = |line: &Value| line["fingerprint"].as_str().map(str::to_owned);
    let mut all: Vec<String> = lines.iter().filter_map(of).collect();
    all.sort();
    all
}

#[test]
fn all_formats_in_one_run() {
    let project = project();
    let ended = project
        .call(&[
            "test",
            "--message-format",
            "json",
            "--output",
            "json=out/a.json",
            "--output",
            "sarif=out/a.sarif",
            "--output",
            "junit=out/a.xml",
            "--output",
            "html=out/a.html",
        ])
        .run();
    ended.assert_code(66);
    // The same lines, but those of the tests come as the tests end.
    assert_eq!(project.read("out/a.json"), ended.stdout);
    let json = lines(&ended.stdout);
    let prints = fingerprints(&json);
    assert_eq!(prints.len(), 3);
    let sarif: Value = serde_json::from_str(&project.read("out/a.sarif")).unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.len(), 3);
    let place = &results[0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "src/lib.rs");
    let (junit, html) = (project.read("out/a.xml"), project.read("out/a.html"));
    assert!(
        junit.contains("tests=\"4\"") && junit.contains("failures=\"3\""),
        "{junit}"
    );
    for print in prints {
        for text in [&junit, &html, &sarif.to_string()] {
            assert!(text.contains(&print), "{print}");
        }
    }
    let left = fs::read_dir(project.path("out")).unwrap().count();
    assert_eq!(left, 4, "nothing else is there");

    // The threads of a test with a finding are there with their lives.
    let race = json
        .iter()
        .find(|line| line["outcome"] == "race")
        .expect("a test that raced");
    let lanes = race["lanes"].as_array().expect("lanes");
    let door = lanes
        .iter()
        .find(|lane| lane["name"] == "back door")
        .unwrap();
    assert!(door["ended_us"].as_u64() > door["started_us"].as_u64());
    let finding = json
        .iter()
        .find(|line| line["code"] == "LC0001")
        .expect("a race");
    let at = finding["at_us"].as_u64();
    assert!(at >= door["started_us"].as_u64() && at.is_some());
    let legs = finding["legs"].as_array().unwrap();
    // The earlier access is one moment of its thread, as near as was noted.
    let earlier = legs.iter().find(|leg| leg["lane"] == door["id"]);
    let earlier = earlier.expect("a leg of the thread");
    let moment = |name: &str| earlier[name].as_u64();
    assert!(
        moment("from_us").is_some()
            && moment("from_us") >= door["started_us"].as_u64()
            && moment("until_us").is_none_or(|until| Some(until) >= moment("from_us"))
            && moment("from_us") <= door["ended_us"].as_u64(),
        "{earlier:#}"
    );
    assert!(
        legs.iter().any(|leg| leg["lane"] == door["id"]),
        "{legs:#?}"
    );
}

#[test]
fn what_cannot_be_written_is_told_before_the_tests() {
    let project = project();
    let ended = project
        .test(&["--output", "html=src/lib.rs/report.html"])
        .run();
    ended.assert_code(70);
    assert!(
        ended.stderr.contains("src/lib.rs/report.html"),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("Compiling"), "{}", ended.stderr);
    for wrong in [
        &["--output", "pdf=a.pdf"][..],
        &["--output", "json=a", "--output", "html=./a"],
    ] {
        project.test(wrong).run().assert_code(2);
    }
}

/// What is found out only when the results are there: the other files are
/// written, and nothing is left of the one that is not.
#[test]
fn a_full_disk_costs_no_other_output() {
    let project = project();
    let ended = project
        .test(&[
            "journal",
            "--output",
            "html=/dev/full",
            "--output",
            "sarif=out/a.sarif",
        ])
        .run();
    ended.assert_code(70);
    assert!(
        ended.stderr.contains("/dev/full") && ended.stderr.contains("No space left"),
        "{}",
        ended.stderr
    );
    assert_eq!(
        ended.findings()[0].code,
        "LC0002",
        "it is told all the same"
    );
    assert!(project.read("out/a.sarif").contains("LC0002"));
    // A file that cannot grow: what was there stays, and nothing beside it.
    project.write("out/a.html", "of before");
    let program = workshop().program().display().to_string();
    let script = format!(
        "trap '' XFSZ; ulimit -f 40; exec '{program}' report merge a.json --output html=out/a.html"
    );
    let report = project.test(&["journal", "--output", "json=a.json"]).run();
    report.assert_code(66);
    let ended = workshop()
        .call_program("sh", project.dir(), &["-c", &script])
        .run();
    ended.assert_code(70);
    assert!(ended.stderr.contains("out/a.html"), "{}", ended.stderr);
    assert_eq!(project.read("out/a.html"), "of before");
    assert_eq!(fs::read_dir(project.path("out")).unwrap().count(), 2);
}

/// Both write into the same directories, and neither disturbs the other.
#[test]
fn two_runs_at_once() {
    let project = project();
    let run = |name: &str| {
        let output = format!("json={name}.json");
        let command = project.call(&["test", "--no-fail-fast", "--output", &output]);
        let mut command = command.into_command();
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    };
    let mut runs = ["a", "b"].map(run);
    for run in &mut runs {
        assert_eq!(run.wait().unwrap().code(), Some(66));
    }
    let [a, b] = ["a.json", "b.json"].map(|file| fingerprints(&lines(&project.read(file))));
    assert_eq!(a.len(), 3);
    assert_eq!(a, b);
    // Nor is anything left of them.
    let left: Vec<_> = fs::read_dir(project.path("target/leakcheck"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 1, "one directory of builds: {left:?}");
}

/// A test that is killed while the runtime writes, and one that damages the
/// file: what was written before is told, and what is missing too.
#[test]
fn a_wire_file_that_is_cut_off() {
    let project = project();
    let tests = project.read("tests/bank.rs");
    let damage = |name: &str, text: &str| {
        format!(
            "\n#[test]\nfn {name}() {{\n    use std::io::Write as _;\n    \
             visitors_are_counted();\n    \
             let dir = std::env::var_os(\"LEAKCHECK_WIRE_DIR\").unwrap();\n    \
             for entry in std::fs::read_dir(dir).unwrap() {{\n        \
             let path = entry.unwrap().path();\n        \
             let mut file = std::fs::File::options().append(true).open(path).unwrap();\n        \
             file.write_all({text:?}.as_bytes()).unwrap();\n    }}\n    \
             let own = std::process::id().to_string();\n    \
             std::process::Command::new(\"kill\").args([\"-KILL\", &own]).status().unwrap();\n    \
             loop {{\n        thread::park();\n    }}\n}}\n"
        )
    };
    let cut = damage("is_cut_off", "{\"type\":\"finding\",\"kind\":\"data-");
    let broken = damage("is_broken", "\u{1}nonsense\n{\"type\":\"no-such\"}\n");
    project.write("tests/bank.rs", &format!("{tests}{cut}{broken}"));
    let ended = project.test(&["is_"]).run();
    ended.assert_code(100);
    for test in ["is_cut_off", "is_broken"] {
        let lines = lines(&ended.stdout);
        let line = lines.iter().find(|line| line["test"]["name"] == test);
        let lanes = line.and_then(|line| line["lanes"].as_array());
        let door = |lane: &Value| lane["name"] == "back door";
        assert!(
            lanes.is_some_and(|lanes| lanes.iter().any(door)),
            "{test} has a timeline: {lanes:?}"
        );
        let findings = ended.findings();
        let found = findings
            .iter()
            .any(|finding| finding.code == "LC0001" && finding.is_in(test));
        assert!(found, "{test}: {}", ended.stderr);
    }
    for said in [
        "2 records of the runtime could not be read",
        "2 processes ended without a last record",
        "killed by SIGKILL",
    ] {
        assert!(ended.stderr.contains(said), "{said}: {}", ended.stderr);
    }
}

#[test]
fn cut_reports_are_not_merged() {
    let project = project();
    project
        .test(&["transfers_queue", "--output", "json=a.json"])
        .run()
        .assert_code(0);
    let text = project.read("a.json");
    let merge = |args: &[&str]| {
        let mut words = vec!["report", "merge"];
        words.extend(args);
        project.call(&words).run()
    };
    merge(&["a.json", "--output", "html=a.html"]).assert_code(0);
    for (cut, told) in [
        (text.len() / 2, "line 1"),
        (text.find('\n').unwrap() + 1, "no summary"),
    ] {
        project.write("b.json", &text[..cut]);
        let ended = merge(&["a.json", "b.json", "--output", "html=b.html"]);
        ended.assert_code(67);
        assert!(
            ended.stderr.contains("b.json") && ended.stderr.contains(told),
            "{}",
            ended.stderr
        );
        assert!(!project.path("b.html").exists());
    }
    merge(&["no-such.json"]).assert_code(67);
}

#[test]
fn filtersets_select_tests() {
    let names = |ended: &Ended| {
        let mut names: Vec<String> = ended
            .tests()
            .into_iter()
            .map(|test| test.test.name)
            .collect();
        names.sort();
        names
    };
    let project = project();
    let ended = project
        .test(&["-E", "test(/^transfers/) and not test(=transfers_cross)"])
        .run();
    ended.assert_code(0);
    assert_eq!(names(&ended), ["transfers_queue"]);
    let ended = project
        .test(&["-E", "test(transfers_queue)", "-E", "test(journal)"])
        .run();
    assert_eq!(names(&ended), ["journal_is_kept", "transfers_queue"]);
    project
        .test(&["-E", "package(no_such) + kind(bench)"])
        .run()
        .assert_code(2);
    project.test(&["-E", "kind(bench)"]).run().assert_code(4);
    let wrong = project.test(&["-E", "test(transfers"]).run();
    wrong.assert_code(2);
    assert!(wrong.stderr.contains('^'), "{}", wrong.stderr);
}

/// An interrupt ends the tests, and what ran is reported.
#[test]
fn an_interrupt_leaves_reports() {
    let dir = TempDir::new().unwrap();
    let report = dir.path().join("report.json");
    let junit = dir.path().join("report.xml");
    let ended = workshop()
        .call(
            "hangs",
            &[
                "test".to_owned(),
                "tests::".to_owned(),
                "--test-threads=1".to_owned(),
                "--output".to_owned(),
                format!("json={}", report.display()),
                "--output".to_owned(),
                format!("junit={}", junit.display()),
            ],
        )
        // The first test has passed; the second never ends.
        .interrupt_after(|line| line.contains("PASS") && line.contains("ends"));
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    let text = fs::read_to_string(&report).unwrap();
    let mut outcomes = Vec::new();
    for line in text.lines() {
        if let Message::Test(test) = Message::parse(line).unwrap() {
            outcomes.push(format!("{} {}", test.test.name, test.outcome));
        }
    }
    // The next one may not have begun yet when the signal comes.
    let (passed, stopped) = outcomes.split_first().unwrap();
    assert_eq!(passed, "tests::ends pass");
    assert!(stopped.is_empty() || stopped == ["tests::sleeps stopped"]);
    let summary = lines(&text).pop().unwrap();
    assert_eq!(summary["exit_code"], 130);
    assert_eq!(summary["stopped"], true);
    assert_eq!(summary["tests"]["not_run"], 2 - stopped.len());
    assert!(fs::read_to_string(&junit).unwrap().contains("tests::ends"));
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        2,
        "nothing half-written"
    );
}

#[test]
fn the_doctor_looks_at_everything() {
    let ended = workshop().call("tokio", &["doctor"]).run();
    ended.assert_code(0);
    for said in [
        "leakcheck 0.",
        "rustc 1.",
        "instrumented std",
        "project ",
        "tasks of tokio",
        "profile `default`",
    ] {
        assert!(ended.stdout.contains(said), "{said}: {}", ended.stdout);
    }
    let ended = workshop()
        .call("tokio", &["doctor"])
        .env("RUSTC", "no-such-rustc")
        .run();
    ended.assert_code(70);
    assert!(ended.stdout.contains("no-such-rustc"), "{}", ended.stdout);
}

#[test]
fn completions_and_manual() {
    for shell in ["bash", "zsh", "fish"] {
        let ended = workshop().call("empty", &["completions", shell]).run();
        ended.assert_code(0);
        assert!(ended.stdout.contains("deny-stale"), "{shell}");
    }
    let ended = workshop().call("empty", &["man"]).run();
    ended.assert_code(0);
    assert!(ended.stdout.contains(".TH leakcheck 1"), "{}", ended.stdout);
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("man").display().to_string();
    workshop()
        .call("empty", &["man", &path])
        .run()
        .assert_code(0);
    let page = fs::read_to_string(dir.path().join("man/leakcheck-test.1")).unwrap();
    assert!(page.contains("partition"), "{page}");
}

/// cargo's own settings decide about the line at the bottom and the colours.
#[test]
fn the_terminal_is_as_cargo_has_it() {
    let run = |variables: &[(&str, &str)], args: &[&str]| {
        let mut words = vec!["test"];
        words.extend(args);
        let mut call = workshop().call("cdylib", &words);
        for (name, value) in variables {
            call = call.env(name, value);
        }
        let ended = call.run();
        ended.assert_code(0);
        ended.stderr
    };
    let bar = run(
        &[
            ("CARGO_TERM_PROGRESS_WHEN", "always"),
            ("CARGO_TERM_PROGRESS_WIDTH", "60"),
        ],
        &[],
    );
    assert!(bar.contains("] 2/2"), "{bar}");
    assert!(bar.contains("\r\x1b[K"), "it is taken back: {bar}");
    let plain = run(&[("CARGO_TERM_PROGRESS_WHEN", "never")], &[]);
    assert!(!plain.contains('\r') && plain.contains("PASS"), "{plain}");
    for quiet in [
        run(&[("CARGO_TERM_QUIET", "true")], &[]),
        run(&[], &["--quiet"]),
    ] {
        assert!(
            !quiet.contains("PASS") && quiet.contains("Summary"),
            "{quiet}"
        );
    }
    // cargo says what it compiles; the tests are told as always.
    for verbose in [
        run(&[], &["-v"]),
        run(&[("CARGO_TERM_VERBOSE", "true")], &[]),
    ] {
        assert!(
            verbose.contains("Running `") || verbose.contains("Fresh "),
            "{verbose}"
        );
        assert!(verbose.contains("PASS"), "{verbose}");
    }
    assert!(!plain.contains("Fresh "), "{plain}");
    let color = |variables: &[(&str, &str)], args: &[&str]| run(variables, args).contains("\x1b[");
    assert!(color(&[("CARGO_TERM_COLOR", "always")], &[]));
    assert!(!color(&[("CARGO_TERM_COLOR", "never")], &[]));
    assert!(color(
        &[("CARGO_TERM_COLOR", "never")],
        &["--color", "always"]
    ));
    let auto = ("CARGO_TERM_COLOR", "auto");
    assert!(!color(&[auto], &[]), "standard error is no terminal");
    assert!(color(&[auto, ("CLICOLOR_FORCE", "1")], &[]));
    assert!(!color(&[auto, ("NO_COLOR", "1")], &[]));
}
