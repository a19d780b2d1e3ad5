//! JUnit XML in nextest's shape: a suite for each test binary, findings as
//! the failure of their test.

use std::collections::BTreeMap;
use std::time::Duration;

use quick_junit::{
    NonSuccessKind, Property, Report, SerializeError, TestCase, TestCaseStatus, TestSuite,
};

use crate::document::{Document, FindingLine, TestLine};

/// The document as JUnit XML.
///
/// # Errors
/// If the XML cannot be written.
pub fn render(document: &Document) -> Result<String, SerializeError> {
    let mut report = Report::new("leakcheck");
    report.set_time(seconds(document.summary.seconds));
    let mut suites: BTreeMap<String, Vec<&TestLine>> = BTreeMap::new();
    for test in &document.tests {
        let id = binary_id(test);
        suites.entry(id).or_default().push(test);
    }
    for (name, tests) in suites {
        let mut suite = TestSuite::new(name.clone());
        for test in tests {
            suite.add_test_case(case(&name, test, &document.findings));
        }
        report.add_test_suite(suite);
    }
    report.to_string()
}

/// `package::binary`, and the package alone for unit tests, as nextest has it.
fn binary_id(test: &TestLine) -> String {
    let (package, binary) = (&test.test.package, &test.test.binary);
    if package.replace('-', "_") == binary.replace('-', "_") {
        package.clone()
    } else {
        format!("{package}::{binary}")
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

fn case(suite: &str, test: &TestLine, findings: &[FindingLine]) -> TestCase {
    let found: Vec<&FindingLine> = findings
        .iter()
        .filter(|finding| finding.fails() && finding.tests.contains(&test.test))
        .collect();
    let mut status = match (test.outcome.as_str(), found.first()) {
        ("ignored", _) => TestCaseStatus::skipped(),
        ("stopped", None) => {
            let mut status = TestCaseStatus::skipped();
            status.set_message("the run was stopped");
            status
        }
        ("pass", None) => TestCaseStatus::success(),
        (outcome, first) => failure(outcome, test, first.copied(), &found),
    };
    if let ("ignored", TestCaseStatus::Skipped { .. }) = (test.outcome.as_str(), &status) {
        status.set_message("#[ignore]");
    }
    let name = if test.test.name.is_empty() {
        &test.test.binary
    } else {
        &test.test.name
    };
    let mut case = TestCase::new(name.as_str(), status);
    case.set_classname(suite);
    case.set_time(seconds(test.seconds));
    for finding in &found {
        case.add_property(Property::new(
            format!("leakcheck.{}", finding.code),
            finding.fingerprint.as_str(),
        ));
    }
    if let Some(output) = &test.output {
        case.set_system_out(output.as_str());
    }
    case
}

fn failure(
    outcome: &str,
    test: &TestLine,
    first: Option<&FindingLine>,
    found: &[&FindingLine],
) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(match outcome {
        "crash" | "exit" | "timeout" => NonSuccessKind::Error,
        _ => NonSuccessKind::Failure,
    });
    let failed = test.reason.clone().or_else(|| match outcome {
        "fail" => Some("the test failed".to_owned()),
        _ => None,
    });
    let message = match (failed, first) {
        (Some(reason), _) if matches!(outcome, "fail" | "crash" | "exit" | "timeout") => reason,
        (_, Some(finding)) if found.len() == 1 => finding.title.clone(),
        (_, Some(finding)) => format!("{} (and {} more)", finding.title, found.len() - 1),
        (Some(reason), None) => reason,
        (None, None) => outcome.to_owned(),
    };
    status.set_message(message);
    let kind = match first {
        Some(finding) if !matches!(outcome, "fail" | "crash" | "exit" | "timeout") => {
            format!("{} {}", finding.code, finding.kind)
        }
        Some(_) | None => format!("test {outcome}"),
    };
    status.set_type(kind);
    let mut text = String::new();
    if let Some(crash) = &test.crash {
        text.push_str(&crash.rendered);
        text.push_str("\n\n");
    }
    for finding in found {
        text.push_str(&finding.rendered);
        text.push_str("\n\n");
    }
    status.set_description(text.trim_end());
    status
}
