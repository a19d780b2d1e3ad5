//! Which suppressions and baseline entries matched: the others are told,
//! since an entry that matches nothing hides what comes next.

use std::collections::BTreeSet;

use crate::baseline::Baseline;
use crate::config::Day;
use crate::document::{EntryLine, StaleLine};
use crate::model::TestId;
use crate::suppress::Rule;

/// How much of what there is to test a run tests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Whole,
    /// A part that somebody else chose: `--partition`, or another runner. The
    /// other parts may say the rest.
    Part,
    /// What the user asked for.
    #[default]
    Selection,
}

/// What was seen in a run.
#[derive(Debug, Default)]
pub struct Entries {
    matched: BTreeSet<EntryLine>,
    seen: BTreeSet<String>,
    ran: BTreeSet<String>,
}

/// What is to be said of the entries.
#[derive(Debug, Clone, Default)]
pub struct Staleness {
    /// Those that match nothing any more, or have expired.
    pub stale: Vec<StaleLine>,
    /// Those that matched nothing in a part of the tests.
    pub unmatched: Vec<EntryLine>,
    /// Those that matched.
    pub matched: Vec<EntryLine>,
}

impl Entries {
    /// A suppression matched.
    pub fn matched(&mut self, entry: EntryLine) {
        self.matched.insert(entry);
    }

    /// A finding was seen.
    pub fn saw(&mut self, fingerprint: &str) {
        self.seen.insert(fingerprint.to_owned());
    }

    /// The suppressions that matched.
    pub fn all_matched(&self) -> Vec<EntryLine> {
        self.matched.iter().cloned().collect()
    }

    /// A test has run to its end.
    pub fn ran(&mut self, test: &TestId) {
        self.ran.insert(test.to_string());
    }

    /// What matches nothing. A baseline entry names a test: it is stale if
    /// that one ran without it. A rule and a mark in the code name none: they
    /// are stale only if all tests ran.
    pub fn staleness(
        &self,
        rules: &[Rule],
        marks: &[EntryLine],
        baseline: Option<&Baseline>,
        extent: Extent,
        today: Day,
    ) -> Staleness {
        let mut told = Staleness {
            matched: self.all_matched(),
            ..Staleness::default()
        };
        let expired = |day: Option<Day>| day.is_some_and(|day| day.is_over(today));
        let missed = |entry: EntryLine, told: &mut Staleness| match extent {
            Extent::Whole => told.stale.push(entry.stale("unmatched")),
            Extent::Part => told.unmatched.push(entry),
            Extent::Selection => {}
        };
        for rule in rules {
            if expired(rule.expires) {
                told.stale.push(rule.line().stale("expired"));
            } else if rule.told_when_unmatched && !self.matched.contains(&rule.line()) {
                missed(rule.line(), &mut told);
            }
        }
        for mark in marks.iter().filter(|mark| !self.matched.contains(mark)) {
            missed(mark.clone(), &mut told);
        }
        for (baseline, entry) in baseline
            .into_iter()
            .flat_map(|baseline| baseline.entries.iter().map(move |entry| (baseline, entry)))
        {
            let line = EntryLine {
                source: baseline.shown.clone(),
                entry: format!("`{}` ({})", entry.fingerprint, entry.summary),
            };
            if self.seen.contains(&entry.fingerprint) {
                if expired(entry.expires) {
                    told.stale.push(line.clone().stale("expired"));
                }
                told.matched.push(line);
            } else if self.ran.contains(&entry.test) {
                told.stale.push(line.stale("unmatched"));
            } else if entry.test.is_empty() {
                missed(line, &mut told);
            }
        }
        told
    }
}
