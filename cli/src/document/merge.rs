//! Several runs as one: the shards of a CI job, or the tests that another
//! runner started.
//!
//! What counts in one of them counts in the whole: a finding that is excused
//! in one shard only is not excused.

use std::collections::{BTreeMap, BTreeSet};

use super::Document;
use super::finding::FindingLine;
use super::summary::{EntryLine, FindingCounts, GapLine, StaleLine, SummaryLine};
use crate::args::Partition;
use crate::model::{Gap, GapReason};
use crate::outcome::Outcome;

/// One document of all; none of nothing.
#[must_use]
pub fn merge(documents: Vec<Document>) -> Option<Document> {
    if documents.is_empty() {
        return None;
    }
    let mut merged = Document {
        tests: Vec::new(),
        findings: Vec::new(),
        summary: SummaryLine::empty(),
    };
    let mut codes = Vec::new();
    let mut entries = Entries::default();
    for document in documents {
        merged.tests.extend(document.tests);
        for finding in document.findings {
            add_finding(&mut merged.findings, finding);
        }
        let summary = document.summary;
        codes.push(summary.exit_code);
        entries.add(&summary);
        merged.summary.seconds = merged.summary.seconds.max(summary.seconds);
        merged.summary.tests += summary.tests;
        merged.summary.stopped |= summary.stopped;
        merged.summary.deny_stale |= summary.deny_stale;
        for gap in summary.gaps {
            add_gap(&mut merged.summary.gaps, gap);
        }
    }
    sort(&mut merged.findings);
    entries.decide(&mut merged.summary);
    merged.summary.findings = FindingCounts::of(merged.findings.iter());
    merged.summary.exit_code = exit_code(&mut codes, &merged.summary);
    Some(merged)
}

/// The worst of all; but what is stale, the whole decides, not the parts.
fn exit_code(codes: &mut [u8], merged: &SummaryLine) -> u8 {
    let stale = Outcome::Stale.code();
    for code in codes.iter_mut().filter(|code| **code == stale) {
        *code = Outcome::Clean.code();
    }
    let code = Outcome::worst_code(codes);
    match Outcome::of_code(code) {
        Outcome::Clean if merged.deny_stale && !merged.stale.is_empty() => stale,
        _ => code,
    }
}

/// What the parts say of the entries of the baseline and the suppressions.
#[derive(Default)]
struct Entries {
    matched: BTreeSet<EntryLine>,
    stale: BTreeSet<StaleLine>,
    /// In how many parts.
    unmatched: BTreeMap<EntryLine, u64>,
    parts: Parts,
}

impl Entries {
    fn add(&mut self, summary: &SummaryLine) {
        self.matched.extend(summary.matched.iter().cloned());
        self.stale.extend(summary.stale.iter().cloned());
        for entry in &summary.unmatched {
            *self.unmatched.entry(entry.clone()).or_default() += 1;
        }
        self.parts.add(summary);
    }

    /// An entry that matches in one part is not stale. One that matches in
    /// none is, if a part has found that by itself, or if all parts of the
    /// tests are here.
    fn decide(self, merged: &mut SummaryLine) {
        let Self {
            matched,
            mut stale,
            unmatched,
            parts,
        } = self;
        merged.complete = parts.are_all();
        for (entry, seen) in unmatched {
            if matched.contains(&entry) {
                continue;
            }
            if merged.complete && seen == parts.number {
                stale.insert(entry.stale("unmatched"));
            } else {
                merged.unmatched.push(entry);
            }
        }
        merged.stale = stale
            .into_iter()
            .filter(|stale| {
                let entry = EntryLine {
                    source: stale.source.clone(),
                    entry: stale.entry.clone(),
                };
                stale.why == "expired" || !matched.contains(&entry)
            })
            .collect();
        let known = |entry: &EntryLine| {
            merged
                .stale
                .iter()
                .any(|stale| (&stale.source, &stale.entry) == (&entry.source, &entry.entry))
        };
        merged.unmatched.retain(|entry| !known(entry));
        merged.matched = matched.into_iter().collect();
    }
}

/// Which parts of the tests there are.
#[derive(Default)]
struct Parts {
    number: u64,
    incomplete: bool,
    seen: BTreeSet<Option<Partition>>,
}

impl Parts {
    fn add(&mut self, summary: &SummaryLine) {
        self.number += 1;
        self.incomplete |= !summary.complete;
        let partition = summary.partition.as_deref().map(str::parse);
        match partition.transpose() {
            Ok(partition) => self.incomplete |= !self.seen.insert(partition),
            Err(_) => self.incomplete = true,
        }
    }

    /// Whether they are all parts of one whole, or one whole.
    fn are_all(&self) -> bool {
        let first = self.seen.first().copied().flatten();
        !self.incomplete
            && match first {
                None => self.number == 1,
                Some(first) => {
                    self.number == first.of
                        && self.seen.iter().all(|part| {
                            part.is_some_and(|part| (part.by, part.of) == (first.by, first.of))
                        })
                }
            }
    }
}

/// What counts first, worst first, then by code and place.
pub fn sort(findings: &mut [FindingLine]) {
    findings.sort_by_cached_key(|finding| {
        (
            finding.state,
            finding.level,
            finding.code.clone(),
            finding.primary().cloned(),
            finding.fingerprint.clone(),
        )
    });
}

fn add_finding(findings: &mut Vec<FindingLine>, new: FindingLine) {
    let key = new.key();
    let Some(known) = findings.iter_mut().find(|known| known.key() == key) else {
        findings.push(new);
        return;
    };
    known.count += new.count;
    for test in &new.tests {
        if !known.tests.contains(test) {
            known.tests.push(test.clone());
        }
    }
    known.level = known.level.min(new.level);
    if new.state < known.state {
        known.state = new.state;
        known.excuse = new.excuse;
    }
}

fn add_gap(gaps: &mut Vec<GapLine>, new: GapLine) {
    let same = |gap: &&mut GapLine| gap.gap == new.gap && gap.detail == new.detail;
    match gaps.iter_mut().find(same) {
        Some(gap) => {
            gap.count += new.count;
            // The sentence has the number in it.
            if let Some(reason) = GapReason::from_name(&gap.gap) {
                gap.text = Gap {
                    reason,
                    detail: gap.detail.clone(),
                    count: gap.count,
                }
                .text();
            }
        }
        None => gaps.push(new),
    }
}
