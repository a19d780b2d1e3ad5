//! Places of tracked code that may lie at an odd address, in a packed struct. Such
//! an address must not be dereferenced: what is done there is done with a copy.
//!
//! The copy is made, and written back, by closures of the expansion's, which
//! are in the unsafe code that the place is in. What is aligned is not copied.

use std::mem::MaybeUninit;
use std::ops::Deref;
use std::sync::atomic::{AtomicPtr, Ordering};

/// The address of a place that is about to be read.
pub struct Lies<T: ?Sized>(Somehow<T>);
/// As that, of a place whose size is not known: it is aligned.
pub struct Somehow<T: ?Sized>(*const T);

impl<T: ?Sized> Lies<T> {
    /// At this address.
    pub const fn at(place: *const T) -> Self {
        Self(Somehow(place))
    }
}

impl<T> Lies<T> {
    /// The place, or what `copy` makes of it.
    pub fn copied(&self, copy: impl FnOnce(*const MaybeUninit<T>) -> MaybeUninit<T>) -> Copied<T> {
        Copied::new(self.0.0.cast_mut(), |place| copy(place))
    }
}

impl<T: ?Sized> Deref for Lies<T> {
    type Target = Somehow<T>;

    fn deref(&self) -> &Somehow<T> {
        &self.0
    }
}

impl<T: ?Sized> Somehow<T> {
    /// The place.
    pub fn copied(&self, _copy: impl FnOnce(*const ())) -> Self {
        Self(self.0)
    }

    /// Where it is.
    pub const fn place(&self) -> *const T {
        self.0
    }
}

/// A place, or a copy of it. Whoever holds it may go to another thread with it if
/// they may with the value.
#[derive(Debug)]
pub struct Copied<T> {
    place: AtomicPtr<T>,
    copy: Option<MaybeUninit<T>>,
}

impl<T> Copied<T> {
    fn new(place: *mut T, copy: impl FnOnce(*mut MaybeUninit<T>) -> MaybeUninit<T>) -> Self {
        let is_aligned = place.is_aligned();
        Self {
            place: AtomicPtr::new(place),
            copy: (!is_aligned).then(|| copy(place.cast())),
        }
    }

    /// Where the value is.
    pub fn place(&self) -> *const T {
        match &self.copy {
            Some(copy) => copy.as_ptr(),
            None => self.place.load(Ordering::Relaxed),
        }
    }
}

/// A place that is about to be written, or a copy of it that is written back.
#[derive(Debug)]
pub struct Written<T, W>
where
    W: FnMut(*mut MaybeUninit<T>, MaybeUninit<T>),
{
    copied: Copied<T>,
    back: W,
}

impl<T, W> Written<T, W>
where
    W: FnMut(*mut MaybeUninit<T>, MaybeUninit<T>),
{
    /// The place at this address.
    pub fn new(
        place: *mut T,
        copy: impl FnOnce(*mut MaybeUninit<T>) -> MaybeUninit<T>,
        back: W,
    ) -> Self {
        let copied = Copied::new(place, copy);
        Self { copied, back }
    }

    /// Where the value is to be written.
    pub fn place(&mut self) -> *mut T {
        match &mut self.copied.copy {
            Some(copy) => copy.as_mut_ptr(),
            None => *self.copied.place.get_mut(),
        }
    }
}

impl<T, W> Drop for Written<T, W>
where
    W: FnMut(*mut MaybeUninit<T>, MaybeUninit<T>),
{
    fn drop(&mut self) {
        if let Some(copy) = self.copied.copy.take() {
            (self.back)(self.copied.place.get_mut().cast(), copy);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::mem::MaybeUninit;

    use super::{Lies, Written};

    /// What is aligned is accessed where it is.
    #[test]
    fn what_is_aligned_is_not_copied() {
        let mut number = 1_u32;
        let at = &raw mut number;
        let copied = Lies::at(at.cast_const()).copied(|_| unreachable!("it is aligned"));
        assert_eq!(copied.place(), at.cast_const());
        let mut written = Written::new(
            at,
            |_| unreachable!("it is aligned"),
            |_, _| unreachable!("it is aligned"),
        );
        assert_eq!(written.place(), at);
    }

    /// What is not goes through a copy, which is written back.
    #[test]
    fn what_is_not_aligned_is_copied() {
        let numbers = [0_u32; 2];
        let odd = numbers.as_ptr().wrapping_byte_add(1);
        let copied = Lies::at(odd).copied(|_| MaybeUninit::new(7));
        assert_ne!(copied.place(), odd);
        let mut back = None;
        let mut written = Written::new(
            odd.cast_mut(),
            |_| MaybeUninit::new(7),
            |place, _| back = Some(place.cast_const().cast()),
        );
        assert_ne!(written.place(), odd.cast_mut());
        drop(written);
        assert_eq!(back, Some(odd));
    }

    #[test]
    fn a_slice_is_where_it_is() {
        let text: *const str = "text";
        assert_eq!(Lies::at(text).copied(|_| ()).place(), text);
    }
}
