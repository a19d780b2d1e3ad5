//! Asks whether code of a type's own may run where no call is written, and tells
//! that it is about to: see [`super::foreign`].

use std::marker::PhantomData;

use super::callee;
use super::foreign::{DROPS, Deed, is_number};
use super::hooks::own::Own;
use super::hooks::{calls, dropped_shared, elsewhere, hash};
use super::local::Call;
use super::methods;
use super::object;

/// True if code of `T`'s own does that, as far as is known.
#[inline]
pub fn does<T: ?Sized>(deed: Deed) -> bool {
    let name = std::any::type_name::<T>();
    if deed == Deed::Drop && !std::mem::needs_drop::<T>()
        || is_number(name) && deed != Deed::Spawns
        || deed == Deed::Deref && name.starts_with('&')
        || elsewhere()
    {
        return false;
    }
    object::known(name).foreign.does(deed)
}

/// A value of `T` is about to be dropped. True if that runs code of its own, as far
/// as is known.
#[inline]
pub fn drops<T: ?Sized>() -> bool {
    if shares::<T>() {
        dropped_shared();
    }
    does::<T>(Deed::Drop)
}

/// True if a value of `T` has a part that is shared with others.
#[inline]
pub fn shares<T: ?Sized>() -> bool {
    std::mem::needs_drop::<T>() && !elsewhere() && object::known(std::any::type_name::<T>()).shares
}

/// As [`does`], of a method of this name.
#[inline]
pub fn does_as<T: ?Sized>(deed: Deed, name: u64) -> bool {
    const ENDS: [u64; 3] = [hash("ok"), hash("err"), hash("unwrap_or")];
    does::<T>(deed)
        || (matches!(deed, Deed::Method | Deed::Each) || ENDS.contains(&name))
            && !elsewhere()
            && is_extended::<T>(name)
}

/// True if a method of this name is none of those that `T` has by itself or by a
/// trait of std's.
fn is_extended<T: ?Sized>(method: u64) -> bool {
    let type_name = std::any::type_name::<T>();
    let standard = object::known(type_name).foreign.standard;
    standard.is_extended(method) || methods::is_extension(type_name, method)
}

/// Tells that code of `T`'s own is about to run, if it has any that is not
/// known: as a call of this name.
#[inline]
#[track_caller]
pub fn runs<T: ?Sized>(deed: Deed, name: u64) {
    if does_as::<T>(deed, name) {
        calls(call::<T>(name));
    }
}

/// The call of what of this name a value of `T` may run, by who calls this.
#[inline]
#[track_caller]
pub fn call<T: ?Sized>(name: u64) -> Call {
    if name == DROPS {
        Call::of(DROPS)
    } else {
        callee::method::<T>(name)
    }
}

/// As [`runs`], asked of a value on its way to a method.
#[inline]
#[track_caller]
pub fn asked<T>(value: T, deed: Deed, name: u64) -> T {
    runs::<T>(deed, name);
    value
}

/// As [`asked`], of what is looked at.
#[inline]
#[track_caller]
pub fn looked<T: ?Sized>(value: &T, deed: Deed, name: u64) -> &T {
    runs::<T>(deed, name);
    value
}

/// A value that is dropped where it is made.
#[inline]
pub fn dropping<T>(value: T) -> T {
    if drops::<T>() {
        calls(DROPS);
    }
    value
}

/// Asks about a place.
pub struct Runs<T: ?Sized>(PhantomData<fn() -> *const T>);

impl Runs<dyn std::any::Any> {
    /// About what may be anything.
    #[must_use]
    pub const fn of_any() -> Self {
        Self::unasked()
    }
}

impl<T: ?Sized> Runs<T> {
    /// Asks about the type of a place that is not looked at, as
    /// [`super::place::Step::unasked`].
    #[must_use]
    pub const fn unasked() -> Self {
        Self(PhantomData)
    }

    /// Asks about the place at this address.
    pub const fn at(_place: *const T) -> Self {
        Self::unasked()
    }

    /// Asks about the type of this value.
    pub const fn like(_value: &T) -> Self {
        Self::unasked()
    }

    /// As that, of the place whose address `_place` would take, of a value that there
    /// need not be.
    pub fn of<A>(_place: impl FnOnce(A) -> *const T) -> Self {
        Self::unasked()
    }

    /// As that, of a value that would be taken.
    pub fn value(_value: T) -> Self
    where
        T: Sized,
    {
        Self::unasked()
    }

    /// Its own code is about to run.
    #[inline]
    #[track_caller]
    pub fn runs(self, deed: Deed, name: u64) {
        runs::<T>(deed, name);
    }

    /// A method of this name is about to be called on it.
    #[inline]
    #[track_caller]
    pub fn calls(self, name: u64) {
        if !elsewhere() {
            calls(callee::method::<T>(name));
        }
    }

    /// True if its own code does that, by a method of this name.
    #[inline]
    #[must_use]
    pub fn does_as(self, deed: Deed, name: u64) -> bool {
        does_as::<T>(deed, name)
    }

    /// It is about to be dropped: see [`drops`].
    #[inline]
    #[must_use]
    pub fn drops(self) -> bool {
        drops::<T>()
    }

    /// It is dropped when the statement ends: see [`Own::drops`].
    #[inline]
    #[must_use]
    pub fn drops_with(self, own: &Own) -> bool {
        own.drops::<T>()
    }

    /// True if its own code does that.
    #[inline]
    #[must_use]
    pub fn does(self, deed: Deed) -> bool {
        does::<T>(deed)
    }
}
