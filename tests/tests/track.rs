//! The attribute, end to end: a project that depends on the library by path,
//! by plain cargo and by the command.
//!
//! `LEAKCHECK_REPEAT=20` runs each way that often and prints how often each
//! test was as it should be.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Output;

use leakcheck_tests::command::{Workshop, fixture, repository};
use leakcheck_tests::comparison::{Repetitions, compare};
use leakcheck_tests::expectation::{self, Expectation};
use leakcheck_tests::messages::Finding;
use leakcheck_tests::plain;

fn repetitions() -> usize {
    match std::env::var("LEAKCHECK_REPEAT") {
        Ok(number) => number.parse().expect("LEAKCHECK_REPEAT is a number"),
        Err(_) => 1,
    }
}

/// What plain cargo says.
fn cargo(arguments: &[&str], manifest: &Path) -> Output {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plain");
    plain::cargo(arguments, manifest, &target)
        .output()
        .expect("cargo runs")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// What one test of libtest's printed.
fn output_of<'t>(text: &'t str, test: &str) -> Option<&'t str> {
    let (_, after) = text.split_once(&format!("---- {test} stdout ----\n"))?;
    let end = after.find("\n---- ").unwrap_or(after.len());
    Some(&after[..end])
}

/// What is wrong with what plain cargo printed of this test.
fn plainly_wrong(text: &str, test: &Expectation) -> Vec<String> {
    let name = &test.name;
    if test.marks.is_empty() {
        let passed = text.contains(&format!("test {name} ... ok"));
        return if passed {
            Vec::new()
        } else {
            vec![format!("{name} did not pass: {text}")]
        };
    }
    let Some(report) = output_of(text, name) else {
        return vec![format!("{name} passed: {text}")];
    };
    let mut wrong = unnamed(name, &[report]);
    if !report.contains("leakcheck: 1 finding") {
        wrong.push(format!("{name} has not one finding: {report}"));
    }
    for mark in &test.marks {
        let place = format!("{}:{}:", mark.file.display(), mark.line);
        let code = |code: &String| report.contains(&format!("error[{code}]"));
        if !report.contains(&place) || !mark.codes.iter().any(code) {
            wrong.push(format!(
                "{name}: {place} {:?} is not in {report}",
                mark.codes
            ));
        }
    }
    wrong
}

/// Test programs whose tests macros make: none has a finding.
const MADE_BY_MACROS: [&str; 10] = [
    "bridged",
    "coercions",
    "core",
    "earlier",
    "held",
    "kept",
    "operators",
    "sync",
    "temporaries",
    "unseen",
];

/// True if all tests of this program passed, and there were some.
fn passed_whole(text: &str, program: &str) -> bool {
    let begins = format!("Running tests/{program}.rs ");
    // cargo's lines and those of the tests come by different ways.
    let all: Vec<&str> = text.lines().collect();
    let programs = all.iter().filter(|line| line.contains("Running "));
    let at = programs.into_iter().position(|line| line.contains(&begins));
    let results: Vec<&&str> = all
        .iter()
        .filter(|line| line.starts_with("test result: "))
        .collect();
    at.and_then(|at| results.get(at)).is_some_and(|result| {
        result.starts_with("test result: ok. ") && !result.contains(" 0 passed")
    })
}

#[test]
fn track_by_plain_cargo() {
    let project = fixture("track");
    let mut expected = expectation::of_fixture(&project);
    for name in POTENTIAL {
        let test = expected.get_mut(name).expect("the fixture has it");
        test.marks.clear();
    }
    let mut done = Repetitions::default();
    for _ in 0..repetitions() {
        let output = cargo(&["test", "--no-fail-fast"], &project.join("Cargo.toml"));
        let text = text(&output);
        done.add(
            expected
                .iter()
                .map(|(name, test)| (name.clone(), plainly_wrong(&text, test)))
                .collect(),
        );
        assert_eq!(output.status.code(), Some(101), "{text}");
        for program in MADE_BY_MACROS {
            assert!(passed_whole(&text, program), "{program}: {text}");
        }
    }
    print!("{}", done.table("track, plain cargo"));
    let complaints = done.complaints();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// Tests whose findings the attribute lets through.
const ALLOWED: [&str; 5] = [
    "a_variable",
    "a_function",
    "a_daemon",
    "a_task",
    "a_daemon_of_its_own",
];

/// Tests, and what their attributes call what is found in them.
const NAMED: [(&str, &str); 11] = [
    ("a_named_variable", "`hit counter"),
    ("a_named_struct", "`slot table.used"),
    ("above_smol", "task `listener`"),
    ("below_smol", "task `listener`"),
    ("above_async_std", "task `subscriber`"),
    ("a_token", "task `closer`"),
    ("reader", "task `reader`"),
    ("asker", "task `asker`"),
    ("consumer", "task `consumer`"),
    ("nameless", "::answer`"),
    ("journal", "thread `journal`"),
];

/// Complaints about findings without the name that the attribute gives.
fn unnamed(name: &str, titles: &[&str]) -> Vec<String> {
    let mut given = NAMED.iter().filter(|(test, _)| *test == name);
    let missing = given.find(|(_, given)| !titles.iter().any(|title| title.contains(given)));
    missing
        .map(|(_, given)| format!("{given} is not in {titles:?}"))
        .into_iter()
        .collect()
}

/// Tests of executors that are never shut down: what the command cannot prove of
/// their tasks, it tells in a note.
const NOTED: [&str; 3] = ["above_smol", "below_smol", "above_async_std"];

/// Races that plain cargo tells without certainty: the tests ask for that, and
/// pass.
const POTENTIAL: [&str; 4] = [
    "std_channels",
    "bounded_std_channels",
    "tokio_channels",
    "crossbeam_channels",
];

const IGNORED: &str = "handed_over_by_a_drop";

/// The command has the runtime in the process: one report for a defect.
#[test]
fn track_by_the_command() {
    let workshop = Workshop::new(
        env!("CARGO_BIN_EXE_leakcheck-under-test"),
        env!("CARGO_TARGET_TMPDIR"),
    );
    let mut expected = expectation::of_fixture(&fixture("track"));
    // Under the command it is ignored, for the reason that it gives.
    expected.remove(IGNORED);
    for name in NOTED {
        let test = expected.get_mut(name).expect("the fixture has it");
        test.marks.clear();
    }
    let mut done = Repetitions::default();
    for _ in 0..repetitions() {
        let ended = workshop.test("track", &["--timeout", "120"]).run();
        ended.assert_code(66);
        let mut findings = ended.findings();
        let excused: BTreeSet<String> = ALLOWED
            .iter()
            .filter(|name| {
                let of_it = |finding: &&Finding| finding.is_in(name) && finding.excuse.is_some();
                findings.iter().any(|finding| of_it(&finding))
            })
            .map(|name| (*name).to_owned())
            .collect();
        assert_eq!(excused.len(), ALLOWED.len(), "{excused:?}");
        findings.retain(|finding| finding.excuse.is_none());
        let mut tests = ended.tests();
        tests.retain(|line| line.test.name != IGNORED);
        for line in tests
            .iter()
            .filter(|line| MADE_BY_MACROS.contains(&line.test.binary.as_str()))
        {
            let name = line.test.name.clone();
            expected.entry(name.clone()).or_insert(Expectation {
                name,
                marks: Vec::new(),
            });
        }
        let mut wrong = compare("track", &expected, &tests, &findings);
        for (name, test) in &expected {
            let all = findings.iter().filter(|finding| finding.is_in(name));
            let titles: Vec<&str> = all.clone().map(|finding| finding.title.as_str()).collect();
            let complaints = unnamed(name, &titles);
            if !complaints.is_empty() {
                wrong.entry(name.clone()).or_default().extend(complaints);
            }
            let told = all.filter(|finding| finding.level != "note").count();
            if told != usize::from(!test.marks.is_empty()) {
                let complaint = format!("{name} has {told} findings");
                wrong.entry(name.clone()).or_default().push(complaint);
            }
        }
        done.add(wrong);
    }
    print!("{}", done.table("track, leakcheck test"));
    let complaints = done.complaints();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// A crate as one begins it: the attribute comes by path, and nothing else is
/// set up.
const FRESH: &str = r#"
//! Counts.

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::thread;

    use leakcheck::track;
    use tokio::sync::mpsc;

    static mut HITS: u32 = 0;

    #[track]
    #[test]
    fn hits() {
        let left = thread::spawn(|| {
            for _ in 0..100 {
                unsafe { HITS += 1 } // left
            }
        });
        let right = thread::spawn(|| {
            for _ in 0..100 {
                unsafe { HITS += 2 } // right
            }
        });
        left.join().unwrap();
        right.join().unwrap();
    }

    static LOCK: Mutex<()> = Mutex::new(());
    static mut GUARDED: u32 = 0;

    #[track]
    #[test]
    fn hits_fixed() {
        let left = thread::spawn(|| {
            for _ in 0..100 {
                let _guard = LOCK.lock().unwrap();
                unsafe { GUARDED += 1 }
            }
        });
        let right = thread::spawn(|| {
            for _ in 0..100 {
                let _guard = LOCK.lock().unwrap();
                unsafe { GUARDED += 2 }
            }
        });
        left.join().unwrap();
        right.join().unwrap();
        assert_eq!(unsafe { GUARDED }, 300);
    }

    #[track(name = "listener")]
    #[tokio::test]
    async fn listens() {
        let (sender, mut receiver) = mpsc::channel::<u32>(1);
        tokio::spawn(async move { // spawned
            receiver.recv().await; // awaits
            drop(sender);
        });
    }

    #[track(name = "listener")]
    #[tokio::test]
    async fn listens_fixed() {
        let (sender, mut receiver) = mpsc::channel::<u32>(1);
        tokio::spawn(async move {
            drop(sender);
            receiver.recv().await;
        });
    }
}
"#;

/// Where a line of the crate's text with this comment is.
fn fresh_line(comment: &str) -> String {
    let ends = |line: &str| line.ends_with(&format!("// {comment}"));
    let line = FRESH.lines().position(ends).expect("the comment is there");
    format!("src/lib.rs:{}:", line + 1)
}

/// Two defects and their twins in a new crate: plain cargo fails the two tests,
/// with names and places, and the command reports each defect once.
#[test]
fn a_fresh_crate() {
    let dir = tempfile::TempDir::new().expect("a directory for the crate");
    let library = repository().join("detector");
    let manifest = format!(
        "[package]\nname = \"fresh\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
         [workspace]\n\n\
         [dev-dependencies]\nleakcheck = {{ path = {library:?} }}\n\
         tokio = {{ version = \"1\", features = [\"rt-multi-thread\", \"macros\", \"sync\", \"time\"] }}\n"
    );
    let write = |file: &str, text: &str| {
        let path = dir.path().join(file);
        fs::create_dir_all(path.parent().expect("a directory")).expect("it is made");
        fs::write(path, text).expect("it is written");
    };
    write("Cargo.toml", &manifest);
    write("src/lib.rs", FRESH);
    // The versions that the fixture has.
    let lock = fs::read_to_string(fixture("track").join("Cargo.lock"));
    write("Cargo.lock", &lock.expect("the fixture has it"));

    let both = [fresh_line("left"), fresh_line("right")];
    let leak = [
        "task `listener`".to_owned(),
        fresh_line("spawned"),
        fresh_line("awaits"),
    ];
    let named = |report: &str, what: &[String]| {
        for text in what {
            assert!(report.contains(text), "{text} is not in {report}");
        }
    };

    for _ in 0..repetitions() {
        let output = cargo(&["test"], &dir.path().join("Cargo.toml"));
        let text = text(&output);
        assert_eq!(output.status.code(), Some(101), "{text}");
        assert!(text.contains("2 passed; 2 failed;"), "{text}");
        assert!(text.contains("data race on `HITS: u32`"), "{text}");
        for (test, what) in [("tests::hits", &both[..]), ("tests::listens", &leak)] {
            let report = output_of(&text, test).unwrap_or_else(|| panic!("{test} passed: {text}"));
            assert!(report.contains("leakcheck: 1 finding"), "{report}");
            named(report, what);
            assert!(
                text.contains(&format!("test {test}_fixed ... ok")),
                "{text}"
            );
        }

        let workshop = Workshop::new(
            env!("CARGO_BIN_EXE_leakcheck-under-test"),
            env!("CARGO_TARGET_TMPDIR"),
        );
        let ended = workshop
            .call_in(dir.path(), &["test", "--message-format", "json"])
            .run();
        ended.assert_code(66);
        let findings = ended.findings();
        let of = |code: &str| -> Vec<&Finding> {
            findings
                .iter()
                .filter(|finding| finding.code == code)
                .collect()
        };
        let (races, leaks) = (of("LC0001"), of("LC0007"));
        assert_eq!(
            (findings.len(), races.len(), leaks.len()),
            (2, 1, 1),
            "{}",
            ended.stderr
        );
        assert!(races[0].is_in("tests::hits") && leaks[0].is_in("tests::listens"));
        named(&races[0].rendered, &both);
        assert!(races[0].title.contains("HITS"), "{}", races[0].title);
        named(&leaks[0].rendered, &leak);
        let tests = ended.tests();
        assert_eq!(tests.len(), 4, "{}", ended.stderr);
        for twin in ["tests::hits_fixed", "tests::listens_fixed"] {
            let line = tests.iter().find(|line| line.test.name == twin);
            assert_eq!(line.map(|line| line.outcome.as_str()), Some("pass"));
        }
        assert!(
            ended.stderr.contains("2 passed, 2 with findings"),
            "{}",
            ended.stderr
        );
    }
}
