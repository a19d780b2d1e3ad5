//! Several runs as one: the shards of a CI job, or the tests that another
//! runner started.
//!
//! What counts in one of them counts in the whole: a finding that is excused
//! in one shard only is not excused.

use std::collections::BTreeMap;

use super::finding::FindingLine;
use super::summary::{FindingCounts, GapLine, StaleLine, SummaryLine, TestCounts};
use super::{Document, SCHEMA};
use crate::model::{Gap, GapReason};
use crate::outcome::Outcome;

/// One document of all; none of nothing.
#[must_use]
pub fn merge(documents: Vec<Document>) -> Option<Document> {
    let parts = documents.len();
    if parts == 0 {
        return None;
    }
    let mut merged = Document {
        tests: Vec::new(),
        findings: Vec::new(),
        summary: SummaryLine {
            schema: SCHEMA,
            exit_code: 0,
            seconds: 0.0,
            tests: TestCounts::default(),
            findings: FindingCounts::default(),
            gaps: Vec::new(),
            stale: Vec::new(),
            partition: None,
            stopped: false,
        },
    };
    let mut codes = Vec::new();
    let mut stale: BTreeMap<StaleLine, usize> = BTreeMap::new();
    for document in documents {
        merged.tests.extend(document.tests);
        for finding in document.findings {
            add_finding(&mut merged.findings, finding);
        }
        let summary = document.summary;
        codes.push(summary.exit_code);
        merged.summary.seconds = merged.summary.seconds.max(summary.seconds);
        merged.summary.tests += summary.tests;
        merged.summary.stopped |= summary.stopped;
        for gap in summary.gaps {
            add_gap(&mut merged.summary.gaps, gap);
        }
        for entry in summary.stale {
            *stale.entry(entry).or_default() += 1;
        }
    }
    sort(&mut merged.findings);
    // An entry that matches in one shard is not stale.
    merged.summary.stale = stale
        .into_iter()
        .filter(|(entry, shards)| *shards == parts || entry.why == "expired")
        .map(|(entry, _)| entry)
        .collect();
    merged.summary.findings = FindingCounts::of(merged.findings.iter());
    merged.summary.exit_code = Outcome::worst_code(&codes);
    Some(merged)
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
