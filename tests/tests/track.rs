//! The attribute, end to end: a project that depends on the library by path,
//! by plain cargo and by the command.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use leakcheck_tests::command::{Workshop, fixture};
use leakcheck_tests::expectation;

/// Plain cargo, as in a shell.
fn cargo(arguments: &[&str], manifest: &Path) -> Output {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_") && text != "CARGO_HOME" || text.starts_with("RUST_") {
            cargo.env_remove(&name);
        }
    }
    cargo
        .args(arguments)
        .arg("--manifest-path")
        .arg(manifest)
        .arg("--target-dir")
        .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("plain"))
        .stdin(Stdio::null())
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

#[test]
fn plain_cargo_test_fails_with_the_report() {
    let project = fixture("track");
    let output = cargo(&["test", "--no-fail-fast"], &project.join("Cargo.toml"));
    let text = text(&output);
    for test in expectation::of_fixture(&project).values() {
        let name = &test.name;
        if test.marks.is_empty() {
            assert!(
                text.contains(&format!("test {name} ... ok")),
                "{name}: {text}"
            );
            continue;
        }
        let report = output_of(&text, name).unwrap_or_else(|| panic!("{name} passed: {text}"));
        assert!(report.contains("leakcheck: 1 finding"), "{report}");
        for mark in &test.marks {
            let place = format!("{}:{}:", mark.file.display(), mark.line);
            assert!(report.contains(&place), "no {place} in {report}");
            let code = |code: &String| report.contains(&format!("error[{code}]"));
            assert!(mark.codes.iter().any(code), "{report}");
        }
    }
    assert_eq!(output.status.code(), Some(101), "{text}");
}

/// The command has the runtime in the process: one report for a defect.
#[test]
fn the_command_tells_a_defect_once() {
    let workshop = Workshop::new(
        env!("CARGO_BIN_EXE_leakcheck-under-test"),
        env!("CARGO_TARGET_TMPDIR"),
    );
    let ended = workshop.test("track", &["--timeout", "120"]).run();
    ended.assert_code(66);
    let expected = expectation::of_fixture(&fixture("track"));
    for line in ended.tests() {
        let name = &line.test.name;
        let marks = &expected[name].marks;
        let all = ended.findings();
        let findings = all.iter().filter(|finding| finding.is_in(name)).count();
        let most = usize::from(!marks.is_empty());
        assert!(findings <= most, "{name}: {findings} findings");
        let is_race_or_thread = marks
            .iter()
            .any(|mark| mark.codes.iter().any(|code| code != "LC0007"));
        if is_race_or_thread {
            assert_eq!(findings, 1, "{name}");
        }
    }
}
