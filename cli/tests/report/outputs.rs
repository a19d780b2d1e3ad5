//! The formats for other tools, from one document.

use std::path::Path;

use leakcheck::report::kind::{Certainty, Kind};
use leakcheck::report::wire::WaitOn;
use leakcheck_cli::args::OutputFormat;
use leakcheck_cli::document::merge::merge;
use leakcheck_cli::document::{
    Document, EntryLine, ExcuseLine, StaleLine, StateLine, TestCounts, TestLine, of_model,
};
use leakcheck_cli::model::TestId;
use leakcheck_cli::outcome::Outcome;
use leakcheck_cli::render::human::HumanOptions;
use leakcheck_cli::render::{github, outputs};
use quick_junit::TestCaseStatus;
use serde_json::Value;

use crate::races::static_race;
use crate::redaction::check;
use crate::world::{World, finding, lock_wait, test, waits};

/// What a hostile program can put into a name.
pub const HOSTILE: &str =
    "</script><script>alert(1)</script> ]]> <!-- \" ' & \u{1b}[31m \u{0} %0A::error::x\n| `";

/// A run with one of everything.
pub fn document() -> Document {
    let mut world = World::new();
    let race = static_race(&mut world);
    let (thread, owner) = (world.worker(2, HOSTILE), world.worker(3, "holder"));
    let acquired = vec![world.user("poll::closing", "src/poll.rs", "STATE.lock()")];
    let stack = vec![world.user("poll::run", "src/poll.rs", "STATE.lock()")];
    let wait = lock_wait(WaitOn::Mutex, 1, owner, acquired);
    let leak = finding(
        Kind::LeakedThread,
        Certainty::Observed,
        vec![waits(thread, wait, stack)],
    );
    world.found(race);
    world.found(leak);
    world.end();
    let report = world.collect();
    let options = HumanOptions::default();
    let mut findings: Vec<_> = report
        .findings
        .iter()
        .map(|found| of_model::finding(found, &options))
        .collect();
    let mut known = findings[0].clone();
    known.fingerprint = "lc1:00000000000000aa".to_owned();
    known.state = StateLine::Baseline;
    known.excuse = Some(ExcuseLine {
        source: ".config/leakcheck-baseline.toml".to_owned(),
        reason: "it was there".to_owned(),
    });
    findings.push(known);
    let mut failed = TestLine::new(test("fails"), "fail", 0.25);
    failed.output = Some(HOSTILE.to_owned());
    let mut found = of_model::test(
        &test("drains"),
        "race",
        0.5,
        &report.findings,
        None,
        &options,
    );
    found.lanes = Vec::new();
    let other = TestId {
        binary: "interest".to_owned(),
        ..test("")
    };
    let counts = TestCounts {
        run: 4,
        passed: 2,
        failed: 1,
        with_findings: 1,
        ignored: 1,
        not_run: 0,
    };
    let mut summary = of_model::summary(
        Outcome::TestsFailed.code(),
        1.5,
        counts,
        &report.findings,
        &report.gaps,
    );
    summary.findings.baseline = 1;
    summary.stale = vec![StaleLine {
        source: ".config/leakcheck.toml".to_owned(),
        entry: "[[ignore]] code = \"LC0002\"".to_owned(),
        why: "unmatched".to_owned(),
    }];
    Document {
        tests: vec![
            found,
            failed,
            TestLine::new(test("passes"), "pass", 0.1),
            TestLine::new(test("skipped"), "ignored", 0.0),
            TestLine::new(other, "pass", 0.2),
        ],
        findings,
        summary,
    }
}

#[test]
fn sarif_is_by_the_published_schema() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemas/sarif-schema-2.1.0.json");
    let schema = std::fs::read_to_string(path).expect("the schema is in the repository");
    let schema: Value = serde_json::from_str(&schema).expect("the schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("the schema is one");
    let text = outputs::text(OutputFormat::Sarif, &document()).expect("it is rendered");
    let sarif: Value = serde_json::from_str(&text).expect("it is JSON");
    let errors: Vec<String> = validator
        .iter_errors(&sarif)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    // The validator does look: a wrong level is found.
    let mut wrong = sarif.clone();
    wrong["runs"][0]["results"][0]["level"] = "fatal".into();
    assert!(!validator.is_valid(&wrong));

    let results = sarif["runs"][0]["results"].as_array().expect("results");
    assert_eq!(results.len(), 3);
    for result in results {
        let print = result["partialFingerprints"]["leakcheck/v1"].as_str();
        assert!(print.is_some_and(|print| print.starts_with("lc1:")));
        let flows = result["codeFlows"][0]["threadFlows"].as_array();
        let legs = result["relatedLocations"].as_array();
        assert_eq!(
            flows.map(Vec::len),
            legs.map(Vec::len),
            "a flow for each stack"
        );
    }
    let states: Vec<&str> = results
        .iter()
        .filter_map(|result| result["baselineState"].as_str())
        .collect();
    assert_eq!(states, ["new", "new", "unchanged"]);
    assert_eq!(results[2]["suppressions"][0]["status"], "accepted");
    assert_eq!(results[0]["suppressions"], Value::Array(Vec::new()));
}

#[test]
fn sarif_keeps_to_the_limits_of_github() {
    let mut document = document();
    let frame = document.findings[0].legs[0].stack[0].clone();
    document.findings[0].legs[0].stack = vec![frame; 12_000];
    let one = document.findings[1].clone();
    document.findings.extend(vec![one; 25_000]);
    let text = outputs::text(OutputFormat::Sarif, &document).expect("it is rendered");
    let sarif: Value = serde_json::from_str(&text).expect("it is JSON");
    let run = &sarif["runs"][0];
    assert_eq!(run["results"].as_array().map(Vec::len), Some(25_000));
    let flows = run["results"][0]["codeFlows"][0]["threadFlows"].as_array();
    let steps: usize = flows
        .into_iter()
        .flatten()
        .filter_map(|flow| flow["locations"].as_array())
        .map(Vec::len)
        .sum();
    assert_eq!(steps, 10_000);
    let told = run["invocations"][0]["toolExecutionNotifications"].to_string();
    assert!(told.contains("3 findings are left out"), "{told}");
}

#[test]
fn junit_is_that_of_nextest() {
    let text = outputs::text(OutputFormat::Junit, &document()).expect("it is rendered");
    check("junit", &text);

    // nextest's own crate reads it, and whatever names are made of comes back.
    let report = quick_junit::Report::deserialize_from_str(&text).expect("it is JUnit");
    let cases = || {
        report
            .test_suites
            .iter()
            .flat_map(|suite| &suite.test_cases)
    };
    assert_eq!((report.tests, cases().count()), (5, 5));
    let failed: Vec<&quick_junit::TestCase> = cases()
        .filter(|case| matches!(case.status, TestCaseStatus::NonSuccess { .. }))
        .collect();
    assert_eq!(report.failures + report.errors, failed.len());
    assert!(failed.len() >= 2);
    for case in failed {
        let TestCaseStatus::NonSuccess { message, ty, .. } = &case.status else {
            unreachable!("they were chosen");
        };
        assert!(message.is_some() && ty.is_some(), "{}", case.name.as_str());
    }
}

/// Whoever reads it, a finding fails its test.
#[test]
fn a_stopped_test_with_a_finding_is_a_failure() {
    let mut document = document();
    let test = document.findings[0].test.clone().expect("it was in a test");
    for line in &mut document.tests {
        if line.test == test {
            line.outcome = "stopped".to_owned();
        }
    }
    let text = outputs::text(OutputFormat::Junit, &document).expect("it is rendered");
    let report = quick_junit::Report::deserialize_from_str(&text).expect("it is JUnit");
    let mut cases = report
        .test_suites
        .iter()
        .flat_map(|suite| &suite.test_cases);
    let case = cases.find(|case| case.name.as_str() == test.name);
    let status = &case.expect("it is there").status;
    assert!(matches!(status, TestCaseStatus::NonSuccess { .. }));
}

#[test]
fn github_gets_a_summary_and_the_lines() {
    let lines = github::annotations(&document(), "");
    assert!(lines.iter().all(|line| !line.contains('\n')));
    check("github", &lines.join("\n"));
    check("github_summary", &github::step_summary(&document()));
}

#[test]
fn github_gets_ten_annotations_at_most() {
    let mut document = document();
    let one = document.findings[1].clone();
    document.findings.extend(vec![one; 30]);
    let lines = github::annotations(&document, "");
    assert_eq!(lines.len(), 10);
    assert!(lines[0].contains("23 more are in the log"), "{}", lines[0]);
}

#[test]
fn a_document_is_read_back() {
    let document = document();
    let text = outputs::text(OutputFormat::Json, &document).expect("it is rendered");
    let read = Document::parse(&text, Path::new("report.json")).expect("it is read");
    let again = outputs::text(OutputFormat::Json, &read).expect("it is rendered");
    assert_eq!(again, text);

    let error = |text: &str| {
        Document::parse(text, Path::new("report.json"))
            .expect_err("it is refused")
            .to_string()
    };
    let cut = &text[..text.trim_end().rfind('\n').expect("several lines")];
    assert!(error(cut).contains("has no summary"));
    assert!(error(&cut[..cut.len() - 10]).contains("line "));
    let later = text.replace("\"schema\":1", "\"schema\":2");
    assert!(error(&later).contains("schema 2"));
    assert!(error("hello").contains("line 1 of the report `report.json`"));
}

#[test]
fn merged_shards_are_one_run() {
    let first = document();
    let mut second = document();
    // The same bug in another test, excused in one of them only.
    second.findings[0].state = StateLine::Suppressed;
    second.findings[0].tests = vec![test("another")];
    second.summary.exit_code = Outcome::Clean.code();
    second.summary.stale.clear();
    let stale = &first.summary.stale[0];
    second.summary.matched = vec![EntryLine {
        source: stale.source.clone(),
        entry: stale.entry.clone(),
    }];
    let merged = merge(vec![second, first]).expect("there are some");
    assert_eq!(merged.findings.len(), 3);
    assert_eq!(merged.findings[0].state, StateLine::New);
    assert_eq!(merged.findings[0].tests, [test("another"), test("drains")]);
    assert_eq!(merged.findings[0].count, 2);
    assert_eq!(merged.summary.tests.run, 8);
    assert_eq!(merged.summary.exit_code, Outcome::TestsFailed.code());
    assert!(merged.summary.stale.is_empty(), "it matched in one shard");
    assert!(merge(Vec::new()).is_none());
}

/// One of so many parts, in which a suppression matched nothing.
fn part(number: u64, of: u64) -> Document {
    let mut document = document();
    let summary = &mut document.summary;
    summary.exit_code = Outcome::Clean.code();
    summary.stale.clear();
    summary.partition = Some(format!("hash:{number}/{of}"));
    summary.complete = true;
    summary.deny_stale = true;
    summary.unmatched = vec![EntryLine {
        source: "tsan.supp".to_owned(),
        entry: "`race:x`".to_owned(),
    }];
    document
}

#[test]
fn all_parts_together_tell_what_is_stale() {
    let told = |parts: Vec<Document>| {
        let summary = merge(parts).expect("there are some").summary;
        let numbers = (summary.stale.len(), summary.unmatched.len());
        (numbers, summary.exit_code)
    };
    let (clean, stale) = (Outcome::Clean.code(), Outcome::Stale.code());
    assert_eq!(told(vec![part(2, 2), part(1, 2)]), ((1, 0), stale));
    // One is missing, or there twice, or of another whole.
    assert_eq!(told(vec![part(1, 2)]), ((0, 1), clean));
    assert_eq!(told(vec![part(1, 2), part(1, 2)]), ((0, 1), clean));
    assert_eq!(told(vec![part(1, 2), part(2, 3)]), ((0, 1), clean));
    let mut stopped = part(2, 2);
    stopped.summary.complete = false;
    assert_eq!(told(vec![part(1, 2), stopped]), ((0, 1), clean));

    let mut matched = part(2, 2);
    matched.summary.matched = std::mem::take(&mut matched.summary.unmatched);
    assert_eq!(told(vec![part(1, 2), matched.clone()]), ((0, 0), clean));
    // What one part alone thought to be stale.
    let mut first = part(1, 2);
    let entry = first.summary.unmatched.remove(0);
    first.summary.stale = vec![entry.stale("unmatched")];
    first.summary.exit_code = stale;
    assert_eq!(told(vec![first.clone(), matched]), ((0, 0), clean));
    assert_eq!(told(vec![first, part(2, 2)]), ((1, 0), stale));
}
