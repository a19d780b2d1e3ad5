//! What an expansion calls. Every function takes and returns values as they
//! are, so that the tracked program stays what it was.
//!
//! Where the runtime of `leakcheck test` is in the process, all of this only
//! tells it names: it sees the same accesses, locks, threads and tasks itself,
//! and a defect is told once.
//!
//! - [`access`], [`reached`] and [`tag`]: shared variables; [`order`]: what synchronises; [`spawn`]:
//!   what is spawned, and where tasks wait; [`own`]: what runs where no call is written.

pub mod access;
pub mod order;
pub mod own;
pub mod reached;
pub mod spawn;
pub mod tag;

use std::cell::Cell;

use super::callee;
use super::channel;
use super::engine;
use super::foreign::DROPS;
use super::local::{self, Around, Call, Local};
use super::object::{Keys, name_hash};
use super::site::{Owner, Site};
use crate::hooks::lookup;
use crate::hooks::table::{Field, Text};

/// True where another front end feeds the engine of this process.
#[inline]
pub fn elsewhere() -> bool {
    lookup::hooks().is_some()
}

/// Tells the runtime, where there is one, how what runs here is called.
pub fn tell_name(site: &Site) {
    if let (Some(hooks), Some(name)) = (lookup::hooks(), site.item.name) {
        (hooks.named)(name.as_ptr(), name.len());
    }
}

thread_local! {
    /// The first poll of a task runs, and it has not waited yet.
    static BEGINS: Cell<bool> = const { Cell::new(false) };
}

/// The first poll of a task, where there is a runtime: dropped when it ends.
#[derive(Debug)]
pub struct Begins {
    around: bool,
}

impl Begins {
    /// A task that was spawned at `site` begins.
    #[must_use]
    pub fn task(site: &Site) -> Self {
        tell_name(site);
        let around = BEGINS.replace(true);
        Self { around }
    }

    /// It waits: the function that it runs may give it another name.
    fn waits(site: &Site) {
        if BEGINS.replace(false) {
            tell_name(site);
        }
    }
}

impl Drop for Begins {
    fn drop(&mut self) {
        BEGINS.set(self.around);
    }
}

/// A text of the program's, for the runtime.
fn text(of: &'static str) -> Text {
    Text {
        start: of.as_ptr(),
        len: of.len(),
    }
}

/// Tells the runtime, where there is one, the name of a static variable.
pub fn tell_variable(name: &'static str, (addr, size): (usize, usize)) {
    if let Some(hooks) = lookup::hooks() {
        (hooks.variable_named)(addr, size, text(name));
    }
}

/// Tells the runtime, where there is one, that a field is about to be accessed.
fn tell_field(site: &Site, owner: &Owner, addr: usize, size: usize) {
    if let Some(hooks) = lookup::hooks() {
        let field = Field {
            addr,
            size,
            owner: text(owner.type_name()),
            name: text(owner.item.name.unwrap_or_default()),
            field: text(owner.field),
            file: text(site.file),
            line: site.line,
        };
        (hooks.field_accessed)(&raw const field);
    }
}

/// Calls `f` with the cells of this thread, where this front end judges.
#[inline]
fn here<R>(f: impl FnOnce(&Local) -> R) -> Option<R> {
    if elsewhere() {
        return None;
    }
    local::inside(|local| {
        if local.own.get() != 0 {
            // Code of a type's own may have run meanwhile.
            local.opaque();
        }
        f(local)
    })
}

/// The first of two values, after the second.
#[inline]
pub fn first<T>(value: T, (): ()) -> T {
    value
}

/// The second of two values, after the first.
#[inline]
pub fn second<T>((): (), value: T) -> T {
    value
}

/// A value as it is.
#[inline]
pub fn as_it_is<T>(value: T) -> T {
    value
}

/// A value as it is, whatever is wanted of it: of the base of a field, nothing
/// is.
#[derive(Debug)]
pub struct AsItIs<T>(pub T);

/// A value as it is, once it was looked at.
#[inline]
pub fn pass<T>(value: T, look: impl FnOnce(&T)) -> T {
    look(&value);
    value
}

/// Never called: tells the compiler what an async block returns.
pub fn returned<T>() -> T {
    unreachable!("an expansion names this in code that is not run")
}

/// Hash of a function's name.
#[must_use]
pub const fn hash(name: &str) -> u64 {
    // Zero stands for no name.
    name_hash(name) | 1
}

/// A tracked function of a module is entered, in which this one is.
#[inline]
pub fn entered<F>(_here: F) -> Entered {
    Entered::begin(|| callee::of_value::<F>().number)
}

/// A tracked function of a type, of this name, is entered, in which this one is.
#[inline]
pub fn entered_of<T: ?Sized, F>(name: u64, _here: F) -> Entered {
    Entered::begin(|| callee::of_type::<T, F>(name))
}

/// As that, of a function that a trait gives to all its types.
#[inline]
pub fn entered_default<T: ?Sized, F>(name: u64, _here: F) -> Entered {
    Entered::begin(|| callee::of_default::<T, F>(name))
}

/// As that, of a trait that is given something: a type may have it more than once.
#[inline]
pub fn entered_given_default<T: ?Sized, F>(name: u64, _here: F) -> Entered {
    Entered::begin(|| callee::of_given_default::<T, F>(name))
}

/// A closure is entered that is called by nothing but its name.
#[inline]
pub fn entered_closure(name: u64) -> Entered {
    Entered::begin(|| name)
}

/// A tracked function runs; dropped when it is left. Where it returns to code
/// that is not tracked, that may publish what was done here.
#[derive(Debug)]
pub struct Entered {
    returns_to_tracked: bool,
    /// Who called may coerce what is returned, by code of its type's own.
    lends: bool,
    around: Option<Around>,
}

impl Entered {
    #[inline]
    fn begin(number: impl FnOnce() -> u64) -> Self {
        let entered = (!elsewhere()).then(number).and_then(|number| {
            // In this order: what is around it does not count here.
            local::inside(|local| local.enters(number))
        });
        Self {
            returns_to_tracked: entered.is_none_or(|(_, is_answer)| is_answer),
            lends: false,
            around: entered.map(|(around, _)| around),
        }
    }

    /// A closure, of which nobody knows who calls it.
    #[must_use]
    #[inline]
    pub fn by_any() -> Self {
        Self::begin(|| 0)
    }

    /// An `async fn`, which who awaits it goes on with.
    #[must_use]
    #[inline]
    pub const fn awaited() -> Self {
        Self {
            returns_to_tracked: true,
            lends: false,
            around: None,
        }
    }

    /// What is returned may be coerced by code of its type's own.
    #[must_use]
    #[inline]
    pub const fn lending(mut self, lends: bool) -> Self {
        self.lends = lends;
        self
    }
}

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        if !self.returns_to_tracked {
            leaves();
        }
        if let Some(around) = self.around.take() {
            let was_answer = self.returns_to_tracked;
            local::inside(|local| local.leaves(around, was_answer));
        }
        own::operates(self.lends, const { hash("deref") }, None);
    }
}

/// A function is about to be called that may be tracked.
#[inline]
pub fn calls(call: impl Into<Call>) {
    here(|local| local.calls(call.into()));
}

/// The function that a path names, which is about to be called: nothing happens
/// before. `written` is how the path ends.
#[inline]
pub fn called<F>(written: u64, function: F) -> F {
    if !elsewhere() {
        let callee = callee::of_value::<F>();
        if callee.may_run(written) {
            calls(callee.number);
        }
    }
    function
}

/// What this thread shares with others is about to be dropped.
#[inline]
pub fn dropped_shared() {
    here(Local::dropped_shared);
}

/// Code that is not tracked runs here.
#[inline]
pub fn opaque() {
    here(|local| {
        local.settle();
        local.opaque();
    });
}

/// Code that is not tracked runs until this is dropped.
#[derive(Debug)]
pub struct Opaque(());

impl Opaque {
    /// From now on.
    #[must_use]
    #[inline]
    pub fn begin() -> Self {
        opaque();
        Self(())
    }
}

impl Drop for Opaque {
    fn drop(&mut self) {
        leaves();
    }
}

/// As [`opaque`], where a scope is left: what it drops besides goes after this.
fn leaves() {
    here(|local| {
        let drops = local.is_calling(DROPS);
        local.settle();
        local.opaque();
        if drops {
            local.calls(DROPS.into());
        }
    });
}

fn release(local: &Local, keys: impl Into<Keys>) {
    let [first, second] = keys.into().releases;
    engine::release(local.strand(), first);
    if second != first {
        engine::release(local.strand(), second);
    }
}

fn acquire(local: &Local, keys: impl Into<Keys>) {
    let [first, second] = keys.into().acquires;
    engine::acquire(local.strand(), first);
    if second != first {
        engine::acquire(local.strand(), second);
    }
}

/// Two values were made together: they may be the ends of a channel.
pub fn made<A: ?Sized, B: ?Sized>(one: &A, other: &B) {
    if !elsewhere() {
        channel::made(one, other);
    }
}
