//! Runs a suite again and again, and counts what was found in which case.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io::IsTerminal as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use leakcheck_tests::cases::{Case, Suite, TWIN, case_of};
use leakcheck_tests::command::Workshop;
use leakcheck_tests::messages::{Finding, TestLine};

/// Seeds that follow each other and have all manners of pauses: what a search by
/// `--explore 10` tries until it finds something.
pub const SEARCH: usize = 10;

/// Runs the command.
pub struct Bench {
    workshop: Workshop,
    /// Those that take long too.
    with_ignored: bool,
}

/// How often something was so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// So often it was.
    pub hits: u32,
    /// So often it could have been.
    pub runs: u32,
}

/// What a case gave.
#[derive(Debug)]
pub struct Measured {
    /// Of which suite.
    pub suite: Suite,
    /// Which.
    pub case: Case,
    /// Found, in runs as they are.
    pub plain: Count,
    /// Found, in runs with pauses.
    pub explored: Count,
    /// Of each of these.
    by_seed: Vec<bool>,
    /// The seed of the first of these.
    pub seed: Option<u64>,
    /// What was found, how often.
    pub kinds: BTreeMap<String, u32>,
    /// The twin was reported.
    pub alarms: Count,
    /// Seconds that the case and its twin took, over all runs.
    pub seconds: f64,
    /// What was wrong with the twin.
    pub reports: Vec<String>,
}

/// The result of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Found in a run as it is.
    Found,
    /// Found in a run with pauses.
    Explored,
    /// Not found.
    Missed,
    /// Its twin was reported.
    FalseAlarm,
}

impl Verdict {
    /// For a table, and for machines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Explored => "explored",
            Self::Missed => "missed",
            Self::FalseAlarm => "false-alarm",
        }
    }
}

impl Count {
    fn add(&mut self, hit: bool) {
        self.runs += 1;
        self.hits += u32::from(hit);
    }
}

impl Measured {
    fn new(suite: Suite, case: Case) -> Self {
        Self {
            suite,
            case,
            plain: Count::default(),
            explored: Count::default(),
            by_seed: Vec::new(),
            seed: None,
            kinds: BTreeMap::new(),
            alarms: Count::default(),
            seconds: 0.0,
            reports: Vec::new(),
        }
    }

    /// The result.
    pub const fn verdict(&self) -> Verdict {
        if self.alarms.hits > 0 {
            Verdict::FalseAlarm
        } else if self.plain.hits > 0 {
            Verdict::Found
        } else if self.explored.hits > 0 {
            Verdict::Explored
        } else {
            Verdict::Missed
        }
    }

    /// Found, in searches: as many seeds that follow each other as have all
    /// manners of pauses.
    pub fn searches(&self) -> Count {
        let mut count = Count::default();
        for seeds in self.by_seed.chunks_exact(SEARCH) {
            count.add(seeds.contains(&true));
        }
        count
    }

    /// What is not as it must be, whatever the schedule.
    pub fn complaints(&self) -> Vec<String> {
        let name = &self.case.name;
        let mut complaints = self.reports.clone();
        let (hits, runs) = (
            self.plain.hits + self.explored.hits,
            self.plain.runs + self.explored.runs,
        );
        if !self.case.rare && hits == 0 && runs > 0 {
            complaints.push(format!("{name}: found in none of {runs} runs"));
        }
        complaints
    }

    fn add(&mut self, test: &TestLine, is_twin: bool, findings: &[&Finding], seed: Option<u64>) {
        self.seconds += test.seconds;
        let mut kinds: BTreeSet<&str> = findings.iter().map(|f| &*f.kind).collect();
        if matches!(&*test.outcome, "fail" | "crash" | "exit" | "timeout") {
            kinds.insert(&test.outcome);
        }
        if is_twin {
            let silent = kinds.is_empty() && test.outcome == "pass";
            self.alarms.add(!silent);
            if !silent {
                let rendered = findings.iter().map(|finding| &*finding.rendered);
                let rendered: Vec<&str> = rendered.collect();
                let under = seed.map_or_else(String::new, |seed| format!(" with seed {seed}"));
                self.reports.push(format!(
                    "{}{TWIN}: `{}`{under}\n{}",
                    self.case.name,
                    test.outcome,
                    rendered.join("\n")
                ));
            }
            return;
        }
        let hit = kinds
            .iter()
            .any(|kind| self.case.expected.iter().any(|expected| expected == kind));
        for kind in kinds {
            *self.kinds.entry(kind.to_owned()).or_default() += 1;
        }
        match seed {
            None => self.plain.add(hit),
            Some(seed) => {
                self.explored.add(hit);
                self.by_seed.push(hit);
                if hit {
                    self.seed.get_or_insert(seed);
                }
            }
        }
    }
}

impl Bench {
    /// With the command that is built beside this program; with the tests that
    /// take long, or without. What is built goes below `work`.
    ///
    /// # Errors
    /// If it is not there.
    pub fn new(with_ignored: bool, work: Option<&Path>) -> Result<Self, Box<dyn Error>> {
        let own = std::env::current_exe()?;
        let program = own.with_file_name("leakcheck-under-test");
        if !program.is_file() {
            return Err(format!(
                "no `{}`; run `cargo build -p leakcheck-tests --bins` in the same profile",
                program.display()
            )
            .into());
        }
        let scratch = work.map_or_else(|| own.with_file_name("evidence-work"), PathBuf::from);
        let text = |path: &PathBuf| {
            path.to_str()
                .map(str::to_owned)
                .ok_or_else(|| format!("the path {} is not UTF-8", path.display()))
        };
        Ok(Self {
            workshop: Workshop::new(&text(&program)?, &text(&scratch)?),
            with_ignored,
        })
    }

    /// Runs a suite so often as it is, and once with each seed.
    ///
    /// # Errors
    /// If a run gives no results, or other tests than the table has.
    pub fn measure(
        &self,
        suite: Suite,
        cases: Vec<Case>,
        filter: Option<&str>,
        runs: u32,
        seeds: Range<u64>,
    ) -> Result<Vec<Measured>, Box<dyn Error>> {
        let mut measured: Vec<Measured> = cases
            .into_iter()
            .map(|case| Measured::new(suite, case))
            .collect();
        let plain = (0..runs).map(|_| None);
        let all = usize::try_from(runs)? + seeds.clone().count();
        for (number, seed) in plain.chain(seeds.map(Some)).enumerate() {
            if std::io::stderr().is_terminal() {
                eprint!("\r{}: run {} of {all} ", suite.name(), number + 1);
            }
            self.run(suite, &mut measured, filter, seed)?;
        }
        if std::io::stderr().is_terminal() {
            eprint!("\r{:40}\r", "");
        }
        Ok(measured)
    }

    fn run(
        &self,
        suite: Suite,
        measured: &mut [Measured],
        filter: Option<&str>,
        seed: Option<u64>,
    ) -> Result<(), Box<dyn Error>> {
        let limit = if self.with_ignored { "300" } else { "60" };
        let mut words: Vec<String> = ["--lib", "--timeout", limit].map(str::to_owned).into();
        words.extend(filter.map(str::to_owned));
        if let Some(seed) = seed {
            words.extend(["--explore", "1", "--seed"].map(str::to_owned));
            words.push(seed.to_string());
        }
        if self.with_ignored {
            words.extend(["--", "--include-ignored"].map(str::to_owned));
        }
        let ended = self.workshop.test(suite.name(), &words).run();
        if !matches!(ended.code, Some(0 | 66 | 100)) {
            return Err(format!("{} did not run:\n{}", suite.name(), ended.stderr).into());
        }
        let mut by_test: BTreeMap<String, Vec<&Finding>> = BTreeMap::new();
        let findings = ended.findings();
        // A warning counts: it is a report too. A note tells of an idle pool.
        for finding in findings.iter().filter(|finding| finding.level != "note") {
            for test in &finding.tests {
                by_test.entry(test.name.clone()).or_default().push(finding);
            }
        }
        let mut seen = BTreeSet::new();
        for test in ended.tests() {
            let (name, is_twin) = case_of(&test.test.name);
            let case = measured.iter_mut().find(|m| m.case.name == name);
            let Some(case) = case else {
                return Err(format!("the table has no case `{name}`").into());
            };
            seen.insert((name.to_owned(), is_twin));
            if test.outcome == "ignored" {
                continue;
            }
            let found = by_test.get(&test.test.name).map_or(&[][..], Vec::as_slice);
            case.add(&test, is_twin, found, seed);
        }
        for case in measured {
            for is_twin in [false, true] {
                if !seen.contains(&(case.case.name.clone(), is_twin)) {
                    let twin = if is_twin { TWIN } else { "" };
                    return Err(format!("there is no test `{}{twin}`", case.case.name).into());
                }
            }
        }
        Ok(())
    }
}
