//! Places of which a pattern reads the tag: which variant it is.
//!
//! Where in an enum its tag is, the compiler decides, and no program can ask.
//! It is the whole value where that is a byte, and where an option of a
//! pointer has the null pointer for none.

use std::ops::Deref;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::Arc;

use super::reached::{Reach, loads};
use crate::track::site::Told;

/// The address of a place whose tag is about to be read.
pub struct Tag<T>(Somewhere<T>);
/// As that, where its type does not say where that is.
pub struct Somewhere<T>(*const T);

impl<T> Tag<T> {
    /// Of the place at this address.
    pub const fn new(at: *const T) -> Self {
        Self(Somewhere(at))
    }
}

/// Options that are a pointer.
macro_rules! pointers {
    ($([$($of_it:tt)*] $of:ty),*) => {
        $(impl<$($of_it)*> Tag<Option<$of>> {
            /// All of it is read.
            pub fn looks(
                self,
                told: impl Into<Told>,
                reach: impl Into<Reach>,
                _left: impl FnOnce(),
            ) -> *const Option<$of> {
                loads(told, reach, self.0.0)
            }
        })*
    };
}

pointers!(['a, T] &'a T, ['a, T] &'a mut T, [T] Box<T>, [T] Rc<T>, [T] Arc<T>, [T] NonNull<T>);

impl<T> Deref for Tag<T> {
    type Target = Somewhere<T>;

    fn deref(&self) -> &Somewhere<T> {
        &self.0
    }
}

impl<T> Somewhere<T> {
    /// All of it is read if it is a byte; otherwise it is `left` alone.
    pub fn looks(
        &self,
        told: impl Into<Told>,
        reach: impl Into<Reach>,
        left: impl FnOnce(),
    ) -> *const T {
        let reach = reach.into();
        if size_of::<T>() == 1 {
            return loads(told, reach, self.0);
        }
        if reach.is_shared() {
            left();
        }
        self.0
    }
}
