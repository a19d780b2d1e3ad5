//! The results as a table, and as JSON lines.

use std::error::Error;

use serde::Serialize;

use crate::measure::{Count, Measured, Verdict};

/// A case, for machines.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Line<'a> {
    /// One for each.
    Case {
        suite: &'a str,
        case: &'a str,
        class: &'a str,
        subclass: &'a str,
        expected: &'a [String],
        verdict: &'a str,
        finds: u32,
        runs: u32,
        explored_finds: u32,
        explored_runs: u32,
        /// Of ten seeds each.
        search_finds: u32,
        searches: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        seed: Option<u64>,
        kinds: &'a std::collections::BTreeMap<String, u32>,
        twin_alarms: u32,
        twin_runs: u32,
        seconds: f64,
        #[serde(skip_serializing_if = "str::is_empty")]
        note: &'a str,
    },
    /// The last line.
    Summary(Totals),
}

/// Over all cases.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Totals {
    cases: usize,
    /// In runs as they are.
    found: usize,
    /// Only in runs with pauses.
    explored: usize,
    missed: usize,
    false_alarms: usize,
    /// In each run.
    always: usize,
    /// In each search.
    always_searched: usize,
}

impl Totals {
    fn of(all: &[Measured]) -> Self {
        let count = |wanted| all.iter().filter(|m| m.verdict() == wanted).count();
        let always = |m: &&Measured| m.plain.runs > 0 && m.plain.hits == m.plain.runs;
        let searched = |m: &&Measured| {
            let searches = m.searches();
            searches.runs > 0 && searches.hits == searches.runs
        };
        Self {
            cases: all.len(),
            found: count(Verdict::Found),
            explored: count(Verdict::Explored),
            missed: count(Verdict::Missed),
            false_alarms: count(Verdict::FalseAlarm),
            always: all.iter().filter(always).count(),
            always_searched: all.iter().filter(searched).count(),
        }
    }
}

fn of(count: Count) -> String {
    match count.runs {
        0 => "-".to_owned(),
        runs => format!("{}/{runs}", count.hits),
    }
}

/// Mean seconds of a test.
fn seconds(m: &Measured) -> f64 {
    let tests = m.plain.runs + m.explored.runs + m.alarms.runs;
    m.seconds / f64::from(tests.max(1))
}

/// Prints a line for each case.
pub fn table(all: &[Measured]) {
    println!(
        "{:32} {:24} {:>7} {:>9} {:>8} {:>7} {:>6}  verdict",
        "case", "class", "found", "explored", "searches", "twin", "s"
    );
    for m in all {
        let kinds: Vec<&str> = m.kinds.keys().map(String::as_str).collect();
        println!(
            "{:32} {:24} {:>7} {:>9} {:>8} {:>7} {:>6.2}  {} {}",
            m.case.name,
            m.case.class,
            of(m.plain),
            of(m.explored),
            of(m.searches()),
            of(m.alarms),
            seconds(m),
            m.verdict().name(),
            kinds.join(", "),
        );
    }
    for m in all.iter().filter(|m| !m.case.note.is_empty()) {
        println!("note: {}: {}", m.case.name, m.case.note);
    }
    let totals = Totals::of(all);
    println!(
        "\n{} cases: {} found as they are ({} in each run), {} more with pauses, {} in each search of ten seeds, {} missed; {} twins reported",
        totals.cases,
        totals.found,
        totals.always,
        totals.explored,
        totals.always_searched,
        totals.missed,
        totals.false_alarms
    );
}

/// Prints a JSON object for each case, and one for all.
///
/// # Errors
/// Never for these types; serde's interface has the error.
pub fn json(all: &[Measured]) -> Result<(), Box<dyn Error>> {
    for m in all {
        let line = Line::Case {
            suite: m.suite.name(),
            case: &m.case.name,
            class: &m.case.class,
            subclass: &m.case.subclass,
            expected: &m.case.expected,
            verdict: m.verdict().name(),
            finds: m.plain.hits,
            runs: m.plain.runs,
            explored_finds: m.explored.hits,
            explored_runs: m.explored.runs,
            search_finds: m.searches().hits,
            searches: m.searches().runs,
            seed: m.seed,
            kinds: &m.kinds,
            twin_alarms: m.alarms.hits,
            twin_runs: m.alarms.runs,
            seconds: seconds(m),
            note: &m.case.note,
        };
        println!("{}", serde_json::to_string(&line)?);
    }
    println!(
        "{}",
        serde_json::to_string(&Line::Summary(Totals::of(all)))?
    );
    Ok(())
}
