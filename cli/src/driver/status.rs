//! The lines about tests: one for each, a summary, and the failing ones once
//! more. Pure text with ANSI styles, which the stream strips where they are
//! not wanted.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use leakcheck::report::kind::Kind;

use super::process::StopReason;
use super::verdict::{Word, errors};
use crate::document::{Document, EntryLine, StaleLine};
use crate::gate::Staleness;
use crate::model::{Explored, Finding, RunReport, TestId};

/// Width of the column of words.
const WORD_WIDTH: usize = 12;

/// A word at the beginning of a line, right-aligned as cargo has it.
#[must_use]
pub fn label(word: &str, style: Style) -> String {
    format!("{style}{word:>WORD_WIDTH$}{style:#}")
}

/// Bold green: what goes on.
#[must_use]
pub const fn good() -> Style {
    AnsiColor::Green.on_default().bold()
}

/// Bold yellow: what is worth a look.
#[must_use]
pub const fn warning() -> Style {
    AnsiColor::Yellow.on_default().bold()
}

/// Bold red: what makes the run fail.
#[must_use]
pub const fn bad() -> Style {
    AnsiColor::Red.on_default().bold()
}

const fn style_of(word: Word) -> Style {
    match word {
        Word::Pass => good(),
        Word::Ignored | Word::Stopped => warning(),
        Word::Race
        | Word::Leak
        | Word::Deadlock
        | Word::Fail
        | Word::Crash
        | Word::Exit
        | Word::Timeout => bad(),
    }
}

/// `        PASS [   0.012s] package::binary name`.
#[must_use]
pub fn line(word: Word, elapsed: Option<Duration>, id: &TestId) -> String {
    let label = label(word.text(), style_of(word));
    match elapsed {
        Some(elapsed) => format!("{label} [{:>8.3}s] {id}", elapsed.as_secs_f64()),
        None => format!("{label} [         ] {id}"),
    }
}

/// `        SLOW [> 30.000s] package::binary name`: it still runs.
#[must_use]
pub fn slow(after: Duration, id: &TestId) -> String {
    let label = label("SLOW", warning());
    format!("{label} [>{:>7.3}s] {id}", after.as_secs_f64())
}

/// A sentence below a test's line, indented to its text.
#[must_use]
pub fn remark(text: &str) -> String {
    format!("{:WORD_WIDTH$}   ({text})", "")
}

/// Which run of several it was, and how to have it again.
#[must_use]
pub fn explored(explored: Explored) -> Option<String> {
    let seed = explored.seed?;
    let run = explored.run;
    Some(format!(
        "in run {run}; replay it by `--explore 1 --seed {seed}`"
    ))
}

/// What a test wrote, below a heading.
#[must_use]
pub fn output(id: &TestId, output: &str) -> String {
    let mut text = format!("--- output of {id}\n");
    for line in output.trim_end().lines() {
        let _ = writeln!(text, "    {line}");
    }
    text.push_str("---");
    text
}

/// The numbers of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    words: BTreeMap<Word, u64>,
    /// Never started, because the run was stopped.
    pub not_run: u64,
}

impl Tally {
    /// Counts a test.
    pub fn count(&mut self, word: Word) {
        *self.words.entry(word).or_default() += 1;
    }

    /// Tests with this word.
    #[must_use]
    pub fn of(&self, word: Word) -> u64 {
        self.words.get(&word).copied().unwrap_or_default()
    }

    /// Tests that were started.
    #[must_use]
    pub fn run(&self) -> u64 {
        self.words.values().sum::<u64>() - self.of(Word::Ignored)
    }

    /// Tests that failed by themselves.
    #[must_use]
    pub fn failed(&self) -> u64 {
        [Word::Fail, Word::Crash, Word::Exit, Word::Timeout]
            .map(|word| self.of(word))
            .iter()
            .sum()
    }

    /// Tests whose only fault is what was found.
    #[must_use]
    pub fn with_findings(&self) -> u64 {
        [Word::Race, Word::Leak, Word::Deadlock]
            .map(|word| self.of(word))
            .iter()
            .sum()
    }
}

/// `4 tests run: 2 passed, 1 with findings, 1 failed (1 crashed); 3 ignored`.
fn counts(tally: &Tally) -> String {
    let mut text = format!(
        "{} run: {} passed",
        plural(tally.run(), "test"),
        tally.of(Word::Pass)
    );
    if tally.with_findings() > 0 {
        let _ = write!(text, ", {} with findings", tally.with_findings());
    }
    if tally.failed() > 0 {
        let _ = write!(text, ", {} failed", tally.failed());
        let ways: Vec<String> = [
            (Word::Crash, "crashed"),
            (Word::Exit, "left early"),
            (Word::Timeout, "timed out"),
        ]
        .into_iter()
        .filter(|(word, _)| tally.of(*word) > 0)
        .map(|(word, how)| format!("{} {how}", tally.of(word)))
        .collect();
        if !ways.is_empty() {
            let _ = write!(text, " ({})", ways.join(", "));
        }
    }
    if tally.of(Word::Stopped) > 0 {
        let _ = write!(text, ", {} stopped", tally.of(Word::Stopped));
    }
    for (number, what) in [
        (tally.of(Word::Ignored), "ignored"),
        (tally.not_run, "not run"),
    ] {
        if number > 0 {
            let _ = write!(text, "; {number} {what}");
        }
    }
    text
}

/// The end of a run: counts, findings by kind, what was not seen, and the
/// lines of all tests that did not pass once more.
#[must_use]
pub fn summary(
    tally: &Tally,
    elapsed: Duration,
    report: &RunReport,
    stopped: Option<StopReason>,
    failing: &[String],
    staleness: &Staleness,
) -> String {
    let fine = tally.failed() == 0 && errors(&report.findings).next().is_none();
    let style = match (fine, stopped) {
        (true, None) => good(),
        (true, Some(_)) => warning(),
        (false, _) => bad(),
    };
    let mut text = String::from("------------\n");
    let _ = writeln!(
        text,
        "{} [{:>8.3}s] {}",
        label("Summary", style),
        elapsed.as_secs_f64(),
        counts(tally)
    );
    for line in failing {
        let _ = writeln!(text, "{line}");
    }
    if let Some(reason) = stopped {
        let why = match reason {
            StopReason::Signal => "by a signal",
            StopReason::RunTimeout => "by --run-timeout",
        };
        let _ = writeln!(text, "{} {why}", label("Stopped", warning()));
    }
    let _ = writeln!(
        text,
        "{} {}",
        label("Findings", style),
        findings(&report.findings)
    );
    let left_out = left_out(&report.findings);
    if !left_out.is_empty() {
        let _ = writeln!(text, "{} {left_out}", label("Left out", warning()));
    }
    entries(&mut text, &staleness.stale, &staleness.unmatched);
    for gap in &report.gaps {
        let _ = writeln!(text, "{} {}", label("Not seen", warning()), gap.text());
    }
    text
}

/// The end of a merged run.
#[must_use]
pub fn merged(document: &Document) -> String {
    let summary = &document.summary;
    let (tests, findings) = (&summary.tests, &summary.findings);
    let style = match (tests.failed > 0 || findings.errors > 0, summary.stopped) {
        (true, _) => bad(),
        (false, true) => warning(),
        (false, false) => good(),
    };
    let some = |numbers: &[(u64, &str)]| {
        let some = numbers.iter().filter(|(number, _)| *number > 0);
        let some: Vec<String> = some
            .map(|(number, what)| format!("{number} {what}"))
            .collect();
        some.join(", ")
    };
    let stopped = document
        .tests
        .iter()
        .filter(|test| test.outcome == "stopped");
    let stopped = stopped.count() as u64;
    let mut text = String::from("------------\n");
    let _ = writeln!(
        text,
        "{} [{:>8.3}s] {} run: {}",
        label("Summary", style),
        summary.seconds,
        plural(tests.run, "test"),
        some(&[
            (tests.passed, "passed"),
            (tests.with_findings, "with findings"),
            (tests.failed, "failed"),
            (stopped, "stopped"),
            (tests.ignored, "ignored"),
            (tests.not_run, "not run"),
        ]),
    );
    for test in &document.tests {
        if !["pass", "ignored"].contains(&test.outcome.as_str()) {
            let word = label(&test.outcome.to_uppercase(), bad());
            let _ = writeln!(text, "{word} [{:>8.3}s] {}", test.seconds, test.test);
        }
    }
    if summary.stopped {
        let _ = writeln!(text, "{} before its end", label("Stopped", warning()));
    }
    let counting: Vec<String> = [
        (findings.errors, "error"),
        (findings.warnings, "warning"),
        (findings.notes, "note"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, what)| plural(number as u64, what))
    .collect();
    let counting = if counting.is_empty() {
        "none".to_owned()
    } else {
        counting.join(", ")
    };
    let _ = writeln!(text, "{} {counting}", label("Findings", style));
    let left_out = some(&[
        (findings.baseline as u64, "in the baseline"),
        (findings.suppressed as u64, "suppressed"),
    ]);
    if !left_out.is_empty() {
        let _ = writeln!(text, "{} {left_out}", label("Left out", warning()));
    }
    entries(&mut text, &summary.stale, &summary.unmatched);
    for gap in &summary.gaps {
        let _ = writeln!(text, "{} {}", label("Not seen", warning()), gap.text);
    }
    text
}

/// Entries of the baseline and suppressions that match nothing.
fn entries(text: &mut String, stale: &[StaleLine], unmatched: &[EntryLine]) {
    for entry in stale {
        let _ = writeln!(text, "{} {}", label("Stale", warning()), entry.text());
    }
    if !unmatched.is_empty() {
        let _ = writeln!(
            text,
            "{} {} matched nothing here; whether stale is told of all tests together: by \
             `leakcheck test`, or `leakcheck report merge` of all its parts",
            label("Unmatched", warning()),
            plural(unmatched.len() as u64, "suppression"),
        );
    }
}

/// `2 findings of the baseline, 1 suppressed`.
fn left_out(findings: &[Finding]) -> String {
    let of = |name: &str| {
        let standings = findings.iter().map(|finding| finding.standing.name());
        standings.filter(|standing| *standing == name).count() as u64
    };
    let parts = [
        (of("baseline"), "in the baseline"),
        (of("suppressed"), "suppressed"),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, how)| format!("{} {how}", plural(number, "finding")))
        .collect();
    parts.join(", ")
}

/// `3: 2 data races, 1 leaked thread`, or `none`.
#[must_use]
pub fn findings(findings: &[Finding]) -> String {
    let counting = || findings.iter().filter(|finding| finding.standing.counts());
    if counting().next().is_none() {
        return "none".to_owned();
    }
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    for finding in counting() {
        *kinds.entry(noun(finding.kind)).or_default() += 1;
    }
    let kinds: Vec<String> = kinds.into_iter().map(|(noun, n)| plural(n, noun)).collect();
    format!("{}: {}", counting().count(), kinds.join(", "))
}

const fn noun(kind: Kind) -> &'static str {
    match kind {
        Kind::DataRace | Kind::RaceWithFree | Kind::RaceWithReturn => "data race",
        Kind::VolatileRace => "race by design",
        Kind::LeakedThread => "leaked thread",
        Kind::LeakedTask => "leaked task",
        Kind::AbortedTask => "aborted task",
        Kind::DetachedTask => "detached task",
        Kind::PanickedTask => "panicked task",
        Kind::TaskRace => "task race",
        Kind::Deadlock => "deadlock",
        Kind::LockOrder => "lock-order inversion",
    }
}

/// `1 test`, `2 tests`; the first word takes the ending for `race by design`.
#[must_use]
pub fn plural(number: u64, noun: &str) -> String {
    match (number, noun.split_once(" by ")) {
        (1, _) => format!("1 {noun}"),
        (_, None) if noun.ends_with('y') => format!("{number} {}ies", &noun[..noun.len() - 1]),
        (_, None) => format!("{number} {noun}s"),
        (_, Some((noun, rest))) => format!("{number} {noun}s by {rest}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use anstream::adapter::strip_str;
    use leakcheck::report::wire::GapKind;

    use super::{Tally, Word, explored, line, output, plural, remark, slow, summary};
    use crate::driver::process::StopReason;
    use crate::gate::Staleness;
    use crate::model::{Explored, Gap, GapReason, RunReport, TestId};

    fn id(name: &str) -> TestId {
        TestId {
            package: "bank".to_owned(),
            binary: "transfer".to_owned(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn lines_are_aligned() {
        let lines = [
            line(Word::Pass, Some(Duration::from_millis(12)), &id("one")),
            line(Word::Deadlock, Some(Duration::from_secs(1234)), &id("two")),
            remark("all its threads wait for each other; ended"),
            remark(
                &explored(Explored {
                    run: 3,
                    seed: Some(12),
                })
                .unwrap(),
            ),
            line(Word::Ignored, None, &id("three")),
            slow(Duration::from_secs(30), &id("four")),
            output(&id("two"), "left\n  right\n\n"),
        ];
        insta::assert_snapshot!(strip_str(&lines.join("\n")).to_string());
    }

    #[test]
    fn the_summary_says_why() {
        let mut tally = Tally::default();
        for word in [
            Word::Pass,
            Word::Pass,
            Word::Race,
            Word::Fail,
            Word::Crash,
            Word::Ignored,
        ] {
            tally.count(word);
        }
        tally.not_run = 2;
        let report = RunReport {
            findings: Vec::new(),
            gaps: vec![Gap {
                reason: GapReason::Runtime(GapKind::UninstrumentedLibrary),
                detail: Some("libz.so.1".to_owned()),
                count: 1,
            }],
        };
        let failing = [line(Word::Fail, Some(Duration::from_millis(5)), &id("two"))];
        let text = summary(
            &tally,
            Duration::from_millis(1234),
            &report,
            Some(StopReason::RunTimeout),
            &failing,
            &Staleness::default(),
        );
        insta::assert_snapshot!(strip_str(&text).to_string());
    }

    #[test]
    fn a_clean_run_is_short() {
        let mut tally = Tally::default();
        tally.count(Word::Pass);
        let text = summary(
            &tally,
            Duration::from_millis(7),
            &RunReport::default(),
            None,
            &[],
            &Staleness::default(),
        );
        insta::assert_snapshot!(strip_str(&text).to_string());
    }

    #[test]
    fn plurals() {
        assert_eq!(plural(1, "test"), "1 test");
        assert_eq!(plural(2, "binary"), "2 binaries");
        assert_eq!(plural(3, "race by design"), "3 races by design");
    }
}
