//! Rules about the repository that no other tool checks.

use std::collections::BTreeSet;
use std::fs;

use leakcheck_tests::command::{fixture, repository};
use leakcheck_tests::expectation;
use leakcheck_tests::source::{Source, files};

/// Lines of a file before its tests.
const LONGEST: usize = 600;

#[track_caller]
fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// Complaints about lines of Rust files.
fn about_lines(files: &[Source], wrong: impl Fn(&str) -> Option<&'static str>) -> Vec<String> {
    let of_file = |file: &Source| {
        let about = |(index, line): (usize, &str)| {
            wrong(line).map(|why| format!("{}: {why}", file.place(index + 1)))
        };
        file.text
            .lines()
            .enumerate()
            .filter_map(about)
            .collect::<Vec<_>>()
    };
    files.iter().flat_map(of_file).collect()
}

#[test]
fn files_are_short() {
    let too_long = |file: &Source| {
        let lines = file
            .text
            .lines()
            .take_while(|line| *line != "#[cfg(test)]")
            .count();
        (lines > LONGEST).then(|| format!("{}: {lines} lines", file.path.display()))
    };
    assert_none(&files("rs").iter().filter_map(too_long).collect::<Vec<_>>());
}

#[test]
fn files_begin_with_their_documentation() {
    let undocumented = |file: &Source| {
        (!file.text.starts_with("//! ")).then(|| format!("{}: no module doc", file.path.display()))
    };
    assert_none(
        &files("rs")
            .iter()
            .filter_map(undocumented)
            .collect::<Vec<_>>(),
    );
}

#[test]
fn no_files_for_odds_and_ends() {
    let banned = ["utils", "util", "helpers", "helper", "common", "misc"];
    let odd = |file: &Source| {
        let stem = file.path.file_stem()?.to_str()?;
        let numbered = stem.len() > 1 && stem.ends_with('2');
        (banned.contains(&stem) || numbered)
            .then(|| format!("{}: what is the concept?", file.path.display()))
    };
    assert_none(&files("rs").iter().filter_map(odd).collect::<Vec<_>>());
}

#[test]
fn lints_are_expected_with_a_reason() {
    // Put together, so that this line is none of them.
    let banned = [concat!("#[", "allow("), concat!("#![", "allow(")];
    assert_none(&about_lines(&files("rs"), |line| {
        banned
            .iter()
            .any(|banned| line.contains(banned))
            .then_some("use #[expect(…, reason = \"…\")]")
    }));
}

#[test]
fn nothing_is_left_to_do() {
    let banned = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("X", "XX"),
    ];
    let left = |line: &str| {
        let word = |banned: &&&str| {
            line.split(|c: char| !c.is_ascii_alphanumeric())
                .any(|word| word == **banned)
        };
        banned.iter().find(word).map(|_| "do it, or open an issue")
    };
    for extension in ["rs", "md", "toml", "c"] {
        assert_none(&about_lines(&files(extension), left));
    }
}

#[test]
fn no_paths_of_a_machine() {
    let banned = [
        concat!("/ro", "ot/"),
        concat!("/wo", "rk/"),
        concat!("/ho", "me/runner"),
    ];
    let machine = |line: &str| {
        banned
            .iter()
            .any(|banned| line.contains(banned))
            .then_some("a path of one machine")
    };
    for extension in ["rs", "md", "toml", "snap", "sh"] {
        assert_none(&about_lines(&files(extension), machine));
    }
}

/// `instrument ← detector ← cli ← tests`.
#[test]
fn dependencies_point_one_way() {
    let crates = [
        ("instrument", "leakcheck-instrument"),
        ("detector", "leakcheck"),
        ("cli", "leakcheck-cli"),
        ("tests", "leakcheck-tests"),
    ];
    for (index, (dir, _)) in crates.iter().enumerate() {
        let manifest = fs::read_to_string(repository().join(dir).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        let tables = ["dependencies", "build-dependencies", "dev-dependencies"];
        let names: BTreeSet<_> = tables
            .iter()
            .filter_map(|table| manifest.get(*table)?.as_table())
            .flat_map(toml::Table::keys)
            .collect();
        for (later, name) in &crates[index..] {
            assert!(
                !names.contains(&(*name).to_owned()),
                "{dir} depends on {later}"
            );
        }
    }
}

/// Inside the detector, as DESIGN.md draws it.
#[test]
fn layers_of_the_detector_point_one_way() {
    let above = |layer: &str| -> &[&str] {
        match layer {
            "clock" | "ids" | "event" => &[
                "abi", "rt", "session", "race", "waits", "leak", "sync", "registry", "shadow",
            ],
            "race" | "waits" | "leak" | "sync" | "registry" | "shadow" => &["abi", "session"],
            "report" => &[
                "abi", "rt", "session", "race", "waits", "leak", "sync", "registry",
            ],
            _ => &[],
        }
    };
    let wrong = |file: &Source| {
        let below = file.path.strip_prefix("detector/src").ok()?;
        let layer = below.iter().next()?.to_str()?.trim_end_matches(".rs");
        let line = file.text.lines().enumerate().find(|(_, line)| {
            let code = line.trim_start();
            !code.starts_with("//")
                && above(layer)
                    .iter()
                    .any(|upper| code.contains(&format!("crate::{upper}::")))
        });
        line.map(|(index, line)| format!("{}: {line}", file.place(index + 1)))
    };
    let files = files("rs");
    assert_none(&files.iter().filter_map(wrong).collect::<Vec<_>>());
}

#[test]
fn unsafe_is_where_the_design_puts_it() {
    for file in ["instrument/src/lib.rs", "cli/src/lib.rs"] {
        let text = fs::read_to_string(repository().join(file)).unwrap();
        assert!(
            text.contains("#![forbid(unsafe_code)]"),
            "{file} does not forbid unsafe code"
        );
    }
}

#[test]
fn every_bug_has_a_silent_twin() {
    let mut bugs = 0;
    for entry in fs::read_dir(fixture("")).unwrap() {
        let path = entry.unwrap().path();
        // A program without libtest is one test: its twin is another program.
        if !path.join("src").is_dir() || path.ends_with("harness-false") {
            continue;
        }
        let tests = expectation::of_fixture(&path);
        for test in tests.values().filter(|test| !test.marks.is_empty()) {
            bugs += 1;
            let twin = tests.get(&format!("{}_fixed", test.name));
            let twin = twin.unwrap_or_else(|| panic!("{} has no twin", test.name));
            assert_eq!(twin.marks, [], "{} is not silent", twin.name);
        }
    }
    assert!(bugs > 0, "no fixture has a bug");
}

/// The commands of the README are those that CI runs.
#[test]
fn the_readme_and_ci_agree() {
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    let ci = fs::read_to_string(repository().join(".ci/run")).unwrap();
    let command = "cargo test --workspace";
    assert!(
        readme.contains(command) && ci.contains(command),
        "{command} is not in both"
    );
}
