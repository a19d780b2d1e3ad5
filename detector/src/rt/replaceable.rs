//! A value made on first use, and made anew in the child of a fork: for maps
//! whose locks threads of the parent may hold there for ever.

use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A value that is made on first use.
#[derive(Debug)]
pub struct Replaceable<T>(AtomicPtr<T>);

impl<T: Default + Send + Sync> Replaceable<T> {
    /// Not made yet.
    pub const fn new() -> Self {
        Self(AtomicPtr::new(null_mut()))
    }

    /// The value.
    pub fn get(&self) -> &'static T {
        let found = self.0.load(Ordering::Acquire);
        // SAFETY: null, or a box that is never freed.
        unsafe { found.as_ref() }.unwrap_or_else(|| self.make())
    }

    #[cold]
    fn make(&self) -> &'static T {
        let made = Box::into_raw(Box::<T>::default());
        let empty = null_mut();
        match self
            .0
            .compare_exchange(empty, made, Ordering::AcqRel, Ordering::Acquire)
        {
            // SAFETY: a box that is never freed from here on.
            Ok(_) => unsafe { &*made },
            Err(other) => {
                // SAFETY: nobody else has seen it; the other is never freed.
                unsafe {
                    drop(Box::from_raw(made));
                    &*other
                }
            }
        }
    }

    /// Begins anew. The old value stays where it is, since its locks may be
    /// held; it is returned to be looked through.
    pub fn replace(&self, value: T) -> Option<&'static T> {
        let old = self
            .0
            .swap(Box::into_raw(Box::new(value)), Ordering::AcqRel);
        // SAFETY: null, or a box that is never freed.
        unsafe { old.as_ref() }
    }
}

impl<T: Default + Send + Sync> Default for Replaceable<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_value_whose_lock_is_held_can_be_replaced() {
        static LIST: Replaceable<Mutex<Vec<u32>>> = Replaceable::new();
        LIST.get().lock().expect("not poisoned").push(1);
        let held = LIST.get().lock();
        let old = LIST.replace(Mutex::new(vec![2]));
        assert!(old.is_some_and(|old| old.try_lock().is_err()));
        assert_eq!(*LIST.get().lock().expect("not poisoned"), [2]);
        drop(held);
    }
}
