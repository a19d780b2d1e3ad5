//! One rule: what it matches, and why that does not count.

use std::collections::BTreeSet;

use crate::config::{Day, Selector};
use crate::document::EntryLine;
use crate::filter::{Filter, Packages};
use crate::model::{Excuse, Finding, Frame, FrameClass, Leg, Memory, Stack, TestId};

use super::glob::Glob;

/// A rule by which a finding does not count.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The file that it is in.
    pub source: String,
    /// How it is called in a message: ``ignore `LC0001` in `bank::*` ``.
    pub entry: String,
    /// Why.
    pub reason: String,
    /// The last day on which it holds.
    pub expires: Option<Day>,
    /// True if it is worth a word that it matches nothing: not for what a
    /// library ships to everybody.
    pub told_when_unmatched: bool,
    /// What it matches.
    pub matcher: Matcher,
}

impl Rule {
    /// How a report of entries calls it.
    #[must_use]
    pub fn line(&self) -> EntryLine {
        EntryLine {
            source: self.source.clone(),
            entry: self.entry.clone(),
        }
    }

    /// The reason as a report shows it.
    #[must_use]
    pub fn excuse(&self) -> Excuse {
        Excuse {
            source: self.source.clone(),
            reason: self.reason.clone(),
        }
    }
}

/// What a rule matches: everything that is said must be so.
#[derive(Debug, Clone, Default)]
pub struct Matcher {
    /// Which kinds; none is any.
    pub kinds: Option<Vec<Selector>>,
    /// The stable name.
    pub fingerprint: Option<String>,
    /// A function on any stack.
    pub function: Option<Glob>,
    /// A function on the stack of a spawner.
    pub spawned_in: Option<Glob>,
    /// A thread.
    pub thread: Option<Glob>,
    /// A source file of any stack.
    pub file: Option<Glob>,
    /// The function, file or variable that ThreadSanitizer would look at.
    pub anything: Option<Glob>,
    /// The innermost function of a leg.
    pub top: Option<Glob>,
    /// Whose a leaked thread or task must be.
    pub owner: Option<Owner>,
    /// Which tests.
    pub test: Option<Filter>,
}

impl Matcher {
    /// Whether a finding matches that was seen in `test`.
    #[must_use]
    pub fn matches(&self, finding: &Finding, test: &TestId, packages: Option<&Packages>) -> bool {
        let functions = |glob: &Glob, stack: &Stack| {
            stack
                .frames()
                .iter()
                .any(|frame| glob.matches(frame.function.path()))
        };
        let files = |glob: &Glob, stack: &Stack| {
            let mut places = stack
                .frames()
                .iter()
                .filter_map(|frame| frame.place.as_ref());
            places.any(|place| glob.matches(&place.shown))
        };
        let variable = |glob: &Glob| match &finding.memory {
            Some(Memory::Static { name, .. }) => glob.matches(name),
            Some(_) | None => false,
        };
        let all = stacks(finding);
        let spawns = || finding.legs.iter().flat_map(|leg| &leg.thread.spawned);
        let holds =
            |glob: &Option<Glob>, any: &dyn Fn(&Glob) -> bool| glob.as_ref().is_none_or(any);
        self.kinds
            .as_ref()
            .is_none_or(|kinds| kinds.iter().any(|kind| kind.matches(finding.kind)))
            && self
                .fingerprint
                .as_deref()
                .is_none_or(|wanted| finding.fingerprint.as_str() == wanted)
            && holds(&self.function, &|glob| {
                all.iter().any(|stack| functions(glob, stack))
            })
            && holds(&self.spawned_in, &|glob| {
                spawns().any(|step| functions(glob, &step.at))
            })
            && holds(&self.thread, &|glob| {
                finding
                    .legs
                    .iter()
                    .any(|leg| glob.matches(&leg.thread.label.name()))
            })
            && holds(&self.file, &|glob| {
                all.iter().any(|stack| files(glob, stack))
            })
            && holds(&self.anything, &|glob| {
                variable(glob)
                    || all
                        .iter()
                        .any(|stack| functions(glob, stack) || files(glob, stack))
            })
            && holds(&self.top, &|glob| {
                finding.legs.iter().any(|leg| {
                    let innermost = leg.stack.frames().iter().take(1).cloned().collect();
                    let innermost = Stack(innermost);
                    functions(glob, &innermost) || files(glob, &innermost)
                })
            })
            && self.owner.as_ref().is_none_or(|owner| owner.has(finding))
            && self.test.as_ref().is_none_or(|filter| {
                packages.is_some_and(|packages| packages.matches(filter, test))
            })
    }
}

/// The stacks of the legs and of their spawners.
fn stacks(finding: &Finding) -> Vec<&Stack> {
    finding
        .legs
        .iter()
        .flat_map(|leg| {
            let spawned = leg.thread.spawned.iter().map(|step| &step.at);
            std::iter::once(&leg.stack).chain(spawned)
        })
        .collect()
}

/// A library that speaks for threads and tasks of its own.
#[derive(Debug, Clone)]
pub struct Owner {
    /// The crate.
    pub name: String,
    /// The crates that it depends on, which may spawn on its behalf.
    pub helpers: BTreeSet<String>,
    /// A function of its that they run, whoever has spawned them; without,
    /// they must have been spawned by it.
    pub runs: Option<Glob>,
}

impl Owner {
    /// Whether every leg is of this library.
    fn has(&self, finding: &Finding) -> bool {
        let is_own = |leg: &Leg| match &self.runs {
            Some(glob) => leg
                .stack
                .frames()
                .iter()
                .any(|frame| self.wrote(frame) && glob.matches(frame.function.path())),
            None => leg
                .thread
                .spawned
                .first()
                .is_some_and(|step| self.spawned(&step.at)),
        };
        !finding.legs.is_empty() && finding.legs.iter().all(is_own)
    }

    /// Whether a thread that was spawned here was spawned by the library: it
    /// called std, or a crate that it depends on, which did. Code of whoever
    /// calls the library, such as a closure, speaks for itself.
    fn spawned(&self, at: &Stack) -> bool {
        let mut crates = at.frames().iter().filter_map(own_crate);
        let first = crates.find(|name| *name == self.name || !self.helpers.contains(*name));
        first == Some(&self.name)
    }

    fn wrote(&self, frame: &Frame) -> bool {
        own_crate(frame) == Some(&self.name)
    }
}

/// The crate of a frame, if that is neither std nor ours.
fn own_crate(frame: &Frame) -> Option<&str> {
    match frame.class {
        FrameClass::User | FrameClass::Dependency => frame.function.rust_crate(),
        FrameClass::Std | FrameClass::Runtime => None,
    }
}
