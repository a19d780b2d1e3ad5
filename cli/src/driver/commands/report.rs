//! `leakcheck report`.

use crate::args::{MessageFormat, ReportAction, ReportArgs, ReportMergeArgs};
use crate::document::Document;
use crate::document::merge::merge;
use crate::driver::env::Environment;
use crate::driver::status;
use crate::driver::teller::{say, tell};
use crate::error::Error;
use crate::outcome::Outcome;
use crate::render::{github, outputs};

pub(super) fn report(args: &ReportArgs) -> Result<Outcome, Error> {
    match &args.action {
        ReportAction::Merge(args) => merge_reports(args),
    }
}

fn merge_reports(args: &ReportMergeArgs) -> Result<Outcome, Error> {
    super::set_color(None);
    let files: Vec<_> = args
        .output
        .iter()
        .map(|output| (output.format, output.path.clone()))
        .collect();
    outputs::check(&files)?;
    let documents = args
        .reports
        .iter()
        .map(|path| Document::read(path))
        .collect::<Result<Vec<_>, _>>()?;
    let Some(document) = merge(documents) else {
        return Ok(Outcome::NoTests);
    };
    show(&document)?;
    match args.message_format {
        MessageFormat::Human => {}
        MessageFormat::Json => {
            for line in document.lines() {
                tell(&line)?;
            }
        }
    }
    outputs::write(&files, &document)?;
    if let Some(place) = github::wanted(args.annotations, &Environment::of_user()?) {
        github::tell(&place, &document)?;
    }
    Ok(Outcome::of_code(document.summary.exit_code))
}

/// What counts, and the summary, for people.
pub(super) fn show(document: &Document) -> Result<(), Error> {
    let counting =
        |finding: &&crate::document::FindingLine| finding.state == crate::document::StateLine::New;
    for finding in document.findings.iter().filter(counting) {
        say(&format!("\n{}", finding.rendered))?;
    }
    say(status::merged(document).trim_end())
}
