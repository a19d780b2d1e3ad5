//! Indices that are looked at by a copy of their place: one that is no number may be
//! moved into it, and is not there again.

use std::ops::Deref;

/// An index that a variable is.
#[derive(Debug)]
pub struct Index<'a, T>(Moved<'a, T>);

/// As that, of a type whose values are moved.
#[derive(Debug)]
pub struct Moved<'a, T>(&'a T);

impl<'a, T> Index<'a, T> {
    /// This one.
    pub const fn of(index: &'a T) -> Self {
        Self(Moved(index))
    }
}

impl<T: Copy> Index<'_, T> {
    /// It is still there.
    pub const fn is_there(&self) -> bool {
        true
    }

    /// It.
    pub const fn again(&self) -> T {
        *self.0.0
    }
}

impl<'a, T> Deref for Index<'a, T> {
    type Target = Moved<'a, T>;

    fn deref(&self) -> &Moved<'a, T> {
        &self.0
    }
}

impl<T> Moved<'_, T> {
    /// It is moved.
    pub const fn is_there(&self) -> bool {
        false
    }

    /// It was not there.
    ///
    /// # Panics
    /// Always: [`Self::is_there`] says so.
    pub fn again(&self) -> T {
        panic!("an index that is moved is not used again")
    }
}

#[cfg(test)]
mod tests {
    use super::Index;

    #[test]
    fn what_is_copied_is_there_again() {
        let (number, range) = (3_usize, 1..3_usize);
        assert!(Index::of(&number).is_there());
        assert_eq!(Index::of(&number).again(), 3);
        assert!(!Index::of(&range).is_there());
    }
}
