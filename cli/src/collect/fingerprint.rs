//! The stable name of a finding.
//!
//! Made of the code, the paths of the user's functions on each leg and what
//! the memory is; for a leaked thread also its name without the digits. Lines,
//! addresses, hashes and thread numbers are not in it; neither is the order of the legs, which is chance, nor the test that
//! the code was called from, so that two tests that find one bug agree.
//!
//! What it misses: two bugs in the same functions on the same memory are one.

use std::fmt::Write as _;

use leakcheck::report::kind::Kind;
use sha2::{Digest as _, Sha256};

use crate::model::{Fingerprint, Leg, Memory, Stack, TestId, ThreadLabel};

/// Prefix with the version of the recipe.
const PREFIX: &str = "lc1:";

/// Hexadecimal digits kept.
const DIGITS: usize = 16;

/// The fingerprint of a finding; `label` stands for more that tells it apart.
pub fn fingerprint(
    kind: Kind,
    legs: &[Leg],
    memory: Option<&Memory>,
    label: Option<&str>,
    test: &TestId,
) -> Fingerprint {
    let mut paths: Vec<String> = match kind {
        // Where a leaked thread is at the moment is chance: what counts is
        // where it comes from.
        Kind::LeakedThread
        | Kind::LeakedTask
        | Kind::AbortedTask
        | Kind::DetachedTask
        | Kind::PanickedTask => legs
            .iter()
            .map(|leg| {
                let entry = entry(&leg.stack);
                let spawned = leg
                    .thread
                    .spawned
                    .first()
                    .map(|step| functions(&step.at, test));
                let name = family(&leg.thread.label);
                format!("{entry} < {} {name}", spawned.unwrap_or_default())
            })
            .collect(),
        Kind::DataRace
        | Kind::RaceWithFree
        | Kind::RaceWithReturn
        | Kind::VolatileRace
        | Kind::TaskRace
        | Kind::Deadlock
        | Kind::LockOrder => legs.iter().map(|leg| functions(&leg.stack, test)).collect(),
    };
    paths.sort();
    let memory = memory
        .map(|memory| memory_label(memory, test))
        .unwrap_or_default();
    let text = format!(
        "{}\n{}\n{memory}\n{}",
        kind.info().code,
        paths.join("\n"),
        label.unwrap_or_default()
    );
    Fingerprint::new(hash(&text))
}

fn hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let mut out = PREFIX.to_owned();
    for byte in digest.iter().take(DIGITS / 2) {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}

/// The user's functions of a stack, innermost first, up to the test's own.
fn functions(stack: &Stack, test: &TestId) -> String {
    let mut paths: Vec<&str> = stack
        .relevant()
        .iter()
        .map(|frame| frame.function.path())
        .collect();
    paths.dedup();
    // The test's own frames go, unless nothing else is there.
    if let Some(inside) = paths.iter().position(|path| in_test(path, test))
        && inside > 0
    {
        paths.truncate(inside);
    }
    paths.join(" ")
}

/// The outermost function of the user: the thread's entry.
fn entry(stack: &Stack) -> String {
    if !stack.has_user_frame() {
        return String::new();
    }
    stack
        .relevant()
        .last()
        .map(|frame| frame.function.path().to_owned())
        .unwrap_or_default()
}

/// Whether a function is the test itself or a closure in it.
fn in_test(path: &str, test: &TestId) -> bool {
    let Some((_, inside)) = path.split_once("::") else {
        return false;
    };
    !test.name.is_empty()
        && inside
            .strip_prefix(&test.name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// The name that the program gave to a thread, without the number of a worker
/// among its like: all closures of a function have one path, and the name can
/// tell them apart.
fn family(label: &ThreadLabel) -> String {
    match label {
        ThreadLabel::Task(name) | ThreadLabel::TaskNamesake(name, _) => name.clone(),
        ThreadLabel::Named(name) | ThreadLabel::Namesake(name, _) => {
            name.chars().filter(|c| !c.is_ascii_digit()).collect()
        }
        ThreadLabel::Main | ThreadLabel::Test | ThreadLabel::Unnamed(_) => String::new(),
    }
}

fn memory_label(memory: &Memory, test: &TestId) -> String {
    match memory {
        Memory::Static { name, .. } => format!("static {name}"),
        Memory::Heap { allocated, .. } => format!("heap {}", functions(allocated, test)),
        Memory::Stack { .. } => "stack".to_owned(),
        Memory::ThreadLocal { .. } => "thread-local".to_owned(),
        Memory::Mapped => "mapped".to_owned(),
        Memory::Unknown => "unknown".to_owned(),
    }
}
