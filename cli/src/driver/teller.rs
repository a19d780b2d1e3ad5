//! The two outputs of a run: text for people on standard error, and for
//! machines one JSON object a line on standard output.

use std::io::Write as _;
use std::time::{Duration, Instant};

use super::env::Environment;
use super::progress;
use super::status;
use super::verdict::Word;
use crate::args::{Backtrace, DetectionOptions, MessageFormat, Verbosity};
use crate::document::{Document, FindingLine, Line, TestCounts, TestLine, merge, of_model};
use crate::error::Error;
use crate::gate::load::flag;
use crate::model::{Crash, Finding, RunReport, TestId, TestReport};
use crate::outcome::Outcome;
use crate::render::human::{self, HumanOptions};

/// What the reporter is told about how to tell.
#[derive(Debug, Clone, Copy)]
pub struct Telling {
    /// For people or for machines too.
    pub format: MessageFormat,
    /// Which frames.
    pub backtrace: Backtrace,
    /// Leave out lines of tests that passed.
    pub quiet: bool,
    /// Show what does not count as well.
    pub verbose: bool,
}

impl Telling {
    /// From the command line.
    #[must_use]
    pub const fn new(detection: &DetectionOptions, quiet: bool) -> Self {
        Self {
            format: detection.message_format,
            backtrace: detection.backtrace,
            quiet,
            verbose: false,
        }
    }

    /// As `-q` and `-v` have it, else as cargo's variables.
    #[must_use]
    pub fn with(detection: &DetectionOptions, typed: Verbosity, user: &Environment) -> Self {
        let of_cargo = |name: &str| flag(user, name).unwrap_or(false);
        let silent = !typed.quiet && typed.verbose == 0;
        let quiet = typed.quiet || (silent && of_cargo("CARGO_TERM_QUIET"));
        Self {
            verbose: typed.verbose > 0 || (silent && of_cargo("CARGO_TERM_VERBOSE")),
            ..Self::new(detection, quiet)
        }
    }
}

/// Tells the outputs.
#[derive(Debug)]
pub struct Teller {
    format: MessageFormat,
    /// Leave out lines of tests that passed.
    pub quiet: bool,
    verbose: bool,
    /// How people are told.
    pub human: HumanOptions,
    start: Instant,
}

impl Teller {
    /// A teller for a run that begins now.
    #[must_use]
    pub fn new(telling: Telling) -> Self {
        Self {
            format: telling.format,
            quiet: telling.quiet,
            verbose: telling.verbose,
            human: human_options(telling.backtrace),
            start: Instant::now(),
        }
    }

    /// How long the run has taken so far.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// The line of a test.
    #[must_use]
    pub fn test_line(
        &self,
        id: &TestId,
        word: Word,
        elapsed: Duration,
        report: Option<&TestReport>,
    ) -> TestLine {
        let word = word.text().to_ascii_lowercase();
        let findings = report.map_or(&[][..], |report| &report.findings);
        let crash = report.and_then(|report| report.crash.as_ref());
        let seconds = elapsed.as_secs_f64();
        of_model::test(id, &word, seconds, findings, crash, &self.human)
    }

    /// A test, for machines.
    ///
    /// # Errors
    /// If the output is closed.
    pub fn test(&self, line: &TestLine) -> Result<(), Error> {
        match self.format {
            MessageFormat::Human => Ok(()),
            MessageFormat::Json => tell(&Line::Test(Box::new(line.clone()))),
        }
    }

    /// What was found, for people.
    ///
    /// # Errors
    /// If the output is closed.
    pub fn findings(&self, findings: &[Finding]) -> Result<(), Error> {
        for finding in findings {
            match finding.standing.excuse() {
                None => {}
                Some(_) if !self.verbose => continue,
                Some(excuse) => {
                    let label = status::label("Left out", status::warning());
                    let (reason, source) = (&excuse.reason, &excuse.source);
                    say(&format!("\n{label} {reason} ({source}):"))?;
                }
            }
            say(&format!("\n{}", human::render(finding, &self.human)))?;
        }
        Ok(())
    }

    /// How a test crashed, for people.
    ///
    /// # Errors
    /// If the output is closed.
    pub fn crash(&self, crash: &Crash) -> Result<(), Error> {
        say(&human::render_crash(crash, &self.human))
    }

    /// The run as data, without its tests.
    #[must_use]
    pub fn document(&self, counts: TestCounts, report: &RunReport, outcome: Outcome) -> Document {
        let of = |finding| of_model::finding(finding, &self.human);
        let seconds = self.start.elapsed().as_secs_f64();
        let mut findings: Vec<FindingLine> = report.findings.iter().map(of).collect();
        merge::sort(&mut findings);
        Document {
            tests: Vec::new(),
            findings,
            summary: of_model::summary(
                outcome.code(),
                seconds,
                counts,
                &report.findings,
                &report.gaps,
            ),
        }
    }

    /// What was found, and the summary, for machines.
    ///
    /// # Errors
    /// If the output is closed.
    pub fn end(&self, document: &Document) -> Result<(), Error> {
        if self.format == MessageFormat::Human {
            return Ok(());
        }
        for finding in &document.findings {
            tell(&Line::Finding(Box::new(finding.clone())))?;
        }
        tell(&Line::Summary(Box::new(document.summary.clone())))
    }
}

/// A line for people.
///
/// # Errors
/// If standard error is closed.
pub fn say(text: &str) -> Result<(), Error> {
    progress::above(|| writeln!(anstream::stderr(), "{text}")).map_err(Error::Output)
}

/// A line for machines.
///
/// # Errors
/// If standard output is closed.
pub fn tell(line: &Line) -> Result<(), Error> {
    let text = line.text().map_err(Error::Encode)?;
    writeln!(std::io::stdout(), "{text}").map_err(Error::Output)
}

/// How people are told, on standard error.
#[must_use]
pub fn human_options(backtrace: Backtrace) -> HumanOptions {
    let stderr = std::io::stderr();
    let color = anstream::AutoStream::choice(&stderr) != anstream::ColorChoice::Never;
    let terminal = terminal_size::terminal_size_of(&stderr);
    let default = HumanOptions::default();
    HumanOptions {
        color,
        // Below that a report cannot be read, and is left to the terminal.
        width: terminal.map_or(default.width, |(width, _)| usize::from(width.0).max(40)),
        backtrace_full: backtrace == Backtrace::Full,
    }
}
