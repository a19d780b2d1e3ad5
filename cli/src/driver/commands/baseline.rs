//! `leakcheck baseline`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::args::{BaselineAction, BaselineArgs, BaselineRunArgs};
use crate::baseline::{Baseline, edit};
use crate::config::BASELINE_FILE;
use crate::config::read::ConfigError;
use crate::document::merge::merge;
use crate::document::{Document, FindingLine, StateLine};
use crate::driver::env::Environment;
use crate::driver::status;
use crate::driver::teller::say;
use crate::error::Error;
use crate::gate::load::{flag, shown};
use crate::outcome::Outcome;
use crate::plan::Project;
use crate::render::outputs::replace;

pub(super) fn baseline(args: &BaselineArgs) -> Result<Outcome, Error> {
    match &args.action {
        BaselineAction::Write(args) => write(&args.run, args.allow_ci),
        BaselineAction::Check(args) => check(args),
        BaselineAction::Prune(args) => prune(args),
    }
}

/// The baseline of a project.
struct File {
    path: PathBuf,
    shown: String,
    text: Option<String>,
}

impl File {
    /// Finds it, and refuses one that this leakcheck would not read back.
    fn find(args: &BaselineRunArgs) -> Result<Self, Error> {
        let project = Project::find(&args.test.build, &Environment::of_user()?)?;
        let root = &project.sources.workspace_root;
        let path = match &args.test.gate.baseline {
            Some(path) => std::env::current_dir()
                .map_err(Error::CurrentDir)?
                .join(path),
            None => root.join(BASELINE_FILE),
        };
        let shown = shown(&path, root);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(source) => {
                return Err(ConfigError::Read { path, source }.into());
            }
        };
        if let Some(text) = &text {
            Baseline::parse(text, &path, &shown)?;
        }
        Ok(Self { path, shown, text })
    }

    fn baseline(&self) -> Result<Baseline, Error> {
        match &self.text {
            Some(text) => Ok(Baseline::parse(text, &self.path, &self.shown)?),
            None => Ok(Baseline::default()),
        }
    }

    fn put(&self, text: &str) -> Result<(), Error> {
        if self.text.as_deref() != Some(text) {
            replace(&self.path, text.as_bytes())?;
        }
        Ok(())
    }
}

fn write(args: &BaselineRunArgs, allow_ci: bool) -> Result<Outcome, Error> {
    let user = Environment::of_user()?;
    if flag(&user, "CI").unwrap_or(false) && !allow_ci {
        return Err(Error::Option {
            reason: "a baseline is not written on a CI machine: what is new would be hidden\n\
                     help: write it on your own machine and commit it, or give `--allow-ci`"
                .to_owned(),
        });
    }
    let file = File::find(args)?;
    let before = file.baseline()?.entries.len();
    if file.text.is_none() {
        // So that the run finds it where it was asked for.
        let none = std::iter::empty();
        replace(&file.path, edit::write(None, &file.path, none)?.as_bytes())?;
    }
    let (outcome, document) = results(args)?;
    let Some(document) = document else {
        return Ok(outcome);
    };
    let listed = document
        .findings
        .iter()
        .filter(|finding| is_listed(finding));
    let text = edit::write(file.text.as_deref(), &file.path, listed)?;
    file.put(&text)?;
    let after = Baseline::parse(&text, &file.path, &file.shown)?
        .entries
        .len();
    say(&format!(
        "{} {}: {}, {} of them new",
        status::label("Baseline", status::good()),
        file.shown,
        status::plural(after as u64, "finding"),
        after - before,
    ))?;
    Ok(match outcome {
        // What is in the baseline now is no fault.
        Outcome::Findings | Outcome::Stale => Outcome::Clean,
        other => other,
    })
}

/// What makes a run fail, now or if it were not listed.
fn is_listed(finding: &FindingLine) -> bool {
    match finding.state {
        StateLine::New => finding.fails(),
        StateLine::Baseline => true,
        StateLine::Suppressed => false,
    }
}

fn check(args: &BaselineRunArgs) -> Result<Outcome, Error> {
    let file = File::find(args)?;
    let baseline = file.baseline()?;
    if !baseline.is_sorted() {
        return Err(ConfigError::Value {
            path: file.path,
            what: "finding".to_owned(),
            reason: "the entries are not sorted by fingerprint: `leakcheck baseline prune` or \
                     `write` puts them in order"
                .to_owned(),
        }
        .into());
    }
    let (outcome, document) = results(args)?;
    let Some(document) = document else {
        return Ok(outcome);
    };
    say(&format!(
        "{} {}: {} new, {} known, {} stale",
        status::label("Baseline", status::good()),
        file.shown,
        document.failing().count(),
        document
            .findings
            .iter()
            .filter(|finding| finding.state == StateLine::Baseline)
            .count(),
        status::plural(document.summary.stale.len() as u64, "entry"),
    ))?;
    Ok(outcome)
}

fn prune(args: &BaselineRunArgs) -> Result<Outcome, Error> {
    let file = File::find(args)?;
    let Some(text) = &file.text else {
        return Err(Error::Option {
            reason: format!(
                "there is no baseline `{}`\nhelp: `leakcheck baseline write` makes one",
                file.shown
            ),
        });
    };
    let baseline = file.baseline()?;
    let (outcome, document) = results(args)?;
    let Some(document) = document else {
        return Ok(outcome);
    };
    let gone: BTreeSet<&str> = baseline
        .entries
        .iter()
        .map(|entry| entry.fingerprint.as_str())
        .filter(|fingerprint| is_gone(fingerprint, &document, &file.shown))
        .collect();
    file.put(&edit::prune(text, &file.path, &gone)?)?;
    say(&format!(
        "{} {}: {} taken out, {} left",
        status::label("Baseline", status::good()),
        file.shown,
        status::plural(gone.len() as u64, "entry"),
        baseline.entries.len() - gone.len(),
    ))?;
    Ok(match outcome {
        Outcome::Stale => Outcome::Clean,
        other => other,
    })
}

fn is_gone(fingerprint: &str, document: &Document, shown: &str) -> bool {
    let name = format!("`{fingerprint}`");
    document.summary.stale.iter().any(|stale| {
        stale.source == shown && stale.why == "unmatched" && stale.entry.starts_with(&name)
    })
}

/// The results of a run, or of the reports of earlier ones.
fn results(args: &BaselineRunArgs) -> Result<(Outcome, Option<Document>), Error> {
    if args.from.is_empty() {
        return super::test::run(&args.test);
    }
    let read = |path: &PathBuf| Document::read(Path::new(path)).map_err(Error::from);
    let documents = args.from.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let document = merge(documents);
    let outcome = document.as_ref().map_or(Outcome::NoTests, |document| {
        Outcome::of_code(document.summary.exit_code)
    });
    Ok((outcome, document))
}
