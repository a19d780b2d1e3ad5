//! Whether a finding counts: levels, suppressions and the baseline, as the
//! command line, the environment and the configuration have them.
//!
//! - [`settings`]: what is in force for this run; [`load`]: from where;
//! - [`entries`]: which suppressions and baseline entries matched.

pub mod entries;
pub mod load;
pub mod settings;

use std::collections::BTreeSet;
use std::time::Duration;

use leakcheck::report::kind::Kind;

pub use self::entries::{Entries, Extent, Staleness};
pub use self::settings::{Override, Settings};

use crate::baseline::Baseline;
use crate::config::Day;
use crate::config::levels::{self, Levels, Setting};
use crate::document::EntryLine;
use crate::driver::status::plural;
use crate::filter::Packages;
use crate::model::{Excuse, Finding, Gap, Standing, TestId};
use crate::suppress::Rule;
use crate::suppress::code::{CodeMarks, SourceTree};

/// Decides what counts, and remembers what it was asked.
#[derive(Debug, Default)]
pub struct Gate {
    /// What is in force.
    pub settings: Settings,
    packages: Option<Packages>,
    rules: Vec<Rule>,
    baseline: Option<Baseline>,
    code: CodeMarks,
    entries: Entries,
    /// Where marks in the code are looked for.
    tree: SourceTree,
    /// The packages of the workspace that have tests.
    tested: BTreeSet<String>,
    /// What could not be read of others' suppressions.
    unreadable: Vec<Gap>,
}

impl Gate {
    /// How long a thread may take to end after this test, in milliseconds.
    #[must_use]
    pub fn grace(&self, test: &TestId) -> Option<u64> {
        self.settings.typed.grace.or_else(|| {
            self.overrides(test)
                .find_map(|entry| entry.grace)
                .or(self.settings.profile.grace)
                .map(crate::config::time::Span::milliseconds)
        })
    }

    /// How long this test may take.
    #[must_use]
    pub fn limit(&self, test: &TestId) -> Option<Duration> {
        if let Some(limit) = self.settings.typed.timeout {
            return limit.0;
        }
        let written = self.overrides(test).find_map(|entry| entry.timeout);
        match written.or(self.settings.profile.timeout) {
            Some(span) => span.limit(),
            None => Some(settings::DEFAULT_TIMEOUT),
        }
    }

    /// Whether a test runs that the command line does not exclude.
    #[must_use]
    pub fn selects(&self, test: &TestId) -> bool {
        let Some(packages) = &self.packages else {
            return true;
        };
        let any = |filters: &[crate::filter::Filter]| {
            filters.iter().any(|filter| packages.matches(filter, test))
        };
        match (&self.settings.filters[..], &self.settings.default_filter) {
            ([], None) => true,
            ([], Some(filter)) => packages.matches(filter, test),
            (filters, _) => any(filters),
        }
    }

    /// Whether tests are selected by what only tests of packages have.
    #[must_use]
    pub fn filters(&self) -> bool {
        !self.settings.filters.is_empty() || self.settings.default_filter.is_some()
    }

    /// Decides how a finding counts that was seen in `test`.
    pub fn judge(&mut self, finding: &mut Finding, test: &TestId) {
        self.entries.saw(finding.fingerprint.as_str());
        if let Some((setting, excuse)) = self.setting(finding.kind, test) {
            match levels::apply(setting, finding.kind, finding.level) {
                Some(level) => finding.level = level,
                None => {
                    finding.standing = Standing::Suppressed(excuse);
                    return;
                }
            }
        }
        if let Some(excuse) = self.suppressed(finding, test) {
            finding.standing = Standing::Suppressed(excuse);
        } else if let Some(excuse) = self.in_baseline(finding) {
            finding.standing = Standing::Baseline(excuse);
        }
    }

    /// What is in force, in one line.
    #[must_use]
    pub fn describe(&self) -> String {
        let baseline = self.baseline.as_ref().map_or_else(
            || "no baseline".to_owned(),
            |baseline| {
                let entries = baseline.entries.len() as u64;
                format!("{} in {}", plural(entries, "finding"), baseline.shown)
            },
        );
        format!(
            "profile `{}` of {}, {}, {baseline}",
            self.settings.profile.name,
            self.settings.shown_config,
            plural(self.rules.len() as u64, "suppression"),
        )
    }

    /// The suppressions that matched so far, for the process that collects.
    #[must_use]
    pub fn matched(&self) -> Vec<EntryLine> {
        self.entries.all_matched()
    }

    /// Remembers what another process has seen.
    pub fn recall(&mut self, matched: &[EntryLine], fingerprints: &[String]) {
        for entry in matched {
            self.entries.matched(entry.clone());
        }
        for fingerprint in fingerprints {
            self.entries.saw(fingerprint);
        }
    }

    /// Whether tests of these packages are those of the whole workspace.
    pub fn covers<'a>(&self, packages: impl Iterator<Item = &'a str>) -> bool {
        let packages: BTreeSet<&str> = packages.collect();
        let mut tested = self.tested.iter();
        tested.all(|package| packages.contains(package.as_str()))
    }

    /// What could not be read of suppressions that are not the user's own.
    #[must_use]
    pub fn unreadable(&self) -> &[Gap] {
        &self.unreadable
    }

    /// Remembers that a test has run to its end.
    pub fn ran(&mut self, test: &TestId) {
        self.entries.ran(test);
    }

    /// What is to be said of entries that match nothing.
    #[must_use]
    pub fn staleness(&self, extent: Extent) -> Staleness {
        let marks = match extent {
            Extent::Whole | Extent::Part => self.tree.marks(),
            Extent::Selection => Vec::new(),
        };
        let baseline = self.baseline.as_ref();
        self.entries
            .staleness(&self.rules, &marks, baseline, extent, Day::today())
    }

    fn overrides<'a>(&'a self, test: &'a TestId) -> impl Iterator<Item = &'a Override> {
        self.settings.overrides.iter().filter(move |entry| {
            let packages = self.packages.as_ref();
            packages.is_some_and(|packages| packages.matches(&entry.filter, test))
        })
    }

    /// What is set for a kind, and where.
    fn setting(&self, kind: Kind, test: &TestId) -> Option<(Setting, Excuse)> {
        let excuse = |source: &str| Excuse {
            source: source.to_owned(),
            reason: format!("{} is allowed", kind.info().code),
        };
        let of = |levels: &Levels| levels.of(kind);
        let shown = &self.settings.shown_config;
        if let Some(setting) = of(&self.settings.levels) {
            return Some((setting, excuse("the command line")));
        }
        if let Some(setting) = self.overrides(test).find_map(|entry| of(&entry.levels)) {
            return Some((setting, excuse(shown)));
        }
        let profile = &self.settings.profile;
        profile
            .levels
            .iter()
            .find_map(of)
            .map(|setting| (setting, excuse(shown)))
    }

    fn suppressed(&mut self, finding: &Finding, test: &TestId) -> Option<Excuse> {
        let today = Day::today();
        let mut first = self
            .code
            .excuse(finding, &self.tree)
            .map(|(entry, excuse)| {
                self.entries.matched(entry);
                excuse
            });
        for rule in &self.rules {
            if rule.matcher.matches(finding, test, self.packages.as_ref()) {
                self.entries.matched(rule.line());
                if rule.expires.is_none_or(|day| !day.is_over(today)) {
                    first.get_or_insert_with(|| rule.excuse());
                }
            }
        }
        first
    }

    fn in_baseline(&self, finding: &Finding) -> Option<Excuse> {
        let baseline = self.baseline.as_ref()?;
        let today = Day::today();
        let wanted = finding.fingerprint.as_str();
        let mut entries = baseline.entries.iter();
        let entry = entries.find(|entry| entry.fingerprint == wanted)?;
        entry
            .expires
            .is_none_or(|day| !day.is_over(today))
            .then(|| Excuse {
                source: baseline.shown.clone(),
                reason: if entry.reason.is_empty() {
                    "it was there when the baseline was written".to_owned()
                } else {
                    entry.reason.clone()
                },
            })
    }
}
