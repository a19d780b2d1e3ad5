//! The report that a person reads, in the manner of rustc: a title with the
//! code, the source with what happened where, then notes.
//!
//! - [`mod@marks`]: which places are shown, and what is said at each;
//! - [`notes`]: spawners, locks, memory, tests; [`stacks`]: call stacks;
//! - [`awaits`]: what a task awaits;
//! - [`extent`]: how far a caret goes;
//! - [`snippet`]: the source itself;
//! - [`snapshot`]: all threads and tasks of a process that goes on.
//!
//! A place whose source cannot be read (std without `rust-src`, a file that
//! has changed since) is told in a note instead.

pub mod awaits;
pub mod extent;
pub mod marks;
pub mod notes;
pub mod snapshot;
pub mod snippet;
pub mod stacks;

use annotate_snippets::{Group, Level as Severity, Message, Origin, Renderer};
use leakcheck::report::kind::Level;

use self::marks::{crash_marks, marks};
use self::snippet::{Mark, Texts, snippets};
use crate::model::{Crash, Finding};

/// How the report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HumanOptions {
    /// With ANSI colours.
    pub color: bool,
    /// Columns of the terminal; source lines are cut to it.
    pub width: usize,
    /// All frames of every stack, not only the user's.
    pub backtrace_full: bool,
}

impl Default for HumanOptions {
    fn default() -> Self {
        Self {
            color: false,
            width: 140,
            backtrace_full: false,
        }
    }
}

impl HumanOptions {
    fn renderer(&self) -> Renderer {
        let renderer = if self.color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        renderer.term_width(self.width)
    }
}

/// A finding, without a line break at its end.
pub fn render(finding: &Finding, options: &HumanOptions) -> String {
    if finding.level == Level::Note {
        return short(finding, options);
    }
    let severity = severity(finding.level);
    let title = severity
        .primary_title(finding.title.as_str())
        .id(finding.code());
    let marks = marks(finding);
    let notes = notes::notes(finding, options);
    report(title, &marks, &notes, options)
}

/// The crash of a test, without a line break at its end.
pub fn render_crash(crash: &Crash, options: &HumanOptions) -> String {
    let title = Severity::ERROR.primary_title(crash.title.as_str());
    report(
        title,
        &crash_marks(crash),
        &notes::crash_notes(crash, options),
        options,
    )
}

/// What need not be acted on, in one line.
fn short(finding: &Finding, options: &HumanOptions) -> String {
    let mut text = finding.title.clone();
    if finding.seen.count > 1 {
        text.push_str(&format!(" ({} times)", finding.seen.count));
    }
    if let Some(reason) = &finding.by_design {
        text.push_str(&format!(": {reason}"));
    }
    let title = severity(finding.level)
        .primary_title(text)
        .id(finding.code());
    options.renderer().render(&[Group::with_title(title)])
}

const fn severity(level: Level) -> Severity<'static> {
    match level {
        Level::Error => Severity::ERROR,
        Level::Warning => Severity::WARNING,
        Level::Note => Severity::NOTE,
    }
}

fn report(
    title: annotate_snippets::Title<'_>,
    marks: &[Mark],
    notes: &[notes::Note],
    options: &HumanOptions,
) -> String {
    let texts = Texts::read(marks);
    let (snippets, unseen) = snippets(marks, &texts);
    let mut group = Group::with_title(title);
    if snippets.is_empty()
        && let Some(first) = unseen.iter().find(|mark| mark.primary).or(unseen.first())
    {
        group = group.element(origin(first));
    }
    group = group.elements(snippets);
    for mark in unseen {
        let text = format!("{}, at {}", mark.label, mark.place.text());
        group = group.element(Severity::NOTE.message(text));
    }
    for note in notes {
        let message: Message<'_> = match note {
            notes::Note::Note(text) => Severity::NOTE.message(text.as_str()),
            notes::Note::Help(text) => Severity::HELP.message(text.as_str()),
        };
        group = group.element(message);
    }
    options.renderer().render(&[group])
}

fn origin(mark: &Mark) -> Origin<'_> {
    let place = &mark.place;
    let mut origin = Origin::path(place.shown.as_str());
    if place.line > 0 {
        origin = origin.line(place.line as usize);
        if place.column > 0 {
            origin = origin.char_column(place.column as usize);
        }
    }
    origin
}
