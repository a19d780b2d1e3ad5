//! From wire files to findings: names for addresses, what a thread waits for,
//! which rules apply, and one finding for what was seen many times.
//!
//! - [`read`]: the wire files of a test;
//! - [`sources`]: whose code a frame is;
//! - [`doctests`]: their lines in the file that has them;
//! - [`resolve`]: threads, stacks, locks of a process;
//! - [`build`]: a finding of it;
//! - [`memory`], [`waits`]: what is accessed, what is waited for;
//! - [`pools`], [`by_design`]: rules that make a finding less than an error;
//! - `tasks`, [`boxed`]: what a task is called and waits for;
//! - [`words`]: titles and help;
//! - [`lanes`]: when its threads lived;
//! - [`crash`]: the signal a process died of;
//! - `alike`, [`fingerprint`], [`merge`]: equal findings.

mod alike;
pub mod boxed;
pub mod build;
pub mod by_design;
pub mod crash;
pub mod doctests;
pub mod fingerprint;
pub mod lanes;
pub mod lock_order;
pub mod memory;
pub mod merge;
pub mod pools;
pub mod read;
pub mod resolve;
pub mod said;
pub mod sources;
pub mod task_race;
mod tasks;
pub mod waits;
pub mod words;

use std::collections::BTreeSet;
use std::path::Path;

use leakcheck::report::wire::Start;

pub use self::read::WireError;
pub use self::sources::CollectOptions;

use self::alike::Alike;
use self::build::FindingBuilder;
use self::merge::{Findings, Gaps};
use self::read::Process;
use self::resolve::Resolver;
use crate::model::{Gap, GapReason, RunReport, Snapshot, TestId, TestReport};
use crate::symbolize::{FileSymbols, Symbols};

/// Collects the findings of a run, test by test.
pub struct Collector<S = FileSymbols> {
    options: CollectOptions,
    symbols: S,
    findings: Findings,
    gaps: Gaps,
}

impl Collector {
    /// A collector that reads the symbols of the modules themselves.
    pub fn new(options: CollectOptions) -> Self {
        Self::with_symbols(options, FileSymbols::default())
    }
}

impl<S: Symbols> Collector<S> {
    /// A collector with another source of symbols.
    pub fn with_symbols(options: CollectOptions, symbols: S) -> Self {
        Self {
            options,
            symbols,
            findings: Findings::default(),
            gaps: Gaps::default(),
        }
    }

    /// Reads the file of a snapshot.
    pub fn snapshot(&mut self, program: &TestId, file: &Path) -> Result<Snapshot, WireError> {
        let mut process = read::read_file(file)?;
        boxed::open(&mut process, &mut self.symbols);
        let mut resolver = Resolver::new(&process, &self.options, &mut self.symbols, program);
        resolver.begin(&process.findings.iter().flat_map(build::threads).collect());
        let cycles = process.findings.iter();
        let cycles =
            cycles.map(|cycle| FindingBuilder::new(&mut resolver, 0).build_more(cycle, None));
        let cycles = cycles.collect();
        // Elsewhere namesakes are not told apart: what is alike is shown once.
        resolver.forget_namesakes();
        let present = process.present.iter();
        let legs = present.map(|leg| FindingBuilder::new(&mut resolver, 0).present(leg));
        Ok(Snapshot {
            cycles,
            present: legs.collect(),
        })
    }

    /// Reads all wire files in `wire_dir`, those of one test.
    pub fn look(&mut self, test: &TestId, wire_dir: &Path) -> Result<TestReport, WireError> {
        let mut processes = read::read_dir(wire_dir)?;
        for process in &mut processes {
            boxed::open(process, &mut self.symbols);
        }
        Ok(self.look_at(test, &processes))
    }

    /// Merges what was found in a test into the whole.
    pub fn keep(&mut self, report: &TestReport) {
        for finding in &report.findings {
            self.findings.add(finding.clone());
        }
        for gap in &report.gaps {
            self.gaps.add(gap.clone());
        }
    }

    /// Both at once.
    pub fn add_test(&mut self, test: &TestId, wire_dir: &Path) -> Result<TestReport, WireError> {
        let report = self.look(test, wire_dir)?;
        self.keep(&report);
        Ok(report)
    }

    fn look_at(&mut self, test: &TestId, processes: &[Process]) -> TestReport {
        let roots = roots(processes);
        let mut findings = Findings::default();
        let mut gaps = Gaps::default();
        let mut crash = None;
        let mut missing_end = false;
        let mut stuck = false;
        let mut lanes = Vec::new();
        for (at, process) in processes.iter().enumerate() {
            let is_root = roots.contains(&at);
            let mut alike = Alike::default();
            let mut resolver = Resolver::new(process, &self.options, &mut self.symbols, test);
            for (found, moment) in process.findings.iter().zip(&process.found_at) {
                if !lock_order::holds(found, &mut resolver)
                    || lock_order::is_told_by_a_deadlock(found, &process.findings)
                    || !task_race::holds(found, &mut resolver)
                {
                    continue;
                }
                stuck |= found.fatal && is_root;
                alike.add(found, process, || {
                    FindingBuilder::new(&mut resolver, at).build(found, *moment)
                });
            }
            for finding in alike.into_findings() {
                if !task_race::made_by_library(&finding) {
                    findings.add(finding);
                }
            }
            lanes.extend(lanes::lanes(at, process, &mut resolver));
            // A process that the test started may crash by intent.
            if is_root && let Some(signal) = &process.crash {
                crash = Some(crash::crash(signal, &mut resolver));
            }
            missing_end |= is_root && process.end.is_none();
            add_gaps(&mut gaps, process);
        }
        for (path, _) in self.symbols.unreadable() {
            gaps.add(Gap {
                reason: GapReason::NoSymbols,
                detail: Some(path.to_string_lossy().into_owned()),
                count: 1,
            });
        }
        TestReport {
            findings: findings.sorted(),
            crash,
            gaps: gaps.sorted(),
            stuck,
            missing_end,
            processes: processes.len(),
            lanes,
        }
    }

    /// Everything that was found, worst first.
    pub fn finish(self) -> RunReport {
        RunReport {
            findings: self.findings.sorted(),
            gaps: self.gaps.sorted(),
        }
    }
}

/// The processes that no other of them started: the test's own.
fn roots(processes: &[Process]) -> BTreeSet<usize> {
    let starts: Vec<Option<&Start>> = processes
        .iter()
        .map(|process| process.start.as_ref())
        .collect();
    let pids: BTreeSet<u32> = starts.iter().flatten().map(|start| start.pid).collect();
    (0..processes.len())
        .filter(|at| starts[*at].is_none_or(|start| !start.forked && !pids.contains(&start.ppid)))
        .collect()
}

fn add_gaps(gaps: &mut Gaps, process: &Process) {
    for gap in &process.gaps {
        gaps.add(Gap {
            reason: GapReason::Runtime(gap.gap),
            detail: gap.detail.clone(),
            count: gap.count,
        });
    }
    let mut add = |reason, count| {
        gaps.add(Gap {
            reason,
            detail: None,
            count,
        })
    };
    if process.unreadable > 0 {
        add(GapReason::UnreadableRecord, process.unreadable);
    }
    // A forked child ends by exec or `_exit`; a crash and a process whose
    // threads were all stuck are told by themselves.
    let stuck = process.findings.iter().any(|finding| finding.fatal);
    if !process.forked() && process.crash.is_none() && !stuck {
        match &process.end {
            None => add(GapReason::MissingEnd, 1),
            Some(end) if end.abrupt => add(GapReason::AbruptExit, 1),
            Some(_) => {}
        }
    }
}
