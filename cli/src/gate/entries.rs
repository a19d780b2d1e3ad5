//! Which suppressions and baseline entries matched: the others are told,
//! since an entry that matches nothing hides what comes next.

use std::collections::BTreeSet;

use crate::baseline::Baseline;
use crate::config::Day;
use crate::document::StaleLine;
use crate::model::TestId;
use crate::suppress::Rule;

/// What was seen in a run.
#[derive(Debug, Default)]
pub struct Entries {
    matched: BTreeSet<usize>,
    seen: BTreeSet<String>,
    ran: BTreeSet<String>,
}

impl Entries {
    /// A rule matched.
    pub fn matched(&mut self, rule: usize) {
        self.matched.insert(rule);
    }

    /// A finding was seen.
    pub fn saw(&mut self, fingerprint: &str) {
        self.seen.insert(fingerprint.to_owned());
    }

    /// The rules that matched.
    pub fn all_matched(&self) -> Vec<usize> {
        self.matched.iter().copied().collect()
    }

    /// A test has run to its end.
    pub fn ran(&mut self, test: &TestId) {
        self.ran.insert(test.to_string());
    }

    /// What matches nothing. A baseline entry names a test: it is stale if
    /// that one ran without it. A rule names none: it is stale only if all
    /// tests ran.
    pub fn stale(
        &self,
        rules: &[Rule],
        baseline: Option<&Baseline>,
        complete: bool,
        today: Day,
    ) -> Vec<StaleLine> {
        let expired = |day: Option<Day>| day.is_some_and(|day| day.is_over(today));
        let line = |source: &str, entry: String, why: &str| StaleLine {
            source: source.to_owned(),
            entry,
            why: why.to_owned(),
        };
        let of_rules = rules.iter().enumerate().filter_map(|(at, rule)| {
            if expired(rule.expires) {
                Some(line(&rule.source, rule.entry.clone(), "expired"))
            } else if complete && rule.told_when_unmatched && !self.matched.contains(&at) {
                Some(line(&rule.source, rule.entry.clone(), "unmatched"))
            } else {
                None
            }
        });
        let of_baseline = baseline.into_iter().flat_map(|baseline| {
            baseline.entries.iter().filter_map(|entry| {
                let name = format!("`{}` ({})", entry.fingerprint, entry.summary);
                let must_have_run = if entry.test.is_empty() {
                    complete
                } else {
                    self.ran.contains(&entry.test)
                };
                if self.seen.contains(&entry.fingerprint) {
                    expired(entry.expires).then(|| line(&baseline.shown, name, "expired"))
                } else if must_have_run {
                    Some(line(&baseline.shown, name, "unmatched"))
                } else {
                    None
                }
            })
        });
        of_rules.chain(of_baseline).collect()
    }
}
