//! SARIF 2.1.0, as GitHub's code scanning reads it.
//!
//! Each stack is a thread flow, so that both sides of a race can be walked
//! through. What the baseline has is `unchanged`, and like what is suppressed
//! it has a suppression: GitHub closes such alerts. GitHub's limits (25 000
//! results a run, 1000 locations a result, 10 000 of thread flows) are kept;
//! what is cut is said in a notification.

use leakcheck::report::kind::{Kind, Level};
use serde::Serialize;

use crate::document::{Document, FindingLine, FrameLine, LegLine, PlaceLine, StateLine};

/// Results of a run at most.
const RESULTS: usize = 25_000;
/// Locations of a result's thread flows at most.
const FLOW_LOCATIONS: usize = 10_000;
/// Related locations of a result at most.
const RELATED: usize = 1000;

const SCHEMA_URI: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
const INFORMATION: &str = "https://github.com/leakcheck/leakcheck";

/// The document as SARIF.
///
/// # Errors
/// Never for these types; serde's interface has the error.
pub fn render(document: &Document) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(&log(document))?;
    text.push('\n');
    Ok(text)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Log {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    column_kind: &'static str,
    original_uri_base_ids: BaseIds,
    invocations: [Invocation; 1],
    results: Vec<SarifResult>,
    #[serde(skip_serializing_if = "Option::is_none")]
    automation_details: Option<AutomationDetails>,
}

#[derive(Serialize)]
struct AutomationDetails {
    id: String,
}

#[derive(Serialize)]
struct BaseIds {
    #[serde(rename = "SRCROOT")]
    root: Description,
}

#[derive(Serialize)]
struct Description {
    description: Message,
}

#[derive(Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver {
    name: &'static str,
    information_uri: &'static str,
    semantic_version: &'static str,
    rules: Vec<Rule>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: &'static str,
    name: String,
    short_description: Message,
    full_description: Message,
    help: Help,
    default_configuration: Configuration,
    properties: RuleProperties,
}

#[derive(Serialize)]
struct Help {
    text: String,
    markdown: String,
}

#[derive(Serialize)]
struct Configuration {
    level: &'static str,
}

#[derive(Serialize)]
struct RuleProperties {
    tags: Vec<&'static str>,
    precision: &'static str,
    #[serde(rename = "problem.severity")]
    severity: &'static str,
}

#[derive(Serialize)]
struct Message {
    text: String,
}

impl Message {
    fn new(text: impl Into<String>) -> Self {
        Self { text: text.into() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: bool,
    exit_code: u8,
    tool_execution_notifications: Vec<Notification>,
}

#[derive(Serialize)]
struct Notification {
    level: &'static str,
    message: Message,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifResult {
    rule_id: String,
    rule_index: usize,
    level: &'static str,
    message: Message,
    locations: Vec<Location>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related_locations: Vec<Location>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    code_flows: Vec<CodeFlow>,
    partial_fingerprints: PartialFingerprints,
    baseline_state: &'static str,
    suppressions: Vec<Suppression>,
    occurrence_count: u64,
    properties: ResultProperties,
}

#[derive(Serialize)]
struct PartialFingerprints {
    #[serde(rename = "leakcheck/v1")]
    own: String,
    /// The name under which GitHub looks for one.
    #[serde(rename = "primaryLocationLineHash")]
    github: String,
}

#[derive(Serialize)]
struct Suppression {
    kind: &'static str,
    status: &'static str,
    justification: String,
}

#[derive(Serialize)]
struct ResultProperties {
    certainty: leakcheck::report::kind::Certainty,
    tests: Vec<String>,
}

#[derive(Serialize, Clone)]
#[serde(rename_all = "camelCase")]
struct Location {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    physical_location: Option<Physical>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logical_locations: Vec<Logical>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Text>,
}

#[derive(Serialize, Clone)]
struct Text {
    text: String,
}

#[derive(Serialize, Clone)]
#[serde(rename_all = "camelCase")]
struct Physical {
    artifact_location: Artifact,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Region>,
}

#[derive(Serialize, Clone)]
#[serde(rename_all = "camelCase")]
struct Artifact {
    uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri_base_id: Option<&'static str>,
}

#[derive(Serialize, Clone)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_column: Option<u32>,
}

#[derive(Serialize, Clone)]
#[serde(rename_all = "camelCase")]
struct Logical {
    fully_qualified_name: String,
    kind: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CodeFlow {
    thread_flows: Vec<ThreadFlow>,
}

#[derive(Serialize)]
struct ThreadFlow {
    id: String,
    message: Message,
    locations: Vec<FlowLocation>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FlowLocation {
    location: Location,
    importance: &'static str,
}

fn log(document: &Document) -> Log {
    let mut notifications: Vec<Notification> = document
        .summary
        .gaps
        .iter()
        .map(|gap| note("note", format!("not seen: {}", gap.text)))
        .chain(
            document
                .summary
                .stale
                .iter()
                .map(|stale| note("warning", format!("stale: {}", stale.text()))),
        )
        .collect();
    let left = document.findings.len().saturating_sub(RESULTS);
    if left > 0 {
        notifications.push(note(
            "warning",
            format!("{left} findings are left out here"),
        ));
    }
    Log {
        schema: SCHEMA_URI,
        version: "2.1.0",
        runs: [Run {
            tool: Tool {
                driver: Driver {
                    name: "leakcheck",
                    information_uri: INFORMATION,
                    semantic_version: env!("CARGO_PKG_VERSION"),
                    rules: Kind::ALL.iter().map(|kind| rule(*kind)).collect(),
                },
            },
            // Debug information counts columns in bytes; for source in ASCII
            // that is the same.
            column_kind: "unicodeCodePoints",
            original_uri_base_ids: BaseIds {
                root: Description {
                    description: Message::new("The root of the workspace."),
                },
            },
            invocations: [Invocation {
                execution_successful: !document.summary.stopped,
                exit_code: document.summary.exit_code,
                tool_execution_notifications: notifications,
            }],
            results: document.findings.iter().take(RESULTS).map(result).collect(),
            automation_details: document
                .summary
                .partition
                .as_ref()
                .map(|part| AutomationDetails {
                    id: format!("leakcheck/{part}/"),
                }),
        }],
    }
}

fn note(level: &'static str, text: String) -> Notification {
    Notification {
        level,
        message: Message::new(text),
    }
}

fn rule(kind: Kind) -> Rule {
    let info = kind.info();
    let text = crate::explain::explain(info.code).unwrap_or_default();
    let title = text.lines().next().unwrap_or(info.name).to_owned();
    Rule {
        id: info.code,
        name: pascal(info.name),
        short_description: Message::new(title.clone()),
        full_description: Message::new(title),
        help: Help {
            text: text.to_owned(),
            markdown: text.to_owned(),
        },
        default_configuration: Configuration {
            level: level(info.level),
        },
        properties: RuleProperties {
            tags: vec!["concurrency", "correctness"],
            precision: "very-high",
            severity: match info.level {
                Level::Error => "error",
                Level::Warning => "warning",
                Level::Note => "recommendation",
            },
        },
    }
}

/// `DataRace` for `data-race`.
fn pascal(name: &str) -> String {
    name.split('-')
        .filter_map(|word| {
            let mut letters = word.chars();
            let first = letters.next()?.to_ascii_uppercase();
            Some(std::iter::once(first).chain(letters).collect::<String>())
        })
        .collect()
}

const fn level(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "note",
    }
}

fn result(finding: &FindingLine) -> SarifResult {
    let at = Kind::ALL
        .iter()
        .position(|kind| kind.info().code == finding.code);
    let mut text = finding.title.clone();
    for (number, leg) in finding.legs.iter().enumerate() {
        text.push_str(&format!("\n[{}]({})", clean(&leg.label), number + 1));
    }
    for help in &finding.help {
        text.push_str(&format!("\nhelp: {help}"));
    }
    SarifResult {
        rule_id: finding.code.clone(),
        rule_index: at.unwrap_or_default(),
        level: level(finding.level),
        message: Message::new(text),
        locations: locations(finding),
        related_locations: related(finding),
        code_flows: flows(finding),
        partial_fingerprints: PartialFingerprints {
            own: finding.fingerprint.clone(),
            github: finding.fingerprint.replace(':', "-"),
        },
        baseline_state: match finding.state {
            StateLine::New => "new",
            StateLine::Baseline | StateLine::Suppressed => "unchanged",
        },
        suppressions: suppressions(finding),
        occurrence_count: finding.count.max(1),
        properties: ResultProperties {
            certainty: finding.certainty,
            tests: finding.tests.iter().map(ToString::to_string).collect(),
        },
    }
}

/// A label in a link of a message: brackets would end it.
fn clean(label: &str) -> String {
    label
        .replace('\\', "\\\\")
        .replace('[', "\\[")
        .replace(']', "\\]")
}

fn suppressions(finding: &FindingLine) -> Vec<Suppression> {
    let excuse = finding.excuse.as_ref();
    excuse
        .map(|excuse| Suppression {
            kind: if excuse.source.ends_with(".toml") || finding.state == StateLine::Baseline {
                "external"
            } else {
                "inSource"
            },
            status: "accepted",
            justification: format!("{} ({})", excuse.reason, excuse.source),
        })
        .into_iter()
        .collect()
}

/// GitHub shows a result at its first location, and needs one in the project.
fn locations(finding: &FindingLine) -> Vec<Location> {
    let of_user = finding
        .legs
        .iter()
        .flat_map(|leg| &leg.stack)
        .chain(
            finding
                .legs
                .iter()
                .flat_map(|leg| leg.spawned.iter().flat_map(|step| &step.stack)),
        )
        .find(|frame| frame.class == "user" && frame.place.file.is_some())
        .map(|frame| &frame.place);
    let place = finding
        .primary()
        .filter(|place| is_of_project(place))
        .or(of_user)
        .or_else(|| finding.primary());
    place
        .map(|place| location(place, None))
        .into_iter()
        .collect()
}

fn is_of_project(place: &PlaceLine) -> bool {
    place
        .file
        .as_deref()
        .is_some_and(|file| !file.starts_with('/') && !file.starts_with("library/"))
}

fn related(finding: &FindingLine) -> Vec<Location> {
    finding
        .legs
        .iter()
        .enumerate()
        .take(RELATED)
        .map(|(at, leg)| Location {
            id: Some(at + 1),
            ..location(&leg.primary, Some(&leg.label))
        })
        .collect()
}

fn flows(finding: &FindingLine) -> Vec<CodeFlow> {
    let mut left = FLOW_LOCATIONS;
    let mut flows = Vec::new();
    for leg in &finding.legs {
        let locations: Vec<FlowLocation> = flow(leg).take(left).collect();
        left -= locations.len();
        if !locations.is_empty() {
            flows.push(ThreadFlow {
                id: format!("{} ({})", leg.thread, flows.len() + 1),
                message: Message::new(leg.label.clone()),
                locations,
            });
        }
    }
    if flows.is_empty() {
        Vec::new()
    } else {
        vec![CodeFlow {
            thread_flows: flows,
        }]
    }
}

/// A stack in the order of time: how the thread was spawned, then from the
/// outermost frame to where it is.
fn flow(leg: &LegLine) -> impl Iterator<Item = FlowLocation> {
    let spawned = leg.spawned.iter().rev().filter_map(|step| {
        let text = format!("spawned by {}", step.by);
        step.primary().map(|place| FlowLocation {
            location: location(place, Some(&text)),
            importance: "important",
        })
    });
    let frames = leg
        .stack
        .iter()
        .enumerate()
        .rev()
        .filter_map(|(at, frame)| {
            let label = if at == 0 { leg.label.as_str() } else { "" };
            frame.place.file.as_ref()?;
            Some(FlowLocation {
                location: location(&frame.place, Some(text_of(frame, label)).as_deref()),
                importance: match frame.class.as_str() {
                    "user" if at == 0 => "essential",
                    "user" => "important",
                    _ => "unimportant",
                },
            })
        });
    spawned.chain(frames)
}

fn text_of(frame: &FrameLine, label: &str) -> String {
    let function = frame.place.function.as_deref().unwrap_or("unknown");
    if label.is_empty() {
        function.to_owned()
    } else {
        format!("{function}: {label}")
    }
}

fn location(place: &PlaceLine, text: Option<&str>) -> Location {
    Location {
        id: None,
        physical_location: place.file.as_deref().map(|file| Physical {
            artifact_location: Artifact {
                uri: uri(file),
                uri_base_id: is_of_project(place).then_some("SRCROOT"),
            },
            region: place
                .line
                .filter(|line| *line > 0)
                .map(|start_line| Region {
                    start_line,
                    start_column: place.column.filter(|column| *column > 0),
                }),
        }),
        logical_locations: place
            .function
            .iter()
            .map(|function| Logical {
                fully_qualified_name: function.clone(),
                kind: "function",
            })
            .collect(),
        message: text.filter(|text| !text.is_empty()).map(|text| Text {
            text: text.to_owned(),
        }),
    }
}

/// A path as a URI reference: an absolute one as a file's.
fn uri(path: &str) -> String {
    let mut uri = String::from(if path.starts_with('/') { "file://" } else { "" });
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/+@,=".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::{pascal, uri};

    #[test]
    fn paths_as_uris() {
        assert_eq!(uri("src/lib.rs"), "src/lib.rs");
        assert_eq!(uri("a b/ü.rs"), "a%20b/%C3%BC.rs");
        assert_eq!(uri("/x/y.rs"), "file:///x/y.rs");
    }

    #[test]
    fn names_of_rules() {
        assert_eq!(pascal("data-race"), "DataRace");
    }
}
