//! Questions about types that an expansion cannot see: dispatch by type.
//!
//! An inherent method on some types, and behind a `Deref` the same method for
//! all others: method resolution takes the first that fits, without a trait
//! that would have to be in scope, and never fails.

use std::ops::Deref;
use std::ptr::NonNull;
use std::thread::{JoinHandle, ScopedJoinHandle, Thread, ThreadId};

use super::hooks::elsewhere;
use super::object::{self, Object};
use super::runs::drops;

/// The answer for all other types.
#[derive(Debug, Clone, Copy, Default)]
pub struct Other;

/// Is it a raw pointer?
pub struct Raw<'a, T: ?Sized>(pub &'a T, Other);

impl<'a, T: ?Sized> Raw<'a, T> {
    /// Asks about `value`.
    pub const fn new(value: &'a T) -> Self {
        Self(value, Other)
    }
}

impl<T: ?Sized> Raw<'_, *const T> {
    /// It is.
    pub const fn is(&self) -> bool {
        true
    }
}

impl<T: ?Sized> Raw<'_, *mut T> {
    /// It is.
    pub const fn is(&self) -> bool {
        true
    }
}

impl<T: ?Sized> Deref for Raw<'_, T> {
    type Target = Other;

    fn deref(&self) -> &Other {
        &self.1
    }
}

impl Other {
    /// It is not.
    pub const fn is(&self) -> bool {
        false
    }
}

/// A pointer that a method reads or writes through.
pub struct Pointer<'a, T: ?Sized>(&'a T, NoPointer);

/// The answer for all other types.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPointer;

impl<'a, T: ?Sized> Pointer<'a, T> {
    /// Asks about `value`.
    pub const fn new(value: &'a T) -> Self {
        Self(value, NoPointer)
    }
}

impl<T> Pointer<'_, *const T> {
    /// An access.
    pub fn access(&self, site: impl Into<super::site::Told>, writes: bool) {
        super::hooks::access::element(site, *self.0, writes);
    }

    /// A volatile access.
    pub fn volatile(&self, site: impl Into<super::site::Told>, writes: bool) {
        super::hooks::access::volatile(site, *self.0, writes);
    }

    /// An access to so many values.
    pub fn accesses(&self, site: impl Into<super::site::Told>, writes: bool, count: &usize) {
        super::hooks::access::elements(site, *self.0, *count, writes);
    }
}

impl<T: ?Sized> Pointer<'_, *mut T> {
    /// True if the end of what it points to runs code that is not known.
    pub fn drops(&self) -> bool {
        drops::<T>()
    }
}

impl<T> Pointer<'_, *mut T> {
    /// An access.
    pub fn access(&self, site: impl Into<super::site::Told>, writes: bool) {
        super::hooks::access::element(site, *self.0, writes);
    }

    /// A volatile access.
    pub fn volatile(&self, site: impl Into<super::site::Told>, writes: bool) {
        super::hooks::access::volatile(site, *self.0, writes);
    }

    /// An access to so many values.
    pub fn accesses(&self, site: impl Into<super::site::Told>, writes: bool, count: &usize) {
        super::hooks::access::elements(site, *self.0, *count, writes);
    }
}

impl<T> Pointer<'_, NonNull<T>> {
    /// An access.
    pub fn access(&self, site: impl Into<super::site::Told>, writes: bool) {
        super::hooks::access::element(site, self.0.as_ptr(), writes);
    }

    /// A volatile access.
    pub fn volatile(&self, site: impl Into<super::site::Told>, writes: bool) {
        super::hooks::access::volatile(site, self.0.as_ptr(), writes);
    }

    /// An access to so many values.
    pub fn accesses(&self, site: impl Into<super::site::Told>, writes: bool, count: &usize) {
        super::hooks::access::elements(site, self.0.as_ptr(), *count, writes);
    }
}

impl<T: ?Sized> Pointer<'_, NonNull<T>> {
    /// True if the end of what it points to runs code that is not known.
    pub fn drops(&self) -> bool {
        drops::<T>()
    }
}

impl<T: ?Sized> Deref for Pointer<'_, T> {
    type Target = NoPointer;

    fn deref(&self) -> &NoPointer {
        &self.1
    }
}

impl NoPointer {
    /// A method of another type is announced by itself.
    pub const fn drops(&self) -> bool {
        false
    }

    /// Nothing that can be told.
    pub fn access(&self, _site: impl Into<super::site::Told>, _writes: bool) {}

    /// Nothing that can be told.
    pub fn volatile(&self, _site: impl Into<super::site::Told>, _writes: bool) {}

    /// Nothing that can be told, whatever the last argument is.
    pub fn accesses<N: ?Sized>(
        &self,
        _site: impl Into<super::site::Told>,
        _writes: bool,
        _count: &N,
    ) {
    }
}

/// The place behind a raw pointer, if its type is such that a read of it can
/// be told: `Copy`, hence without cells in it.
pub struct Plain<T: ?Sized>(*const T, NoPlain);

/// The answer for types that are not `Copy`.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPlain;

impl<T: ?Sized> Plain<T> {
    /// Asks about what `pointer` points to.
    pub const fn new(pointer: *const T) -> Self {
        Self(pointer, NoPlain)
    }
}

impl<T: Copy> Plain<T> {
    /// A read of it.
    pub fn read(&self, site: impl Into<super::site::Told>) {
        super::hooks::access::read(site, self.0);
    }
}

impl<T: ?Sized> Deref for Plain<T> {
    type Target = NoPlain;

    fn deref(&self) -> &NoPlain {
        &self.1
    }
}

impl NoPlain {
    /// Nothing that can be told.
    pub fn read(&self, _site: impl Into<super::site::Told>) {}
}

/// The place behind a raw pointer, if its size is known.
pub struct Whole<T: ?Sized>(*const T, NoWhole);

/// The answer for unsized types.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoWhole;

impl<T: ?Sized> Whole<T> {
    /// Asks about what `pointer` points to.
    pub const fn new(pointer: *const T) -> Self {
        Self(pointer, NoWhole)
    }
}

impl<T> Whole<T> {
    /// A write of it.
    pub fn write(&self, site: impl Into<super::site::Told>) {
        super::hooks::access::write(site, self.0);
    }
}

impl<T: ?Sized> Deref for Whole<T> {
    type Target = NoWhole;

    fn deref(&self) -> &NoWhole {
        &self.1
    }
}

impl NoWhole {
    /// Nothing that can be told.
    pub fn write(&self, _site: impl Into<super::site::Told>) {}
}

/// What does a reference point to?
pub struct Element<'a, T: ?Sized>(&'a T, NoWhole);

impl<'a, T: ?Sized> Element<'a, T> {
    /// Asks about the reference `value`.
    pub const fn new(value: &'a T) -> Self {
        Self(value, NoWhole)
    }
}

impl<T: Copy> Element<'_, &T> {
    /// A read of it.
    pub fn access(&self, site: impl Into<super::site::Told>) {
        super::hooks::access::element(site, std::ptr::from_ref(*self.0), false);
    }
}

impl<T> Element<'_, &mut T> {
    /// A write of it.
    pub fn access(&self, site: impl Into<super::site::Told>) {
        super::hooks::access::element(site, std::ptr::from_ref(&**self.0), true);
    }
}

impl<T: ?Sized> Deref for Element<'_, T> {
    type Target = NoWhole;

    fn deref(&self) -> &NoWhole {
        &self.1
    }
}

impl NoWhole {
    /// Nothing that can be told.
    pub fn access(&self, _site: impl Into<super::site::Told>) {}
}

/// Which object does a method act on? Looks through up to three pointers.
pub struct Probe<'a, T: ?Sized>(Twice<'a, T>);
/// Through up to two.
pub struct Twice<'a, T: ?Sized>(Once<'a, T>);
/// Through one.
pub struct Once<'a, T: ?Sized>(Itself<'a, T>);
/// The object itself.
pub struct Itself<'a, T: ?Sized>(&'a T);

impl<'a, T: ?Sized> Probe<'a, T> {
    /// Asks about `value`.
    pub const fn new(value: &'a T) -> Self {
        Self(Twice(Once(Itself(value))))
    }
}

impl<'a, T: ?Sized> Deref for Probe<'a, T> {
    type Target = Twice<'a, T>;

    fn deref(&self) -> &Twice<'a, T> {
        &self.0
    }
}

impl<'a, T: ?Sized> Deref for Twice<'a, T> {
    type Target = Once<'a, T>;

    fn deref(&self) -> &Once<'a, T> {
        &self.0
    }
}

impl<'a, T: ?Sized> Deref for Once<'a, T> {
    type Target = Itself<'a, T>;

    fn deref(&self) -> &Itself<'a, T> {
        &self.0
    }
}

fn pointer<T: ?Sized>() -> bool {
    let name = std::any::type_name::<T>();
    if elsewhere() {
        object::is_pointer(name)
    } else {
        object::known(name).is_pointer
    }
}

impl<T> Probe<'_, T>
where
    T: Deref<Target: Deref<Target: Deref>> + ?Sized,
{
    /// The object.
    pub fn object(&self) -> Object {
        let first = self.0.0.0.0;
        if !pointer::<T>() {
            return Object::new(first);
        }
        let second: &T::Target = first;
        if !pointer::<T::Target>() {
            return Object::new(second);
        }
        let third: &<T::Target as Deref>::Target = second;
        if !pointer::<<T::Target as Deref>::Target>() {
            return Object::new(third);
        }
        let last: &<<T::Target as Deref>::Target as Deref>::Target = third;
        Object::new(last)
    }
}

impl<T> Twice<'_, T>
where
    T: Deref<Target: Deref> + ?Sized,
{
    /// The object.
    pub fn object(&self) -> Object {
        let first = self.0.0.0;
        if !pointer::<T>() {
            return Object::new(first);
        }
        let second: &T::Target = first;
        if !pointer::<T::Target>() {
            return Object::new(second);
        }
        let last: &<T::Target as Deref>::Target = second;
        Object::new(last)
    }
}

impl<T: Deref + ?Sized> Once<'_, T> {
    /// The object.
    pub fn object(&self) -> Object {
        let first = self.0.0;
        if !pointer::<T>() {
            return Object::new(first);
        }
        let last: &T::Target = first;
        Object::new(last)
    }
}

impl<T: ?Sized> Itself<'_, T> {
    /// The object.
    pub fn object(&self) -> Object {
        Object::new(self.0)
    }
}

/// Which thread does a handle join?
pub struct Joins<'a, T: ?Sized>(&'a T, Other);

impl<'a, T: ?Sized> Joins<'a, T> {
    /// Asks about `handle`.
    pub const fn new(handle: &'a T) -> Self {
        Self(handle, Other)
    }
}

impl<T> Joins<'_, JoinHandle<T>> {
    /// Its thread.
    pub fn thread(&self) -> Option<ThreadId> {
        Some(self.0.thread().id())
    }
}

impl<T> Joins<'_, ScopedJoinHandle<'_, T>> {
    /// Its thread.
    pub fn thread(&self) -> Option<ThreadId> {
        Some(self.0.thread().id())
    }
}

impl<T: ?Sized> Deref for Joins<'_, T> {
    type Target = Other;

    fn deref(&self) -> &Other {
        &self.1
    }
}

impl Other {
    /// Not known: of another library.
    pub const fn thread(&self) -> Option<ThreadId> {
        None
    }
}

/// Which thread does `unpark` wake?
pub struct Wakes<'a, T: ?Sized>(&'a T, Other);

impl<'a, T: ?Sized> Wakes<'a, T> {
    /// Asks about `thread`.
    pub const fn new(thread: &'a T) -> Self {
        Self(thread, Other)
    }
}

impl Wakes<'_, Thread> {
    /// It is about to be woken.
    pub fn wakes(&self) {
        super::hooks::order::unparks(self.0.id());
    }
}

impl Wakes<'_, &Thread> {
    /// It is about to be woken.
    pub fn wakes(&self) {
        super::hooks::order::unparks(self.0.id());
    }
}

impl<T: ?Sized> Deref for Wakes<'_, T> {
    type Target = Other;

    fn deref(&self) -> &Other {
        &self.1
    }
}

impl Other {
    /// Not a thread of std's.
    pub const fn wakes(&self) {}
}

/// Did a `try_` method succeed?
pub struct Outcome<'a, T: ?Sized>(&'a T, Other);

impl<'a, T: ?Sized> Outcome<'a, T> {
    /// Asks about `value`.
    pub const fn new(value: &'a T) -> Self {
        Self(value, Other)
    }
}

impl<T, E> Outcome<'_, Result<T, E>> {
    /// Whether it did.
    pub const fn happened(&self) -> bool {
        self.0.is_ok()
    }
}

impl<T> Outcome<'_, Option<T>> {
    /// Whether it did.
    pub const fn happened(&self) -> bool {
        self.0.is_some()
    }
}

impl<T: ?Sized> Deref for Outcome<'_, T> {
    type Target = Other;

    fn deref(&self) -> &Other {
        &self.1
    }
}

impl Other {
    /// Taken to have.
    pub const fn happened(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;
    use std::sync::{Arc, LazyLock, Mutex};

    use super::*;
    use crate::track::object::Class;

    static LAZY: LazyLock<Mutex<u8>> = LazyLock::new(|| Mutex::new(1));

    #[test]
    fn an_object_is_found_behind_pointers() {
        let number = AtomicU32::new(1);
        let addr = std::ptr::from_ref(&number).addr();
        let object = Probe::new(&number).object();
        assert_eq!((object.class, object.addr), (Class::Atomic, addr));
        let by_ref = &number;
        assert_eq!(Probe::new(&by_ref).object(), object);
        let shared = Arc::new(Mutex::new(vec![1]));
        let other = Arc::clone(&shared);
        let (a, b) = (Probe::new(&shared).object(), Probe::new(&other).object());
        assert_eq!(a, b);
        assert_eq!(a.class, Class::Lock);
        let by_ref = &shared;
        assert_eq!(Probe::new(&by_ref).object(), a);
        assert_eq!(Probe::new(&LAZY).object().class, Class::Lock);
    }

    #[test]
    fn a_type_without_a_rule_is_unknown() {
        struct Mine;
        assert_eq!(Probe::new(&Mine).object().class, Class::Unknown);
        let inert = Probe::new(&Box::new(1u8)).object();
        assert_eq!(inert.class, Class::Inert);
    }

    #[test]
    fn raw_pointers_are_told_from_others() {
        let x = 1u8;
        assert!(Raw::new(&&raw const x).is());
        assert!(!Raw::new(&&x).is());
        assert!(!Raw::new(&Box::new(x)).is());
    }

    #[test]
    fn the_outcome_of_a_try_is_read() {
        assert!(Outcome::new(&Ok::<u8, u8>(1)).happened());
        assert!(!Outcome::new(&Err::<u8, u8>(1)).happened());
        assert!(!Outcome::new(&None::<u8>).happened());
        assert!(Outcome::new(&1u8).happened());
    }
}
