//! The pages in `docs/lessons` show the fixture's own code, and what leakcheck
//! really says.
//!
//! `LEAKCHECK_BLESS=1` writes the blocks of the pages anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use leakcheck_tests::command::{Ended, Workshop, fixture, repository};
use leakcheck_tests::lesson::{Wanted, code, fill, wanted};
use leakcheck_tests::redaction;

/// How often a report is asked for: which of several accesses race is chance.
const TRIES: usize = 5;

fn workshop() -> Workshop {
    Workshop::new(
        env!("CARGO_BIN_EXE_leakcheck-under-test"),
        env!("CARGO_TARGET_TMPDIR"),
    )
}

/// Each page with the text of the module that it is about.
fn pages() -> Vec<(PathBuf, String, String)> {
    let dir = repository().join("docs/lessons");
    let mut pages: Vec<_> = fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_stem().is_some_and(|stem| stem != "README"))
        .map(|path| {
            let module = path.file_stem().unwrap().to_str().unwrap();
            let source = fixture("lessons/src").join(module).with_extension("rs");
            let page = fs::read_to_string(&path).unwrap();
            let source = fs::read_to_string(&source)
                .unwrap_or_else(|error| panic!("{}: {error}", source.display()));
            (path, page, source)
        })
        .collect();
    pages.sort();
    pages
}

/// What a run says of a test: its first error, or how it ended.
fn report(ended: &Ended, test: &str) -> Option<String> {
    let is_it = |name: &str| name.rsplit("::").next() == Some(test);
    let findings = ended.findings();
    let finding = findings
        .iter()
        .find(|finding| finding.level == "error" && finding.tests.iter().any(|t| is_it(&t.name)));
    let text = match finding {
        Some(finding) => finding.rendered.clone(),
        None => {
            let mut lines = ended.stderr.lines();
            let line = lines.find(|line| line.ends_with(&format!("::{test}")))?;
            format!("{line}\n{}", lines.next().unwrap_or_default())
        }
    };
    let redacted = redaction::filters(&repository())
        .into_iter()
        .fold(text, |text, (from, to)| {
            let pattern = regex_lite::Regex::new(&from).unwrap();
            pattern.replace_all(&text, to.as_str()).into_owned()
        });
    // Which of two threads is gone by then is chance.
    let redacted = redacted.replace(", ended since:", ":");
    let lines = redacted.lines().map(str::trim_end);
    // Fingerprints and the like are of no use to who learns.
    let told = lines.filter(|line| !line.contains("= note: fingerprint"));
    Some(told.collect::<Vec<_>>().join("\n"))
}

/// What is the same in each report of one bug: its title, and the places.
/// Which side comes first is chance, and so is where a thread that runs is.
fn facts(report: &str) -> (String, BTreeSet<String>) {
    let place = regex_lite::Regex::new(r"lessons/src/\w+\.rs:\d+:\d+").unwrap();
    let title = report.lines().next().unwrap_or_default().to_owned();
    let waits = title.contains(" waits ") || !title.contains("LC0002");
    let places = place.find_iter(report).filter(|_| waits);
    (title, places.map(|at| at.as_str().to_owned()).collect())
}

#[test]
fn pages_show_what_is() {
    let bless = std::env::var_os("LEAKCHECK_BLESS").is_some();
    let mut wrong = Vec::new();
    for (path, page, source) in pages() {
        let filled = fill(&page, |wanted, now| match wanted {
            Wanted::Code(name) => code(&source, name),
            Wanted::Report(name) => {
                let now = now.trim_end();
                // Alone: what others found at the same places would be told with it.
                let told = || {
                    let ended = workshop().test("lessons", &["--lib", name]).run();
                    report(&ended, name)
                        .unwrap_or_else(|| panic!("nothing is said of {name}: {}", ended.stderr))
                };
                if bless {
                    return told();
                }
                let is_so = |told: &String| facts(told) == facts(now);
                let mut tries = (0..TRIES).map(|_| told());
                let first = tries.next().unwrap_or_default();
                if is_so(&first) || tries.any(|told| is_so(&told)) {
                    now.to_owned()
                } else {
                    first
                }
            }
        });
        if filled == page {
            continue;
        }
        if bless {
            fs::write(&path, filled).unwrap();
        } else {
            let differs = |(old, new): &(&str, &str)| old != new;
            let first = page.lines().zip(filled.lines()).find(differs);
            wrong.push(format!("{}: {first:?}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_lesson_is_on_a_page_with_its_bug_its_report_and_its_fix() {
    let shown: BTreeSet<String> = pages()
        .iter()
        .flat_map(|(_, page, _)| wanted(page))
        .map(|wanted| match wanted {
            Wanted::Code(name) => name,
            Wanted::Report(name) => format!("report of {name}"),
        })
        .collect();
    let table = fs::read_to_string(fixture("lessons").join("cases.csv")).unwrap();
    let mut missing = Vec::new();
    for line in table.lines().skip(1) {
        let name = line.split(',').next().unwrap();
        let long = line.contains("takes half a minute");
        let needed = [name.to_owned(), format!("{name}_fixed")];
        let report = (!long).then(|| format!("report of {name}"));
        missing.extend(
            needed
                .into_iter()
                .chain(report)
                .filter(|item| !shown.contains(item)),
        );
    }
    assert!(missing.is_empty(), "{missing:?}");
}
