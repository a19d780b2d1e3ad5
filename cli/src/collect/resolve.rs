//! Names for what a process wrote: stacks, threads, locks.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap};

use leakcheck::report::wire::{self, Module, Pc, ThreadId};

use super::doctests::{self, Doctest, Text, Wrapper};
use super::read::Process;
use super::sources::CollectOptions;
use super::tasks;
use crate::model::{
    Frame, FrameClass, HeldLock, LockName, SpawnStep, Stack, TestId, Thread, ThreadLabel,
};
use crate::overlay::executors;
use crate::symbolize::{Symbols, Variable};

/// The main thread.
const MAIN: ThreadId = ThreadId(0);

/// The kernel keeps so many bytes of a thread's name.
const KERNEL_NAME: usize = 15;

/// Spawners shown at most.
const MAX_SPAWN_CHAIN: usize = 16;

/// Looks up what a process wrote.
pub struct Resolver<'a> {
    process: &'a Process,
    options: &'a CollectOptions,
    symbols: &'a mut dyn Symbols,
    test: &'a TestId,
    /// Names that two threads of the finding at hand have.
    namesakes: BTreeSet<String>,
    /// Locks of the finding at hand, by address.
    locks: Vec<(u64, LockName)>,
    /// If the test is a doctest: which, and its text, once a frame is in it.
    doctest: Option<(Doctest, OnceCell<Option<Text>>)>,
    /// What was looked up already: a recursion has few places and many calls.
    frames: HashMap<Pc, Vec<Frame>>,
}

impl<'a> Resolver<'a> {
    /// For one process of one test.
    pub fn new(
        process: &'a Process,
        options: &'a CollectOptions,
        symbols: &'a mut dyn Symbols,
        test: &'a TestId,
    ) -> Self {
        Self {
            process,
            options,
            symbols,
            test,
            namesakes: BTreeSet::new(),
            locks: Vec::new(),
            doctest: Doctest::of(test).map(|doctest| (doctest, OnceCell::new())),
            frames: HashMap::new(),
        }
    }

    /// The test.
    pub fn test(&self) -> &'a TestId {
        self.test
    }

    /// Starts a finding in which these threads appear.
    pub fn begin(&mut self, threads: &BTreeSet<ThreadId>) {
        let mut seen = BTreeSet::new();
        self.locks.clear();
        self.namesakes = threads
            .iter()
            .filter_map(|id| {
                let thread = self.process.threads.get(id)?;
                let task = thread.task.as_ref();
                thread
                    .name
                    .clone()
                    .or(task.map(|task| tasks::name(&task.future)))
            })
            .filter(|name| !seen.insert(name.clone()))
            .collect();
    }

    /// From now on threads and tasks of one name are not told apart. Locks keep their
    /// names.
    pub fn forget_namesakes(&mut self) {
        self.namesakes.clear();
    }

    /// The module of an address, and the address in its file.
    fn in_module(&self, address: u64) -> Option<(&'a Module, u64)> {
        let module = self.process.module_at(address)?;
        Some((module, address.wrapping_sub(module.bias)))
    }

    /// The frames of a call stack.
    pub fn stack(&mut self, pcs: &[Pc]) -> Stack {
        self.timed_stack(pcs, &[]).0
    }

    /// The frames of a call stack with the milliseconds of each call, and those of
    /// each frame, as far as they are given.
    pub fn timed_stack(&mut self, pcs: &[Pc], times: &[u64]) -> (Stack, Vec<Option<u64>>) {
        let mut frames: Vec<Frame> = Vec::new();
        let mut of_frames = Vec::new();
        for (at, pc) in pcs.iter().enumerate() {
            // The hooks of the detector are not part of the program.
            frames.extend(
                self.frames_at(*pc)
                    .into_iter()
                    .filter(|frame| !is_hook(frame)),
            );
            of_frames.resize(frames.len(), times.get(at).copied());
        }
        if let Some(wrapper) = test_wrapper(&frames) {
            frames.remove(wrapper);
            of_frames.remove(wrapper);
        }
        (Stack(frames), of_frames)
    }

    /// The frames of one address, innermost first.
    pub fn frames_at(&mut self, pc: Pc) -> Vec<Frame> {
        if let Some(known) = self.frames.get(&pc) {
            return known.clone();
        }
        let found = self.look_up(pc);
        self.frames.insert(pc, found.clone());
        found
    }

    fn look_up(&mut self, pc: Pc) -> Vec<Frame> {
        let Some((module, address)) = self.in_module(pc) else {
            return Vec::new();
        };
        let path = std::path::Path::new(&module.path);
        let mut frames = self.symbols.frames(path, address);
        if let Some((doctest, text)) = &self.doctest {
            for frame in &mut frames {
                if let Some(wrapper) = Wrapper::of(frame.function.path()) {
                    let begins = self.symbols.first_line(path, &wrapper.function);
                    let text = text.get_or_init(|| {
                        let file = std::fs::read_to_string(self.options.absolute(&doctest.file));
                        doctest.text(&file.ok()?)
                    });
                    doctests::place(frame, doctest, text.as_ref(), &wrapper, begins);
                } else if doctests::is_harness(&frame.function) {
                    doctests::forget_place(frame);
                }
            }
        }
        frames
            .into_iter()
            .map(|raw| {
                let (class, place) = self.options.locate(&raw, path);
                Frame {
                    function: raw.function,
                    place,
                    class,
                    inlined: raw.inlined,
                }
            })
            .collect()
    }

    /// The functions at an address with type arguments, innermost first.
    pub fn generic_names(&mut self, pc: Pc) -> Vec<String> {
        let Some((module, address)) = self.in_module(pc) else {
            return Vec::new();
        };
        self.symbols
            .generic_names(std::path::Path::new(&module.path), address)
    }

    /// The static at an address, and the offset in it.
    pub fn variable(&mut self, address: u64) -> Option<(Variable, u64)> {
        let (module, inside) = self.in_module(address)?;
        let path = std::path::Path::new(&module.path);
        let mut found = self.symbols.variable(path, inside)?;
        if self.doctest.is_some() {
            found.name = doctests::shown(&found.name);
        }
        let offset = inside - found.address;
        Some((found, offset))
    }

    /// What a task is, if it is one.
    pub fn task(&self, id: ThreadId) -> Option<&'a wire::TaskType> {
        self.process.threads.get(&id)?.task.as_ref()
    }

    /// The thread-local whose first value is at an address.
    pub fn thread_local(&mut self, initial: u64) -> Option<String> {
        let (module, inside) = self.in_module(initial)?;
        self.symbols
            .thread_local(std::path::Path::new(&module.path), inside)
    }

    /// How a thread or task is called.
    pub fn label(&self, id: ThreadId) -> ThreadLabel {
        if id == MAIN {
            return ThreadLabel::Main;
        }
        let thread = self.process.threads.get(&id);
        if let Some(task) = self.task(id) {
            let own = thread.and_then(|thread| thread.name.clone());
            let name = own.unwrap_or_else(|| tasks::name(&task.future));
            return if self.namesakes.contains(&name) {
                ThreadLabel::TaskNamesake(name, id)
            } else {
                ThreadLabel::Task(name)
            };
        }
        let parent = thread.and_then(|thread| thread.parent);
        match thread
            .and_then(|thread| thread.name.as_ref())
            .filter(|name| !name.is_empty())
        {
            None => ThreadLabel::Unnamed(id),
            Some(name) if self.is_test_thread(parent, name) => ThreadLabel::Test,
            Some(name) if self.namesakes.contains(name) => {
                ThreadLabel::Namesake(printable(name), id)
            }
            Some(name) => ThreadLabel::Named(printable(name)),
        }
    }

    /// The harness names the thread of a test by the test, and starts it from
    /// the main thread.
    fn is_test_thread(&self, parent: Option<ThreadId>, name: &str) -> bool {
        parent == Some(MAIN)
            && (self.test.name == name
                || (name.len() == KERNEL_NAME && self.test.name.starts_with(name)))
    }

    /// How a thread is called in a timeline, where all of them are.
    pub fn lane_name(&self, lane: &wire::Lane) -> String {
        if let Some(task) = &lane.task {
            return tasks::name(&task.future);
        }
        let label = match &lane.name {
            _ if lane.thread == MAIN => ThreadLabel::Main,
            Some(name) if self.is_test_thread(lane.parent, name) => ThreadLabel::Test,
            Some(name) if !name.is_empty() => ThreadLabel::Named(printable(name)),
            Some(_) | None => ThreadLabel::Unnamed(lane.thread),
        };
        label.name()
    }

    /// A thread and the chain of its spawners.
    pub fn thread(&mut self, id: ThreadId) -> Thread {
        let label = self.label(id);
        let mut spawned = Vec::new();
        let mut at = id;
        while spawned.len() < MAX_SPAWN_CHAIN
            && !matches!(self.label(at), ThreadLabel::Main | ThreadLabel::Test)
        {
            let Some(thread) = self.process.threads.get(&at) else {
                break;
            };
            let Some(parent) = thread.parent else { break };
            let stack = self.stack(&thread.spawned_at);
            spawned.push(SpawnStep {
                by: self.label(parent),
                at: stack,
            });
            at = parent;
        }
        let finished = self
            .process
            .threads
            .get(&id)
            .is_some_and(|thread| thread.finished);
        Thread {
            label,
            spawned,
            finished,
        }
    }

    /// How a lock is called in the finding at hand.
    pub fn lock_name(&mut self, address: u64) -> LockName {
        if let Some((_, name)) = self.locks.iter().find(|(known, _)| *known == address) {
            return name.clone();
        }
        let name = match self.variable(address) {
            Some((variable, _)) => LockName::Static(self.unique(variable.name)),
            None => LockName::Letter(self.next_letter()),
        };
        self.locks.push((address, name.clone()));
        name
    }

    /// The last segment of a static's path, unless another lock of the
    /// finding is called so.
    fn unique(&self, path: String) -> String {
        let last = path.rsplit("::").next().unwrap_or(&path).to_owned();
        let short = LockName::Static(last.clone());
        if self.locks.iter().any(|(_, name)| *name == short) {
            path
        } else {
            last
        }
    }

    fn next_letter(&self) -> char {
        let used = self
            .locks
            .iter()
            .filter(|(_, name)| matches!(name, LockName::Letter(_)));
        // After 26 locks in one finding their letters repeat.
        let nth = u8::try_from(used.count() % 26).unwrap_or(0);
        char::from(b'A' + nth)
    }

    /// The locks that a leg holds, those of the user and of dependencies:
    /// what std and the harness hold inside guards nothing of the program. A
    /// lock taken where the thread waits now is the one that it waits for.
    pub fn held(&mut self, locks: &[wire::Lock], waits_at: Option<&Stack>) -> Vec<HeldLock> {
        let place = |stack: &Stack| stack.primary().and_then(|frame| frame.place.clone());
        let waits_at = waits_at.and_then(place);
        let named =
            |frame: &Frame| matches!(frame.class, FrameClass::User | FrameClass::Dependency);
        let mut held: Vec<HeldLock> = Vec::new();
        for lock in locks {
            let acquired = self.stack(&lock.stack);
            let is_wait = waits_at.is_some() && place(&acquired) == waits_at;
            if is_wait || !acquired.frames().iter().any(named) {
                continue;
            }
            let lock = HeldLock {
                name: self.lock_name(lock.addr),
                acquired,
                shared: lock.shared,
            };
            if !held.contains(&lock) {
                held.push(lock);
            }
        }
        held
    }
}

/// A name that a program has chosen, without what a terminal would obey.
fn printable(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if c.is_control() {
            text.extend(c.escape_default());
        } else {
            text.push(c);
        }
    }
    text
}

/// The detector's own functions, those in patched executors included.
fn is_hook(frame: &Frame) -> bool {
    frame.function.rust_crate() == Some("leakcheck")
        || (frame.class == FrameClass::Runtime && frame.function.path().starts_with("__tsan_"))
        || executors::added(&frame.function)
}

/// `#[test] fn x` is called by a closure `x::{closure}` that the compiler made: where
/// the outermost frame of the user's is if it is that, which is dropped.
fn test_wrapper(frames: &[Frame]) -> Option<usize> {
    let mut users = frames
        .iter()
        .enumerate()
        .rev()
        .filter(|(_, frame)| frame.class == FrameClass::User)
        .map(|(at, frame)| (at, frame.function.path()));
    let ((outer, wrapper), (inner, test)) = (users.next()?, users.next()?);
    (outer == inner + 1 && wrapper.strip_suffix("::{closure}") == Some(test)).then_some(outer)
}
