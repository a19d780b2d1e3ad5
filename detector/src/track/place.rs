//! Questions about the places of an access, by the types of their steps.
//!
//! A place is asked about by a closure that would take its address and is
//! never called: what it is made of must not run twice.

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::{LazyLock, MutexGuard, RwLockReadGuard, RwLockWriteGuard};

use super::hooks::elsewhere;
use super::object::{self, PADDED};
use super::probe::Other;
use super::site::{Item, Owner};

/// Stands for a value that is not made: in closures that are never called.
pub fn any<T>(_: &T) -> T {
    unreachable!("an expansion names this in code that is not run")
}

/// Is the place a raw pointer?
pub struct IsRaw<T: ?Sized>(PhantomData<fn() -> *const T>, Other);

impl<T: ?Sized> IsRaw<T> {
    /// Asks about the place whose address `_place` would take.
    pub fn of(_place: impl FnOnce() -> *const T) -> Self {
        Self(PhantomData, Other)
    }
}

impl<T: ?Sized> IsRaw<*const T> {
    /// It is.
    pub const fn is(&self) -> bool {
        true
    }
}

impl<T: ?Sized> IsRaw<*mut T> {
    /// It is.
    pub const fn is(&self) -> bool {
        true
    }
}

impl<T: ?Sized> Deref for IsRaw<T> {
    type Target = Other;

    fn deref(&self) -> &Other {
        &self.1
    }
}

/// What a step goes out from: does it run code of the program's own? Looks
/// through up to three pointers.
pub struct Step<T: ?Sized>(Pointers<T>);
/// An array has no code.
pub struct Pointers<T: ?Sized>(Second<T>);
/// Through up to two pointers.
pub struct Second<T: ?Sized>(First<T>);
/// Through one.
pub struct First<T: ?Sized>(Whatever<T>);
/// Through none.
pub struct Whatever<T: ?Sized>(PhantomData<fn() -> *const T>);

impl<T: ?Sized> Step<T> {
    /// Asks about the type of a place that is not looked at: where it is not
    /// known by the answer, by code after a `break` with it.
    #[must_use]
    pub const fn unasked() -> Self {
        Self(Pointers(Second(First(Whatever(PhantomData)))))
    }

    /// Asks about the place at this address.
    pub const fn at(_place: *const T) -> Self {
        Self::unasked()
    }

    /// Asks about the type of this value.
    pub const fn like(_like: &T) -> Self {
        Self::unasked()
    }

    /// Asks about the type of a value that would be taken.
    pub fn value(_value: T) -> Self
    where
        T: Sized,
    {
        Self::unasked()
    }

    /// Asks about the place whose address `_place` would take, of a value that
    /// there need not be.
    pub fn of<A>(_place: impl FnOnce(A) -> *const T) -> Self {
        Self::unasked()
    }

    /// Asks about the type that `_like` would tell.
    pub fn told(_like: impl FnOnce() -> Like<T>) -> Self {
        Self::unasked()
    }
}

/// Stands for a type.
pub struct Like<T: ?Sized>(PhantomData<fn() -> *const T>);

/// The type of what `_value` refers to.
pub const fn like<T: ?Sized>(_value: &T) -> Like<T> {
    Like(PhantomData)
}

/// A reference to what a method is called on, as that method takes one.
///
/// What is called on a reference captures, in a closure, what it refers to, and not
/// the variable that holds it.
pub trait Seen {
    /// The same.
    fn __leakcheck_seen(&self) -> &Self;
}

impl<T: ?Sized> Seen for T {
    fn __leakcheck_seen(&self) -> &Self {
        self
    }
}

impl<T: ?Sized> Deref for Step<T> {
    type Target = Pointers<T>;

    fn deref(&self) -> &Pointers<T> {
        &self.0
    }
}

impl<T: ?Sized> Deref for Pointers<T> {
    type Target = Second<T>;

    fn deref(&self) -> &Second<T> {
        &self.0
    }
}

impl<T: ?Sized> Deref for Second<T> {
    type Target = First<T>;

    fn deref(&self) -> &First<T> {
        &self.0
    }
}

impl<T: ?Sized> Deref for First<T> {
    type Target = Whatever<T>;

    fn deref(&self) -> &Whatever<T> {
        &self.0
    }
}

fn is_std<T: ?Sized>() -> bool {
    let name = std::any::type_name::<T>();
    if elsewhere() {
        derefs_plainly(name)
    } else {
        object::known(name).derefs_plainly
    }
}

/// True for the pointers whose `Deref` has no effect that could be seen.
pub fn derefs_plainly(name: &str) -> bool {
    const POINTERS: &[&str] = &[
        "&",
        "alloc::boxed::Box<",
        "alloc::rc::Rc<",
        "alloc::sync::Arc<",
        "alloc::vec::Vec<",
        "alloc::string::String",
        "core::cell::Ref<",
        "core::cell::RefMut<",
        "core::mem::manually_drop::ManuallyDrop<",
        "core::panic::unwind_safe::AssertUnwindSafe<",
        "core::pin::Pin<&",
        "once_cell::sync::Lazy<",
        PADDED,
    ];
    let guard = |known: &str| {
        let head = known.split('<').next().unwrap_or(known);
        name.starts_with(head) && name[head.len()..].starts_with('<')
    };
    POINTERS.iter().any(|prefix| name.starts_with(prefix))
        || guard(std::any::type_name::<LazyLock<()>>())
        || guard(std::any::type_name::<MutexGuard<'_, ()>>())
        || guard(std::any::type_name::<RwLockReadGuard<'_, ()>>())
        || guard(std::any::type_name::<RwLockWriteGuard<'_, ()>>())
}

impl<T, const N: usize> Step<[T; N]> {
    /// An index of it runs nothing.
    pub const fn indexes(&self) -> bool {
        true
    }

    /// An index of it is its own memory.
    pub const fn is_array(&self) -> bool {
        true
    }
}

/// Types whose index runs nothing that could be seen.
macro_rules! indexes {
    ($($of:ty),*) => {
        $(impl<T> Step<$of> {
            /// An index of it runs nothing.
            pub const fn indexes(&self) -> bool {
                true
            }
        })*
    };
}

indexes!([T], Vec<T>, Box<[T]>, &[T], &Vec<T>, &mut [T], &mut Vec<T>);

/// Arrays behind a reference.
macro_rules! arrays {
    ($($of:ty),*) => {
        $(impl<T, const N: usize> Step<$of> {
            /// An index of it runs nothing.
            pub const fn indexes(&self) -> bool {
                true
            }
        })*
    };
}

arrays!(&[T; N], &mut [T; N], Box<[T; N]>);

impl<T: ?Sized> Pointers<T>
where
    T: Deref<Target: Deref<Target: Deref>>,
{
    /// Not known that far.
    pub const fn is_plain(&self) -> bool {
        false
    }
}

impl<T: ?Sized> Second<T>
where
    T: Deref<Target: Deref>,
{
    /// A step from here runs nothing.
    pub fn is_plain(&self) -> bool {
        is_std::<T>() && is_std::<T::Target>()
    }
}

impl<T: ?Sized> First<T>
where
    T: Deref,
{
    /// A step from here runs nothing.
    pub fn is_plain(&self) -> bool {
        is_std::<T>()
    }

    /// What is behind it is other memory.
    pub const fn is_own(&self) -> bool {
        false
    }
}

impl<T: ?Sized> Whatever<T> {
    /// A step from here runs nothing.
    pub const fn is_plain(&self) -> bool {
        true
    }

    /// A field of it is its own memory.
    pub const fn is_own(&self) -> bool {
        true
    }

    /// The drop of a value runs nothing.
    pub const fn drops_nothing(&self) -> bool {
        !std::mem::needs_drop::<T>()
    }

    /// An index of it may run anything.
    pub const fn indexes(&self) -> bool {
        false
    }

    /// It is no array.
    pub const fn is_array(&self) -> bool {
        false
    }
}

/// A struct with arguments of the attribute's.
pub trait Described {
    /// What they say.
    const ITEM: &'static Item;
}

/// The fields are those of what it refers to.
impl<T: Described + ?Sized> Described for &T {
    const ITEM: &'static Item = T::ITEM;
}

/// As behind a shared reference.
impl<T: Described + ?Sized> Described for &mut T {
    const ITEM: &'static Item = T::ITEM;
}

/// What a field belongs to.
pub struct OwnerOf<T: ?Sized>(Undescribed<T>);
/// A type without arguments of the attribute's.
pub struct Undescribed<T: ?Sized>(PhantomData<fn() -> *const T>);

impl Owner {
    /// Asks about the place whose address `_place` would take.
    pub fn of<T: ?Sized>(_place: impl FnOnce() -> *const T) -> OwnerOf<T> {
        OwnerOf(Undescribed(PhantomData))
    }
}

impl<T: ?Sized> Deref for OwnerOf<T> {
    type Target = Undescribed<T>;

    fn deref(&self) -> &Undescribed<T> {
        &self.0
    }
}

impl<T: Described + ?Sized> OwnerOf<T> {
    /// With this field.
    pub fn named(&self, field: &'static str) -> Owner {
        Owner::new(std::any::type_name::<T>, field, T::ITEM)
    }
}

impl<T: ?Sized> Undescribed<T> {
    /// With this field.
    pub fn named(&self, field: &'static str) -> Owner {
        Owner::new(std::any::type_name::<T>, field, &Item::PLAIN)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::{Arc, Mutex};

    use super::*;

    struct Own(u8);

    impl Deref for Own {
        type Target = u8;

        fn deref(&self) -> &u8 {
            &self.0
        }
    }

    struct Pair {
        a: u8,
    }

    impl Described for Pair {
        const ITEM: &'static Item = &Item {
            name: Some("pair"),
            ..Item::PLAIN
        };
    }

    #[test]
    fn a_step_runs_code_if_a_type_on_the_way_does() {
        assert!(Step::told(|| like(&Pair { a: 1 })).is_plain());
        assert!(Step::told(|| like(&&Pair { a: 1 })).is_plain());
        assert!(Step::told(|| like(&Arc::new(Pair { a: 1 }))).is_plain());
        assert!(Step::told(|| like(&Box::new(&1u8))).is_plain());
        assert!(Step::told(|| like(&vec![1u8])).is_plain());
        assert!(Step::told(|| like(&String::new())).is_plain());
        let (cell, lock) = (RefCell::new(1), Mutex::new(1));
        let (borrowed, locked) = (cell.borrow(), lock.lock().unwrap());
        assert!(Step::told(|| like(&borrowed)).is_plain());
        assert!(Step::told(|| like(&locked)).is_plain());
        assert!(!Step::told(|| like(&locked)).drops_nothing());
        assert!(Step::told(|| like(&LazyLock::<u8>::new(|| 1))).is_plain());
        assert!(!Step::told(|| like(&Own(1))).is_plain());
        assert!(!Step::told(|| like(&&Own(1))).is_plain());
        assert!(!Step::told(|| like(&Arc::new(Own(1)))).is_plain());
        assert!(!Step::told(|| like(&Arc::new(&Own(1)))).is_plain());
    }

    #[test]
    fn a_place_is_asked_about_without_its_value() {
        let pointer: *const Own = std::ptr::null();
        assert!(IsRaw::of(|| &raw const pointer).is());
        assert!(!IsRaw::of(|| &raw const *Box::new(pointer.addr())).is());
        // SAFETY: never called.
        let step = Step::at(unsafe { &raw const (*pointer).0 });
        assert!(step.is_plain() && step.is_own() && !step.is_array() && !step.indexes());
        let array = [Pair { a: 1 }];
        assert!(Step::at(&raw const array).is_array());
        assert!(Step::told(|| like(&vec![1])).indexes());
        assert!(!Step::told(|| like(&vec![1])).is_own());
    }

    #[test]
    fn a_struct_says_its_arguments() {
        let pair = Pair { a: 1 };
        let owner = Owner::of(|| &raw const pair).named("a");
        assert_eq!(owner.item.name, Some("pair"));
        let by_reference = &pair;
        let owner = Owner::of(|| &raw const by_reference).named("a");
        assert_eq!(owner.item.name, Some("pair"));
        assert_eq!(owner.to_string(), "field `a` of `pair`");
        let own = Own(pair.a);
        let owner = Owner::of(|| &raw const own).named("0");
        assert_eq!(owner.item.name, None);
        assert!(owner.to_string().ends_with("::Own`"), "{owner}");
    }
}
