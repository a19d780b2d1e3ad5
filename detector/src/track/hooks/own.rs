//! Code of a type's own that runs where no call is written, in the middle of a
//! statement: an operator, a format, a conversion, the drop of a temporary.
//!
//! It runs once its operands are there, and these may access, too. So from the
//! first operand of such a type to the end of the statement, code that is not
//! tracked runs before and after all else ([`Own`]).

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use super::super::callee;
use super::super::foreign::{DROPS, Deed};
use super::super::local::{self, Call};
use super::super::probe::Other;
use super::super::runs::{call, does, shares};
use super::{calls, dropped_shared, elsewhere, hash};

/// From when on code of a type's own may run in a statement.
#[derive(Debug, Default)]
pub struct Own {
    begun: AtomicBool,
    /// What is dropped at the end is shared with others.
    shares: AtomicBool,
    /// What else happens on this thread until the end comes before and after.
    counts: bool,
}

impl Own {
    /// Not yet.
    #[must_use]
    #[inline]
    pub const fn new() -> Self {
        Self {
            begun: AtomicBool::new(false),
            shares: AtomicBool::new(false),
            counts: true,
        }
    }

    /// As that, of a statement that may go on in another thread, and of what
    /// lives longer than its statement: what happens meanwhile is not told.
    #[must_use]
    #[inline]
    pub const fn lasting() -> Self {
        Self {
            begun: AtomicBool::new(false),
            shares: AtomicBool::new(false),
            counts: false,
        }
    }

    /// From now on.
    #[cold]
    fn begins(&self) {
        if self.begun.load(Ordering::Relaxed) || elsewhere() {
            return;
        }
        let counted = local::with(|local| {
            local
                .own
                .set(local.own.get().saturating_add(self.counts.into()));
        });
        self.begun.store(counted.is_some(), Ordering::Relaxed);
    }

    /// The statement is over.
    #[inline]
    pub fn now(&self) {
        if self.begun.load(Ordering::Relaxed) {
            self.begun.store(false, Ordering::Relaxed);
            local::with(|local| {
                let left = local.own.get().saturating_sub(self.counts.into());
                local.own.set(left);
                local.settle();
                local.opaque();
            });
        }
    }

    /// An operand is there.
    #[inline]
    #[track_caller]
    pub fn asked<T>(&self, value: T, deed: Deed, name: u64) -> T {
        operates(does::<T>(deed), call::<T>(name), Some(self));
        value
    }

    /// As [`Own::asked`], of what is looked at.
    #[inline]
    #[track_caller]
    pub fn looked<'v, T: ?Sized>(&self, value: &'v T, deed: Deed, name: u64) -> &'v T {
        operates(does::<T>(deed), call::<T>(name), Some(self));
        value
    }

    /// The function that a path names, which is called once its arguments are
    /// there: more may happen before.
    #[inline]
    pub fn called<F>(&self, written: u64, function: F) -> F {
        if !elsewhere() {
            let callee = callee::of_value::<F>();
            operates(callee.may_run(written), callee.number, Some(self));
        }
        function
    }

    /// What is called is not known.
    #[inline]
    pub fn anything(&self) {
        operates(true, const { hash("…") }, Some(self));
    }

    /// A temporary is there: its drop comes at the end of the statement.
    #[inline]
    pub fn temporary<T>(&self, value: T) -> T {
        operates(self.drops::<T>(), DROPS, Some(self));
        value
    }

    /// As that, of one that a variable borrows: its drop comes once the variable
    /// is gone.
    #[inline]
    pub fn kept<T>(&self, value: T) -> T {
        self.keeps(self.drops::<T>());
        value
    }

    /// As that, by the answer.
    #[inline]
    pub fn keeps(&self, drops: bool) {
        if drops {
            self.begins();
        }
    }

    /// True if the drop of such a value, at the end, runs code that is not known.
    #[inline]
    pub fn drops<T: ?Sized>(&self) -> bool {
        if shares::<T>() {
            self.shares.store(true, Ordering::Relaxed);
        }
        does::<T>(Deed::Drop)
    }

    /// What goes right before what was kept.
    #[must_use]
    #[inline]
    pub const fn ending(&self) -> Ending<'_> {
        Ending(self)
    }
}

impl Drop for Own {
    /// What the last expression of a block leaves may be dropped after this.
    #[inline]
    fn drop(&mut self) {
        let begun = self.begun.load(Ordering::Relaxed);
        self.now();
        if self.shares.load(Ordering::Relaxed) {
            dropped_shared();
        }
        operates(begun, DROPS, None);
    }
}

/// Tells that what was kept is about to be dropped.
#[derive(Debug)]
pub struct Ending<'o>(&'o Own);

impl Drop for Ending<'_> {
    #[inline]
    fn drop(&mut self) {
        operates(self.0.begun.load(Ordering::Relaxed), DROPS, None);
    }
}

/// Tells of an operator if its operands have code of their own, which it calls
/// by this name; until the end of the statement, where more operands are to
/// come.
#[inline]
pub fn operates(own: bool, call: impl Into<Call>, until: Option<&Own>) {
    if own {
        calls(call);
        if let Some(own) = until {
            own.begins();
        }
    }
}

/// What `?` is asked of.
#[derive(Debug)]
pub struct Question<'a, T>(&'a T, Other);

impl<'a, T> Question<'a, T> {
    /// This value.
    pub const fn new(value: &'a T) -> Self {
        Self(value, Other)
    }
}

/// An error goes through `From`, of which only the function's own type says
/// whose it is.
fn converts(is: bool) {
    if is {
        calls(const { hash("from") });
    }
}

impl<T, E> Question<'_, Result<T, E>> {
    /// It is about to be taken apart.
    #[inline]
    pub fn asks(&self) {
        converts(self.0.is_err());
    }
}

impl<T> Question<'_, Option<T>> {
    /// It is about to be taken apart.
    #[inline]
    pub const fn asks(&self) {}
}

impl<T, E> Question<'_, Poll<Result<T, E>>> {
    /// It is about to be taken apart.
    #[inline]
    pub fn asks(&self) {
        converts(matches!(self.0, Poll::Ready(Err(_))));
    }
}

impl<T, E> Question<'_, Poll<Option<Result<T, E>>>> {
    /// It is about to be taken apart.
    #[inline]
    pub fn asks(&self) {
        converts(matches!(self.0, Poll::Ready(Some(Err(_)))));
    }
}

impl<T> Deref for Question<'_, T> {
    type Target = Other;

    fn deref(&self) -> &Other {
        &self.1
    }
}

impl Other {
    /// Another type that `?` takes apart.
    #[inline]
    pub fn asks(&self) {
        converts(true);
    }
}

/// The condition of an assertion whose message names variables.
#[derive(Debug)]
pub struct Condition<'a, T>(&'a T, Other);

impl<'a, T> Condition<'a, T> {
    /// This value.
    pub const fn new(value: &'a T) -> Self {
        Self(value, Other)
    }
}

impl Condition<'_, bool> {
    /// It is about to be looked at.
    #[inline]
    pub fn holds(&self) {
        if !*self.0 {
            fails();
        }
    }
}

impl<T> Deref for Condition<'_, T> {
    type Target = Other;

    fn deref(&self) -> &Other {
        &self.1
    }
}

impl Other {
    /// Another type that is a condition.
    #[inline]
    pub fn holds(&self) {
        fails();
    }
}

/// What a failing assertion shows is about to be formatted: nothing is added.
#[inline]
pub fn fails() -> &'static str {
    calls(const { hash("fmt") });
    ""
}
