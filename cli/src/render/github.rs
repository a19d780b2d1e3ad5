//! GitHub Actions: annotations at the lines of the findings, and the summary
//! of the step.
//!
//! GitHub keeps ten annotations of a step, so the first is the summary and
//! the last says how many are left out. A finding that does not count is not
//! annotated.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use leakcheck::report::kind::Level;

use crate::args::Annotations;
use crate::document::{Document, FindingLine};
use crate::driver::env::Environment;
use crate::error::Error;

/// Annotations that GitHub keeps of a step.
const ANNOTATIONS: usize = 10;

/// Findings told in full in the summary of the step.
const SUMMARY_FINDINGS: usize = 50;

/// GitHub refuses a summary of more than a mebibyte.
const SUMMARY_BYTES: usize = 900_000;

/// Where GitHub is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file of the step's summary.
    pub step_summary: Option<PathBuf>,
    /// Where the checkout is, and the workspace in it: annotations name
    /// files from there.
    pub prefix: String,
}

/// Where GitHub wants to be told, if it does.
#[must_use]
pub fn wanted(annotations: Annotations, user: &Environment) -> Option<Place> {
    let on_actions = user
        .get("GITHUB_ACTIONS")
        .is_some_and(|value| value == "true");
    let wanted = match annotations {
        Annotations::Auto => on_actions,
        Annotations::Github => true,
        Annotations::None => false,
    };
    let path = |name: &str| {
        user.get(name)
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
    };
    wanted.then(|| Place {
        step_summary: path("GITHUB_STEP_SUMMARY"),
        prefix: String::new(),
    })
}

/// Tells GitHub.
///
/// # Errors
/// If standard error is closed or the summary cannot be written.
pub fn tell(place: &Place, document: &Document) -> Result<(), Error> {
    let mut stderr = std::io::stderr().lock();
    for line in annotations(document, &place.prefix) {
        writeln!(stderr, "{line}").map_err(Error::Output)?;
    }
    let Some(path) = &place.step_summary else {
        return Ok(());
    };
    let text = step_summary(document);
    // The file is the step's: other commands write to it too.
    std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|source| Error::Write {
            path: path.clone(),
            source,
        })
}

/// The commands for the runner: the summary, then the findings, worst first.
#[must_use]
pub fn annotations(document: &Document, prefix: &str) -> Vec<String> {
    let shown: Vec<&FindingLine> = document
        .findings
        .iter()
        .filter(|finding| finding.level != Level::Note)
        .filter(|finding| finding.state == crate::document::StateLine::New)
        .collect();
    let summary = &document.summary;
    let bad = summary.tests.failed > 0 || document.failing().next().is_some();
    if shown.is_empty() && !bad {
        return Vec::new();
    }
    let command = if bad { "error" } else { "warning" };
    let left = shown.len().saturating_sub(ANNOTATIONS - 1);
    let more = if left > 0 {
        format!("; {left} more are in the log")
    } else {
        String::new()
    };
    let mut lines = vec![format!(
        "::{command} title=leakcheck::{}",
        data(&format!("{}{more}", headline(document)))
    )];
    lines.extend(
        shown
            .iter()
            .take(ANNOTATIONS - 1)
            .map(|finding| annotation(finding, prefix)),
    );
    lines
}

fn annotation(finding: &FindingLine, prefix: &str) -> String {
    let command = match finding.level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "notice",
    };
    let mut properties = Vec::new();
    if let Some(place) = finding.primary() {
        if let Some(file) = &place.file {
            properties.push(format!("file={}", property(&format!("{prefix}{file}"))));
        }
        if let Some(line) = place.line.filter(|line| *line > 0) {
            properties.push(format!("line={line}"));
        }
        if let Some(column) = place.column {
            properties.push(format!("col={column}"));
        }
    }
    properties.push(format!("title={}", property(&finding.code)));
    let mut text = finding.title.clone();
    for leg in &finding.legs {
        let _ = write!(text, "\n{}, at {}", leg.label, leg.primary.text());
    }
    if let Some(test) = &finding.test {
        let _ = write!(text, "\nin test `{test}`");
    }
    for help in &finding.help {
        let _ = write!(text, "\nhelp: {help}");
    }
    format!("::{command} {}::{}", properties.join(","), data(&text))
}

/// `3 findings (2 errors, 1 warning); 12 tests run, 1 failed`.
fn headline(document: &Document) -> String {
    let (findings, tests) = (&document.summary.findings, &document.summary.tests);
    let plural = |number: u64, noun: &str| crate::driver::status::plural(number, noun);
    let mut text = format!("{} found", plural(findings.errors as u64, "error"));
    if findings.warnings > 0 {
        let _ = write!(text, ", {}", plural(findings.warnings as u64, "warning"));
    }
    let _ = write!(text, " in {}", plural(tests.run, "test"));
    if tests.failed > 0 {
        let _ = write!(text, "; {} failed", plural(tests.failed, "test"));
    }
    for (number, how) in [
        (findings.baseline, "in the baseline"),
        (findings.suppressed, "suppressed"),
    ] {
        if number > 0 {
            let _ = write!(text, "; {number} {how}");
        }
    }
    text
}

/// The text of a command: a line break would end it.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// The value of a property: a comma or colon would end it too.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// The summary of the step, in Markdown.
#[must_use]
pub fn step_summary(document: &Document) -> String {
    let mut text = format!("## leakcheck: {}\n\n", escape(&headline(document)));
    let counting: Vec<&FindingLine> = document
        .findings
        .iter()
        .filter(|finding| finding.state == crate::document::StateLine::New)
        .collect();
    if !counting.is_empty() {
        text.push_str("| | code | finding | where | tests |\n|---|---|---|---|---|\n");
        for finding in &counting {
            let mark = match finding.level {
                Level::Error => "❌",
                Level::Warning => "⚠️",
                Level::Note => "ℹ️",
            };
            let place = finding
                .primary()
                .map(super::super::document::PlaceLine::text);
            let _ = writeln!(
                text,
                "| {mark} | {} | {} | {} | {} |",
                finding.code,
                escape(&finding.title),
                escape(&place.unwrap_or_default()),
                finding.tests.len(),
            );
        }
        text.push('\n');
    }
    for stale in &document.summary.stale {
        let _ = writeln!(text, "- stale: {}", escape(&stale.text()));
    }
    for gap in &document.summary.gaps {
        let _ = writeln!(text, "- not seen: {}", escape(&gap.text));
    }
    for (at, finding) in counting.iter().enumerate() {
        if at >= SUMMARY_FINDINGS || text.len() + finding.rendered.len() > SUMMARY_BYTES {
            let left = counting.len() - at;
            let _ = writeln!(text, "\n{left} more are in the log.");
            break;
        }
        let fence = fence(&finding.rendered);
        let _ = write!(
            text,
            "\n<details><summary>{}: {}</summary>\n\n{fence}text\n{}\n{fence}\n\n</details>\n",
            finding.code,
            escape(&finding.title),
            finding.rendered,
        );
    }
    text.push('\n');
    text
}

/// A fence longer than any in the text.
fn fence(text: &str) -> String {
    let mut longest = 0;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    "`".repeat(longest.max(2) + 1)
}

/// Text that is no Markdown and no HTML, in one line.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '\n' | '\r' => escaped.push(' '),
            '|' | '\\' | '*' | '_' | '[' | ']' | '#' => {
                escaped.push('\\');
                escaped.push(c);
            }
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::{data, escape, fence, property};

    #[test]
    fn commands_cannot_be_broken_out_of() {
        assert_eq!(data("a\n::error::b 100%"), "a%0A::error::b 100%25");
        assert_eq!(property("a,b:c\n"), "a%2Cb%3Ac%0A");
        assert_eq!(escape("a|<b>\n"), "a\\|&lt;b&gt; ");
        assert_eq!(fence("x ```` y"), "`````");
        assert_eq!(fence("x"), "```");
    }
}
