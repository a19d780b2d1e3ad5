//! Findings against expectations, test by test.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use crate::expectation::{Expectation, Mark};
use crate::messages::{Finding, Leg, TestLine};

/// What a run says about the tests of a fixture: what is wrong, by test. A
/// test that is as it should be has an empty list.
#[must_use]
pub fn compare(
    fixture: &str,
    expected: &BTreeMap<String, Expectation>,
    tests: &[TestLine],
    findings: &[Finding],
) -> BTreeMap<String, Vec<String>> {
    let mut wrong: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for test in tests {
        let name = &test.test.name;
        let complaints = wrong.entry(name.clone()).or_default();
        let Some(expectation) = expected.get(name) else {
            complaints.push("the fixture has no such test".to_owned());
            continue;
        };
        let findings: Vec<_> = findings
            .iter()
            .filter(|finding| finding.is_in(name))
            .collect();
        judge(fixture, expectation, test, &findings, complaints);
    }
    for name in expected.keys() {
        let complaints = wrong.entry(name.clone()).or_default();
        if !tests.iter().any(|test| test.test.name == *name) {
            complaints.push("the test was not run".to_owned());
        }
    }
    wrong
}

fn judge(
    fixture: &str,
    expectation: &Expectation,
    test: &TestLine,
    findings: &[&Finding],
    complaints: &mut Vec<String>,
) {
    // An idle pool that a named rule knows is told as a note.
    for finding in findings.iter().filter(|finding| finding.level != "note") {
        if !expectation
            .marks
            .iter()
            .any(|mark| hits(fixture, finding, mark))
        {
            complaints.push(format!("unexpected:\n{}", indented(&finding.rendered)));
        }
    }
    for mark in &expectation.marks {
        if !findings.iter().any(|finding| hits(fixture, finding, mark)) {
            let codes = mark.codes.join(" or ");
            complaints.push(format!(
                "not found: {codes} at {}:{}",
                mark.file.display(),
                mark.line
            ));
        }
    }
    if expectation.marks.is_empty() && test.outcome != "pass" {
        complaints.push(format!("it ended as `{}`, not `pass`", test.outcome));
    }
}

fn hits(fixture: &str, finding: &Finding, mark: &Mark) -> bool {
    let here = |leg: &Leg| {
        leg.line == Some(mark.line)
            && leg
                .file
                .as_deref()
                .is_some_and(|file| same_file(fixture, file, &mark.file))
    };
    mark.codes.contains(&finding.code) && finding.legs.iter().any(here)
}

/// Files are told relative to the workspace, which a fixture may be itself, or
/// in full.
fn same_file(fixture: &str, told: &str, marked: &Path) -> bool {
    let told = Path::new(told);
    told == marked || told.ends_with(Path::new(fixture).join(marked))
}

fn indented(text: &str) -> String {
    text.lines().fold(String::new(), |mut all, line| {
        _ = writeln!(all, "    {line}");
        all
    })
}

/// How often each test was as it should be, over several runs.
#[derive(Debug, Default)]
pub struct Repetitions {
    runs: usize,
    good: BTreeMap<String, usize>,
    complaints: Vec<String>,
}

impl Repetitions {
    /// Adds a run.
    pub fn add(&mut self, wrong: BTreeMap<String, Vec<String>>) {
        self.runs += 1;
        for (test, complaints) in wrong {
            let good = self.good.entry(test.clone()).or_default();
            *good += usize::from(complaints.is_empty());
            for complaint in complaints {
                self.complaints
                    .push(format!("{test} (run {}): {complaint}", self.runs));
            }
        }
    }

    /// A line for each test: how many of the runs were good.
    #[must_use]
    pub fn table(&self, fixture: &str) -> String {
        self.good
            .iter()
            .fold(String::new(), |mut table, (test, good)| {
                _ = writeln!(table, "{good:>3} of {:<3} {fixture} {test}", self.runs);
                table
            })
    }

    /// Everything that was wrong, none if nothing was.
    #[must_use]
    pub fn complaints(&self) -> &[String] {
        &self.complaints
    }
}
