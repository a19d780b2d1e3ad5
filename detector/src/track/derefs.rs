//! Does a step from here, or a coercion, run a `Deref` of the program's own?
//!
//! Asked by method resolution, as in [`super::place`]: whether a type has a
//! `Deref` at all, no name says.
//!
//! What it misses: which of the pointers on the way are gone through. All of
//! them are, up to three, and behind those anything may be.

use std::ops::Deref;

use super::foreign::Deed;
use super::object;
use super::place::{First, Pointers, Second, Whatever};
use super::runs::does;

/// Another pointer: behind it anything may be.
fn is_pointer<T: ?Sized>() -> bool {
    let name = std::any::type_name::<T>();
    name.starts_with('&') || object::known(name).is_pointer
}

impl<T: ?Sized> Pointers<T>
where
    T: Deref<Target: Deref<Target: Deref>>,
{
    /// It may.
    #[inline]
    pub fn derefs(&self) -> bool {
        does::<T>(Deed::Deref)
            || does::<T::Target>(Deed::Deref)
            || does::<<T::Target as Deref>::Target>(Deed::Deref)
            || does::<<<T::Target as Deref>::Target as Deref>::Target>(Deed::Deref)
            || is_pointer::<<<T::Target as Deref>::Target as Deref>::Target>()
    }
}

impl<T: ?Sized> Second<T>
where
    T: Deref<Target: Deref>,
{
    /// It may.
    #[inline]
    pub fn derefs(&self) -> bool {
        does::<T>(Deed::Deref) || does::<T::Target>(Deed::Deref)
    }
}

impl<T: ?Sized> First<T>
where
    T: Deref,
{
    /// It may.
    #[inline]
    pub fn derefs(&self) -> bool {
        does::<T>(Deed::Deref)
    }
}

impl<T: ?Sized> Whatever<T> {
    /// There is none.
    #[inline]
    pub const fn derefs(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, LazyLock};

    use super::super::place::{Step, like};

    struct Own(u8);

    impl std::ops::Deref for Own {
        type Target = u8;

        fn deref(&self) -> &u8 {
            &self.0
        }
    }

    #[test]
    fn only_types_with_code_of_their_own_run_it() {
        let own = Own(1);
        assert!(Step::told(|| like(&own)).derefs());
        assert!(Step::told(|| like(&&own)).derefs());
        let by_reference = &own;
        let behind = Arc::new(&by_reference);
        assert!(Step::told(|| like(&behind)).derefs());
        assert!(Step::told(|| like(&LazyLock::<u8>::new(|| 1))).derefs());
        assert!(!Step::told(|| like(&*own)).derefs());
        assert!(!Step::told(|| like(&&1u8)).derefs());
        let plain = Arc::new(Box::new(&1u8));
        assert!(!Step::told(|| like(&plain)).derefs());
        assert!(!Step::told(|| like(&Arc::new(vec![1u8]))).derefs());
        struct Plain;
        assert!(!Step::told(|| like(&Arc::new(Plain))).derefs());
    }
}
