//! Follows a run from test to test and tells it.

use std::path::Path;
use std::time::Duration;

use super::doctest::{DoctestResult, Doctests};
use super::execute::Conditions;
use super::explore::{Exploration, Next, Progress, Step};
use super::process::StopReason;
use super::progress;
use super::runner::Finished;
use super::snapshots;
use super::status::{self, Tally};
use super::suite::Suite;
use super::teller::{Teller, Telling, say};
use super::verdict::{Verdict, Word, errors};
use crate::args::Partition;
use crate::collect::Collector;
use crate::collect::doctests;
use crate::document::{Document, TestCounts, TestLine, of_model};
use crate::error::Error;
use crate::gate::{Extent, Gate};
use crate::model::{Gap, GapReason, RunReport, TestId, TestReport};
use crate::outcome::Outcome;
use crate::plan::SourceDirectories;
use crate::render::{github, outputs};

/// The reporter of one run.
pub struct Reporter {
    teller: Teller,
    collector: Collector,
    tally: Tally,
    failing: Vec<String>,
    gaps: Vec<Gap>,
    progress: Progress,
    gate: Gate,
    lines: Vec<TestLine>,
    /// How much of what there is to test is tested.
    pub extent: Extent,
    /// The part of the tests that is run.
    pub partition: Option<Partition>,
    /// Where GitHub wants to be told, if it does.
    pub annotations: Option<github::Place>,
}

impl Reporter {
    /// A reporter for the project with these sources.
    #[must_use]
    pub fn new(telling: Telling, sources: SourceDirectories, gate: Gate) -> Self {
        Self {
            teller: Teller::new(telling),
            collector: Collector::new(sources.into()),
            tally: Tally::default(),
            failing: Vec::new(),
            gaps: Vec::new(),
            progress: Progress::default(),
            gate,
            lines: Vec::new(),
            extent: Extent::default(),
            partition: None,
            annotations: None,
        }
    }

    /// What will be run.
    ///
    /// # Errors
    /// If the output is closed.
    pub fn starting(
        &mut self,
        suite: &Suite,
        exploration: Option<Exploration>,
    ) -> Result<(), Error> {
        if suite.cases.is_empty() && !suite.doctests.is_empty() {
            return Ok(());
        }
        let mut text = format!(
            "{} {} across {}",
            status::label("Starting", status::good()),
            status::plural(suite.cases.len() as u64, "test"),
            status::plural(suite.binaries().len() as u64, "binary"),
        );
        if !suite.ignored.is_empty() {
            text.push_str(&format!(" ({} ignored)", suite.ignored.len()));
        }
        say(&text)?;
        if let Some(Exploration { runs, seed }) = exploration {
            let label = status::label("Exploring", status::good());
            let runs = status::plural(runs.into(), "run");
            say(&format!("{label} up to {runs} of each, seeds from {seed}"))?;
        }
        for id in &suite.ignored {
            self.tally.count(Word::Ignored);
            self.line(id, Word::Ignored, Duration::ZERO, None, |_| ())?;
        }
        Ok(())
    }

    /// Something that was not seen, as the driver knows.
    pub fn gap(&mut self, gap: Gap) {
        add(&mut self.gaps, gap);
    }

    /// A test that has ended. Its directory may be removed then.
    ///
    /// # Errors
    /// If what it found cannot be read, or the output is closed.
    pub fn finished(
        &mut self,
        suite: &Suite,
        finished: &Finished<'_>,
        conditions: &Conditions<'_>,
    ) -> Result<Next, Error> {
        let id = suite.id(finished.case);
        let executed = &finished.executed;
        let report = self.collect(&id, &executed.wire_dir)?;
        let options = self.teller.human;
        snapshots::show_all(&mut self.collector, &id, &executed.wire_dir, &options)?;
        let last_word = finished
            .case
            .test
            .as_ref()
            .map(|_| executed.reached_its_end);
        let verdict = Verdict::new(
            &executed.ended,
            finished.case.limit,
            last_word,
            report.stuck,
        );
        if report.processes == 0 && suite.binary(finished.case.binary).traits.instrumented {
            self.gap(Gap {
                reason: GapReason::MissingEnd,
                detail: None,
                count: 1,
            });
        }
        let word = Word::of(verdict, Some(&report));
        let mut elapsed = executed.ended.elapsed;
        let mut explored = None;
        if let Some(exploration) = conditions.exploration {
            let (number, run) = (finished.number, finished.run);
            let silent = word == Word::Pass;
            match self
                .progress
                .step(exploration, number, run, silent, elapsed)
            {
                Step::Silent => return Ok(Next::Again),
                Step::Late => return Ok(Next::Settled),
                Step::Tell {
                    elapsed: all,
                    explored: told,
                } => (elapsed, explored) = (all, Some(told)),
            }
        }
        self.tally.count(word);
        progress::step(&id.to_string(), word != Word::Pass);
        if word != Word::Stopped && !report.missing_end {
            self.gate.ran(&id);
        }
        self.line(&id, word, elapsed, Some(&report), |line| {
            line.runs = explored.map(|explored| explored.run);
            line.seed = explored.and_then(|explored| explored.seed);
            line.reason = verdict.reason();
            if verdict != Verdict::Passed && !executed.output.trim().is_empty() {
                line.output = Some(executed.output.clone());
            }
        })?;

        let mut remarks: Vec<String> = verdict.reason().into_iter().collect();
        remarks.extend(explored.and_then(status::explored));
        match errors(&report.findings).count() {
            0 => {}
            number => remarks.push(status::plural(number as u64, "finding")),
        }
        let line = status::line(word, Some(elapsed), &id);
        self.tell_line(word, &line, &remarks)?;
        if let Some(crash) = &report.crash {
            self.teller.crash(crash)?;
        }
        if verdict != Verdict::Passed && !executed.output.trim().is_empty() {
            say(&status::output(&id, &executed.output))?;
        }
        Ok(Next::Settled)
    }

    /// The doctests of a package.
    ///
    /// # Errors
    /// If what they found cannot be read, or the output is closed.
    pub fn doctests(
        &mut self,
        package: &str,
        doctests: &Doctests,
        show_output: bool,
    ) -> Result<(), Error> {
        let id = |name: &str| TestId {
            package: package.to_owned(),
            binary: doctests::BINARY.to_owned(),
            name: name.to_owned(),
        };
        let mut reports: Vec<(&str, TestReport)> = Vec::new();
        for process in &doctests.processes {
            let name = doctests.name_of(process);
            let report = self.collect(&id(name), &process.wire_dir)?;
            reports.push((name, report));
        }
        for (name, result) in &doctests.results {
            let found = reports.iter().position(|(of, _)| of == name);
            let report = found.map(|found| reports.swap_remove(found).1);
            let word = match result {
                DoctestResult::Passed => Word::of(Verdict::Passed, report.as_ref()),
                DoctestResult::Failed => Word::Fail,
                DoctestResult::Ignored => Word::Ignored,
            };
            self.tell_doctest(&id(name), word, report.as_ref())?;
        }
        for (name, report) in &reports {
            let word = Word::of(Verdict::Passed, Some(report));
            if word != Word::Pass {
                self.tell_doctest(&id(name), word, Some(report))?;
            }
        }
        let failed = !doctests.ended.status.success();
        let told = |(_, result): &(String, DoctestResult)| *result == DoctestResult::Failed;
        if failed && !doctests.results.iter().any(told) {
            // rustdoc itself failed, or was stopped.
            self.tell_doctest(&id(""), Word::Fail, None)?;
        }
        if failed || show_output {
            say(&status::output(&id(""), &doctests.output))?;
        }
        Ok(())
    }

    /// The end: all findings, merged, and the summary.
    ///
    /// # Errors
    /// If the output is closed.
    pub fn finish(
        mut self,
        planned: usize,
        stopped: Option<StopReason>,
    ) -> Result<(Outcome, Document), Error> {
        let started = self.tally.run() as usize;
        self.tally.not_run = planned.saturating_sub(started) as u64;
        let mut report = self.collector.finish();
        for gap in self.gaps.drain(..) {
            add(&mut report.gaps, gap);
        }
        let stopped_early = stopped.is_some() || self.tally.not_run > 0;
        let extent = if stopped_early {
            Extent::Selection
        } else {
            self.extent
        };
        let staleness = self.gate.staleness(extent);
        self.teller.findings(&report.findings)?;
        let text = status::summary(
            &self.tally,
            self.teller.elapsed(),
            &report,
            stopped,
            &self.failing,
            &staleness,
        );
        say(text.trim_end())?;
        let deny_stale = self.gate.settings.deny_stale;
        let denied = deny_stale && !staleness.stale.is_empty();
        let outcome = outcome(&self.tally, &report, stopped, denied);
        let counts = TestCounts {
            run: self.tally.run(),
            passed: self.tally.of(Word::Pass),
            failed: self.tally.failed(),
            with_findings: self.tally.with_findings(),
            ignored: self.tally.of(Word::Ignored),
            not_run: self.tally.not_run,
        };
        let mut document = self.teller.document(counts, &report, outcome);
        document.summary.stale = staleness.stale;
        document.summary.unmatched = staleness.unmatched;
        document.summary.matched = staleness.matched;
        document.summary.deny_stale = deny_stale;
        document.summary.complete = extent != Extent::Selection;
        document.summary.partition = self.partition.map(|part| part.to_string());
        document.summary.stopped = stopped_early;
        self.teller.end(&document)?;
        document.tests = std::mem::take(&mut self.lines);
        outputs::write(&self.gate.settings.outputs, &document)?;
        if let Some(place) = &self.annotations {
            github::tell(place, &document)?;
        }
        Ok((outcome, document))
    }

    /// One program that ended with `exit_code`: what was found in it. The
    /// program's own failure counts more than a finding.
    ///
    /// # Errors
    /// If what it found cannot be read, or the output is closed.
    pub fn program(
        mut self,
        id: &TestId,
        wire_dir: &Path,
        exit_code: u8,
    ) -> Result<Outcome, Error> {
        let report = self.collect(id, wire_dir)?;
        if let Some(crash) = &report.crash {
            self.teller.crash(crash)?;
        }
        let mut run = self.collector.finish();
        for gap in self.gaps.drain(..) {
            add(&mut run.gaps, gap);
        }
        self.teller.findings(&run.findings)?;
        if !run.findings.is_empty() {
            let label = status::label("Findings", status::bad());
            say(&format!("{label} {}", status::findings(&run.findings)))?;
        }
        // A program that is known to have tasks that nobody sees is no clean one.
        let is_told = |gap: &&Gap| !self.teller.quiet || gap.reason == GapReason::UnseenTasks;
        for gap in run.gaps.iter().filter(is_told) {
            let label = status::label("Not seen", status::warning());
            say(&format!("{label} {}", gap.text()))?;
        }
        let outcome = match (exit_code, errors(&run.findings).next()) {
            (0, None) => Outcome::Clean,
            (0, Some(_)) => Outcome::Findings,
            (code, _) => Outcome::Program(code),
        };
        let mut document = self.teller.document(TestCounts::default(), &run, outcome);
        self.teller.end(&document)?;
        let mut line = TestLine::new(id.clone(), "pass", self.teller.elapsed().as_secs_f64());
        line.lanes = report.lanes.iter().map(of_model::lane).collect();
        document.tests = vec![line];
        outputs::write(&self.gate.settings.outputs, &document)?;
        if let Some(place) = &self.annotations {
            github::tell(place, &document)?;
        }
        Ok(outcome)
    }

    fn collect(&mut self, id: &TestId, wire_dir: &Path) -> Result<TestReport, Error> {
        let mut report = self
            .collector
            .look(id, wire_dir)
            .map_err(|source| Error::Wire {
                path: wire_dir.to_owned(),
                reason: source.to_string(),
            })?;
        for finding in &mut report.findings {
            self.gate.judge(finding, id);
        }
        self.collector.keep(&report);
        Ok(report)
    }

    fn tell_doctest(
        &mut self,
        id: &TestId,
        word: Word,
        report: Option<&TestReport>,
    ) -> Result<(), Error> {
        self.tally.count(word);
        if word != Word::Stopped {
            self.gate.ran(id);
        }
        // rustdoc tells no times.
        self.line(id, word, Duration::ZERO, report, |_| ())?;
        self.tell_line(word, &status::line(word, None, id), &[])
    }

    /// A test, for machines.
    fn line(
        &mut self,
        id: &TestId,
        word: Word,
        elapsed: Duration,
        report: Option<&TestReport>,
        more: impl FnOnce(&mut TestLine),
    ) -> Result<(), Error> {
        let mut line = self.teller.test_line(id, word, elapsed, report);
        more(&mut line);
        if let Some(report) = report.filter(|report| !report.findings.is_empty()) {
            line.lanes = report.lanes.iter().map(of_model::lane).collect();
        }
        self.teller.test(&line)?;
        self.lines.push(line);
        Ok(())
    }

    fn tell_line(&mut self, word: Word, line: &str, remarks: &[String]) -> Result<(), Error> {
        match word {
            Word::Pass | Word::Ignored if self.teller.quiet => return Ok(()),
            Word::Pass | Word::Ignored | Word::Stopped => {}
            Word::Race
            | Word::Leak
            | Word::Deadlock
            | Word::Fail
            | Word::Crash
            | Word::Exit
            | Word::Timeout => self.failing.push(line.to_owned()),
        }
        say(line)?;
        if remarks.is_empty() {
            Ok(())
        } else {
            say(&status::remark(&remarks.join("; ")))
        }
    }
}

/// Equal gaps are one with a count.
fn add(gaps: &mut Vec<Gap>, new: Gap) {
    match gaps
        .iter_mut()
        .find(|gap| (gap.reason, &gap.detail) == (new.reason, &new.detail))
    {
        Some(gap) => gap.count += new.count,
        None => gaps.push(new),
    }
}

/// Codes of a whole run, worst first.
fn outcome(tally: &Tally, report: &RunReport, stopped: Option<StopReason>, stale: bool) -> Outcome {
    match stopped {
        Some(StopReason::RunTimeout) => Outcome::RunTimeout,
        Some(StopReason::Signal) => Outcome::Interrupted,
        None if tally.failed() > 0 => Outcome::TestsFailed,
        None if errors(&report.findings).next().is_some() => Outcome::Findings,
        None if stale => Outcome::Stale,
        None if tally.run() == 0 => Outcome::NoTests,
        None => Outcome::Clean,
    }
}
