//! One finding for what was seen many times.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use leakcheck::report::kind::{Kind, Level};

use crate::model::{Finding, Fingerprint, Gap, GapReason};

/// What is one finding within a run: the fingerprint, and for leaked threads
/// where they were spawned, since all closures of a function have one name.
type Key = (Fingerprint, Option<(String, u32)>);

fn key(finding: &Finding) -> Key {
    let spawned = match finding.kind {
        // The workers of a pool are one, wherever it was first used.
        Kind::LeakedThread if finding.level == Level::Note => None,
        Kind::LeakedThread
        | Kind::LeakedTask
        | Kind::AbortedTask
        | Kind::DetachedTask
        | Kind::PanickedTask => finding
            .legs
            .first()
            .and_then(|leg| leg.thread.spawned.first())
            .and_then(|step| step.at.primary())
            .and_then(|frame| frame.place.as_ref())
            .map(|place| (place.shown.clone(), place.line)),
        Kind::DataRace
        | Kind::RaceWithFree
        | Kind::RaceWithReturn
        | Kind::VolatileRace
        | Kind::TaskRace
        | Kind::Deadlock
        | Kind::LockOrder => None,
    };
    (finding.fingerprint.clone(), spawned)
}

/// Findings, equal ones as one.
#[derive(Debug, Default)]
pub struct Findings(BTreeMap<Key, Finding>);

impl Findings {
    /// Adds a finding, or its count to an equal one.
    pub fn add(&mut self, finding: Finding) {
        match self.0.entry(key(&finding)) {
            Entry::Vacant(vacant) => {
                vacant.insert(finding);
            }
            Entry::Occupied(mut occupied) => {
                let known = occupied.get_mut();
                // A cycle that ends its process was often told before, when it
                // closed: the second record says only that.
                let of_known_test = |test| known.seen.tests.contains(test);
                let told_before =
                    finding.fatal && !known.fatal && finding.seen.tests.iter().any(of_known_test);
                let fatal = known.fatal || finding.fatal;
                let count = if told_before {
                    known.seen.count
                } else {
                    known.seen.count + finding.seen.count
                };
                let mut tests = std::mem::take(&mut known.seen.tests);
                for test in &finding.seen.tests {
                    if !tests.contains(test) {
                        tests.push(test.clone());
                    }
                }
                // It counts if it does in any test.
                let standing = known.standing.clone().min(finding.standing.clone());
                let level = known.level.min(finding.level);
                // The one with more of its stacks tells more.
                if stacks(&finding) > stacks(known) {
                    *known = finding;
                }
                known.standing = standing;
                known.level = level;
                known.fatal = fatal;
                known.seen.count = count;
                known.seen.tests = tests;
            }
        }
    }

    /// Worst first, then by code and place.
    pub fn sorted(self) -> Vec<Finding> {
        let mut findings: Vec<Finding> = self.0.into_values().collect();
        findings.sort_by_cached_key(|finding| {
            let place = finding.primary().and_then(|frame| frame.place.as_ref());
            (
                finding.level,
                finding.code(),
                place.map(|place| (place.shown.clone(), place.line)),
                finding.fingerprint.clone(),
            )
        });
        findings
    }
}

fn stacks(finding: &Finding) -> usize {
    finding
        .legs
        .iter()
        .filter(|leg| !leg.stack.is_empty())
        .count()
}

/// Gaps by reason and detail.
#[derive(Debug, Default)]
pub struct Gaps(BTreeMap<(GapReason, Option<String>), u64>);

impl Gaps {
    /// Adds a gap.
    pub fn add(&mut self, gap: Gap) {
        *self.0.entry((gap.reason, gap.detail)).or_default() += gap.count;
    }

    /// All, each once.
    pub fn sorted(self) -> Vec<Gap> {
        self.0
            .into_iter()
            .map(|((reason, detail), count)| Gap {
                reason,
                detail,
                count,
            })
            .collect()
    }
}
