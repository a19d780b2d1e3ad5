//! Code of a type's own that runs where no call is written, in the middle of a
//! statement: an operator, a format, a conversion, the drop of a temporary.
//!
//! It runs once its operands are there, and these may access, too. So from the
//! first operand of such a type to the end of the statement, code that is not
//! tracked runs before and after all else ([`Own`]).

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use super::super::foreign::{DROPS, Deed, does};
use super::super::local;
use super::super::probe::Other;
use super::{calls, elsewhere, hash};

/// From when on code of a type's own may run in a statement.
#[derive(Debug, Default)]
pub struct Own(AtomicBool);

impl Own {
    /// Not yet.
    #[must_use]
    #[inline]
    pub const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// From now on.
    #[cold]
    fn begins(&self) {
        if !self.0.load(Ordering::Relaxed) && !elsewhere() {
            let counted = local::with(|local| local.own.set(local.own.get() + 1));
            self.0.store(counted.is_some(), Ordering::Relaxed);
        }
    }

    /// The statement is over.
    #[inline]
    pub fn now(&self) {
        if self.0.load(Ordering::Relaxed) {
            self.0.store(false, Ordering::Relaxed);
            local::with(|local| {
                local.own.set(local.own.get().saturating_sub(1));
                local.settle();
                local.opaque();
            });
        }
    }

    /// An operand is there.
    #[inline]
    pub fn asked<T>(&self, value: T, deed: Deed, name: u64) -> T {
        operates(does::<T>(deed), name, Some(self));
        value
    }

    /// As [`Own::asked`], of what is looked at.
    #[inline]
    pub fn looked<'v, T: ?Sized>(&self, value: &'v T, deed: Deed, name: u64) -> &'v T {
        operates(does::<T>(deed), name, Some(self));
        value
    }

    /// A temporary is there: its drop comes at the end of the statement.
    #[inline]
    pub fn temporary<T>(&self, value: T) -> T {
        if does::<T>(Deed::Drop) {
            calls(DROPS);
            self.begins();
        }
        value
    }
}

impl Drop for Own {
    #[inline]
    fn drop(&mut self) {
        self.now();
    }
}

/// Tells of an operator if its operands have code of their own, which it calls
/// by this name; until the end of the statement, where more operands are to
/// come.
#[inline]
pub fn operates(own: bool, name: u64, until: Option<&Own>) {
    if own {
        calls(name);
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
