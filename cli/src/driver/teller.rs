//! The two outputs of a run: text for people on standard error, and for
//! machines one JSON object a line on standard output.

use std::io::Write as _;
use std::time::{Duration, Instant};

use super::verdict::Word;
use crate::args::{Backtrace, DetectionOptions, MessageFormat};
use crate::error::Error;
use crate::model::{Crash, Explored, Finding, RunReport, TestId, TestReport};
use crate::outcome::Outcome;
use crate::render::human::{self, HumanOptions};
use crate::render::json::{self, Line, TestCounts};

/// What the reporter is told about how to tell.
#[derive(Debug, Clone, Copy)]
pub struct Telling {
    /// For people or for machines too.
    pub format: MessageFormat,
    /// Which frames.
    pub backtrace: Backtrace,
    /// Leave out lines of tests that passed.
    pub quiet: bool,
}

impl Telling {
    /// From the command line.
    #[must_use]
    pub const fn new(detection: &DetectionOptions, quiet: bool) -> Self {
        Self {
            format: detection.message_format,
            backtrace: detection.backtrace,
            quiet,
        }
    }
}

/// Tells the outputs.
#[derive(Debug)]
pub struct Teller {
    format: MessageFormat,
    /// Leave out lines of tests that passed.
    pub quiet: bool,
    human: HumanOptions,
    start: Instant,
}

impl Teller {
    /// A teller for a run that begins now.
    #[must_use]
    pub fn new(telling: Telling) -> Self {
        Self {
            format: telling.format,
            quiet: telling.quiet,
            human: human_options(telling.backtrace),
            start: Instant::now(),
        }
    }

    /// How long the run has taken so far.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// A test, for machines.
    ///
    /// # Errors
    /// If the output is closed.
    pub fn test(
        &self,
        id: &TestId,
        word: Word,
        elapsed: Duration,
        explored: Option<Explored>,
        report: Option<&TestReport>,
    ) -> Result<(), Error> {
        if self.format == MessageFormat::Human {
            return Ok(());
        }
        let word = word.text().to_ascii_lowercase();
        let findings = report.map_or(&[][..], |report| &report.findings);
        let crash = report.and_then(|report| report.crash.as_ref());
        tell(&json::test(
            id,
            &word,
            elapsed.as_secs_f64(),
            explored,
            findings,
            crash,
            &self.human,
        ))
    }

    /// What was found, for people.
    ///
    /// # Errors
    /// If the output is closed.
    pub fn findings(&self, findings: &[Finding]) -> Result<(), Error> {
        for finding in findings {
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

    /// What was found, and the summary, for machines.
    ///
    /// # Errors
    /// If the output is closed.
    pub fn end(
        &self,
        counts: TestCounts,
        report: &RunReport,
        outcome: Outcome,
    ) -> Result<(), Error> {
        if self.format == MessageFormat::Human {
            return Ok(());
        }
        for finding in &report.findings {
            tell(&json::finding(finding, &self.human))?;
        }
        let seconds = self.start.elapsed().as_secs_f64();
        tell(&json::summary(
            outcome.code(),
            seconds,
            counts,
            &report.findings,
            &report.gaps,
        ))
    }
}

/// A line for people.
///
/// # Errors
/// If standard error is closed.
pub fn say(text: &str) -> Result<(), Error> {
    writeln!(anstream::stderr(), "{text}").map_err(Error::Output)
}

/// A line for machines.
fn tell(line: &Line<'_>) -> Result<(), Error> {
    let text = line.text().map_err(Error::Encode)?;
    writeln!(std::io::stdout(), "{text}").map_err(Error::Output)
}

fn human_options(backtrace: Backtrace) -> HumanOptions {
    let stderr = std::io::stderr();
    let color = anstream::AutoStream::choice(&stderr) != anstream::ColorChoice::Never;
    let terminal = terminal_size::terminal_size_of(&stderr);
    let default = HumanOptions::default();
    HumanOptions {
        color,
        width: terminal.map_or(default.width, |(width, _)| usize::from(width.0)),
        backtrace_full: backtrace == Backtrace::Full,
    }
}
