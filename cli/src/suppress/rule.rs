//! One rule: what it matches, and why that does not count.

use crate::config::{Day, Selector};
use crate::filter::{Filter, Packages};
use crate::model::{Excuse, Finding, Memory, Stack, TestId};

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
    /// The crate that a leaked thread belongs to: it was spawned there, or
    /// its entry is there.
    pub own_crate: Option<String>,
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
            && self
                .own_crate
                .as_deref()
                .is_none_or(|name| belongs_to(finding, name))
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

/// Whether every leg runs a thread that the crate itself has spawned: the
/// first frame of the spawn that is neither std nor the runtime is its own.
fn belongs_to(finding: &Finding, name: &str) -> bool {
    use crate::model::FrameClass::{Dependency, User};
    !finding.legs.is_empty()
        && finding.legs.iter().all(|leg| {
            let spawn = leg.thread.spawned.first();
            let mut frames = spawn.into_iter().flat_map(|step| step.at.frames());
            let first = frames.find(|frame| matches!(frame.class, User | Dependency));
            first.and_then(|frame| frame.function.rust_crate()) == Some(name)
        })
}
