//! A process that never ran: frames by name and place, wire records that
//! mention them, and the symbols that the collector finds for them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use leakcheck::report::kind::{Certainty, Kind};
use leakcheck::report::wire::{
    Access, AccessOp, Crash, End, Finding, Leg, Lock, Memory, Module, Pc, Record, Stack, Start,
    TaskType, Thread, ThreadId, WIRE_SCHEMA, Wait, WaitOn,
};
use leakcheck_cli::collect::{CollectOptions, Collector};
use leakcheck_cli::model::{RunReport, TestId, TestReport};
use leakcheck_cli::symbolize::function::FunctionName;
use leakcheck_cli::symbolize::{RawFrame, Symbols, Variable};

/// The load bias of the one module.
const BIAS: u64 = 0x5555_0000_0000;

/// The module.
const MODULE: &str = "/sample/target/bank";

/// Statics are from here on.
const DATA: u64 = 0x8_0000;

/// Where the sample's sources are.
fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/report/sample")
}

/// The main thread.
pub const MAIN: ThreadId = ThreadId(0);

/// Symbols from a table.
#[derive(Debug, Clone, Default)]
pub struct Table {
    frames: HashMap<u64, Vec<RawFrame>>,
    generic: HashMap<u64, Vec<String>>,
    variables: Vec<Variable>,
}

impl Symbols for Table {
    fn frames(&mut self, module: &Path, address: u64) -> Vec<RawFrame> {
        assert_eq!(module, Path::new(MODULE));
        self.frames.get(&address).cloned().unwrap_or_default()
    }

    fn variable(&mut self, _: &Path, address: u64) -> Option<Variable> {
        self.variables
            .iter()
            .find(|variable| {
                (variable.address..variable.address + variable.size).contains(&address)
            })
            .cloned()
    }

    fn thread_local(&mut self, module: &Path, address: u64) -> Option<String> {
        self.variable(module, address).map(|found| found.name)
    }

    fn first_line(&mut self, _: &Path, _: &str) -> Option<u32> {
        None
    }

    fn generic_names(&mut self, _: &Path, address: u64) -> Vec<String> {
        self.generic.get(&address).cloned().unwrap_or_default()
    }

    fn unreadable(&self) -> Vec<(PathBuf, String)> {
        Vec::new()
    }
}

/// The process.
pub struct World {
    table: Table,
    records: Vec<Record>,
    next: u64,
}

impl World {
    /// With its first records and the main thread.
    pub fn new() -> Self {
        let start = Start {
            schema: WIRE_SCHEMA,
            pid: 7,
            ppid: 1,
            exe: MODULE.to_owned(),
            forked: false,
        };
        let module = Module {
            path: MODULE.to_owned(),
            bias: BIAS,
            start: BIAS,
            end: BIAS + 0x10_0000,
        };
        let main = Thread {
            id: MAIN,
            name: Some("bank".to_owned()),
            parent: None,
            spawned_at: Vec::new(),
            finished: false,
            task: None,
        };
        Self {
            table: Table::default(),
            records: vec![
                Record::Start(start),
                Record::Module(module),
                Record::Thread(main),
            ],
            next: 0x1000,
        }
    }

    fn frame(&mut self, raw: RawFrame) -> Pc {
        let address = self.next;
        self.next += 0x10;
        self.table.frames.insert(address, vec![raw]);
        BIAS + address
    }

    /// A frame of the sample: in `function`, at the first `needle` in `file`.
    pub fn user(&mut self, function: &str, file: &str, needle: &str) -> Pc {
        let path = sample().join(file);
        let text = std::fs::read_to_string(&path).expect("the sample is in the repository");
        let (line, column) = text
            .lines()
            .enumerate()
            .find_map(|(line, content)| Some((line + 1, content.find(needle)? + 1)))
            .expect("the needle is in the sample");
        self.frame(RawFrame {
            function: FunctionName::from_demangled(function),
            file: Some(path),
            line: u32::try_from(line).expect("a short file"),
            column: u32::try_from(column).expect("a short line"),
            inlined: false,
        })
    }

    /// A frame of a library, whose source is not there.
    pub fn library(&mut self, function: &str, file: &str, line: u32) -> Pc {
        self.frame(RawFrame {
            function: FunctionName::from_demangled(function),
            file: Some(PathBuf::from(file)),
            line,
            column: 9,
            inlined: false,
        })
    }

    /// A frame of std.
    pub fn std(&mut self, function: &str) -> Pc {
        self.library(function, "/rustc/0123abcd/library/std/src/sample.rs", 77)
    }

    /// A frame of std that DWARF knows under a name with type arguments.
    pub fn generic(&mut self, function: &str, name: &str) -> Pc {
        let pc = self.std(function);
        self.table.generic.insert(pc - BIAS, vec![name.to_owned()]);
        pc
    }

    /// A static variable; its run-time address.
    pub fn variable(&mut self, name: &str, ty: Option<&str>, size: u64) -> u64 {
        let address = DATA + 0x100 * self.table.variables.len() as u64;
        self.table.variables.push(Variable {
            name: name.to_owned(),
            ty: ty.map(str::to_owned),
            address,
            size,
        });
        BIAS + address
    }

    /// How a thread starts: the frames at the end of every stack.
    pub fn thread_start(&mut self) -> Stack {
        vec![
            self.std("core::ops::function::FnOnce::call_once"),
            self.std("std::sys::backtrace::__rust_begin_short_backtrace"),
            self.std("std::sys::thread::unix::Thread::new::thread_start"),
        ]
    }

    /// A thread that `parent` spawned.
    pub fn thread(&mut self, id: u32, name: Option<&str>, parent: ThreadId, at: Stack) -> ThreadId {
        let id = ThreadId(id);
        self.records.push(Record::Thread(Thread {
            id,
            name: name.map(str::to_owned),
            parent: Some(parent),
            spawned_at: at,
            finished: false,
            task: None,
        }));
        id
    }

    /// A task that `parent` spawned.
    pub fn task(&mut self, id: u32, task: TaskType, parent: ThreadId, at: Stack) -> ThreadId {
        let id = ThreadId(id);
        self.records.push(Record::Thread(Thread {
            id,
            name: None,
            parent: Some(parent),
            spawned_at: at,
            finished: false,
            task: Some(task),
        }));
        id
    }

    /// A thread `name` that `deposit` runs in, spawned by the main thread.
    pub fn worker(&mut self, id: u32, name: &str) -> ThreadId {
        let mut at = vec![self.std("std::thread::spawn")];
        at.push(self.user("poll::start", "src/poll.rs", "spawn(run)"));
        at.push(self.user("poll::drains", "src/poll.rs", "two()"));
        self.thread(id, Some(name), MAIN, at)
    }

    /// Adds a finding.
    pub fn found(&mut self, finding: Finding) {
        self.records.push(Record::Finding(finding));
    }

    /// Adds a record.
    pub fn record(&mut self, record: Record) {
        self.records.push(record);
    }

    /// Adds the last record.
    pub fn end(&mut self) {
        self.records.push(Record::End(End {
            status: 0,
            abrupt: false,
            threads: 3,
        }));
    }

    /// The text of the wire file.
    pub fn wire(&self) -> String {
        let mut text = String::new();
        for record in &self.records {
            text.push_str(&serde_json::to_string(record).expect("a record is JSON"));
            text.push('\n');
        }
        text
    }

    /// What the collector makes of it, as the wire file of these tests.
    pub fn collect_as(&self, tests: &[TestId]) -> (Vec<TestReport>, RunReport) {
        let dir = tempfile::tempdir().expect("a directory for the wire file");
        std::fs::write(dir.path().join("7-1.ndjson"), self.wire()).expect("the file is written");
        let options = CollectOptions {
            workspace_root: sample(),
            package_dirs: vec![sample()],
            ..CollectOptions::default()
        };
        let mut collector = Collector::with_symbols(options, self.table.clone());
        let reports = tests
            .iter()
            .map(|test| {
                collector
                    .add_test(test, dir.path())
                    .expect("the file is read")
            })
            .collect();
        (reports, collector.finish())
    }

    /// What the collector makes of it.
    pub fn collect(&self) -> TestReport {
        self.collect_as(&[test("drains")]).0.remove(0)
    }
}

/// A test of the sample.
pub fn test(name: &str) -> TestId {
    TestId {
        package: "bank".to_owned(),
        binary: "bank".to_owned(),
        name: name.to_owned(),
    }
}

/// A finding without anything but its legs.
pub fn finding(kind: Kind, certainty: Certainty, legs: Vec<Leg>) -> Finding {
    Finding {
        kind,
        certainty,
        legs,
        memory: None,
        said: None,
        fatal: false,
        asked: Vec::new(),
    }
}

/// A race.
pub fn race(kind: Kind, later: Leg, earlier: Leg, memory: Memory) -> Finding {
    Finding {
        memory: Some(memory),
        ..finding(kind, Certainty::Observed, vec![later, earlier])
    }
}

/// A leg that accesses memory.
pub fn access(thread: ThreadId, op: AccessOp, atomic: bool, size: u64, stack: Stack) -> Leg {
    Leg {
        thread,
        stack,
        access: Some(Access {
            op,
            atomic,
            addr: 0x7f00_0000_1234,
            size,
            during: None,
        }),
        locks: Vec::new(),
        wait: None,
        task: None,
    }
}

/// A leg that only is somewhere.
pub fn at(thread: ThreadId, stack: Stack) -> Leg {
    Leg {
        wait: None,
        ..waits(thread, wait(WaitOn::Running), stack)
    }
}

/// A leg that waits.
pub fn waits(thread: ThreadId, wait: Wait, stack: Stack) -> Leg {
    Leg {
        thread,
        stack,
        access: None,
        locks: Vec::new(),
        wait: Some(wait),
        task: None,
    }
}

/// A wait without an owner.
pub fn wait(on: WaitOn) -> Wait {
    Wait {
        on,
        for_ms: 1234,
        timed: false,
        addr: None,
        owner: None,
        acquired_at: Vec::new(),
    }
}

/// A wait for a lock that a thread holds.
pub fn lock_wait(on: WaitOn, addr: u64, owner: ThreadId, acquired_at: Stack) -> Wait {
    Wait {
        addr: Some(addr),
        owner: Some(owner),
        acquired_at,
        ..wait(on)
    }
}

/// A lock that is held.
pub fn lock(addr: u64, stack: Stack, shared: bool) -> Lock {
    Lock {
        addr,
        stack,
        shared,
    }
}

/// A crash of a thread.
pub fn crash(signal: i32, thread: ThreadId, stack: Stack, stack_overflow: bool) -> Record {
    Record::Crash(Crash {
        signal,
        addr: Some(0x10),
        thread,
        stack,
        stack_overflow,
    })
}
