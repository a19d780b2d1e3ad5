//! Accesses that go through the address of their place, taken once, and
//! accesses that are told by the memory that a place turns out to be.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};

use super::access::{read, read_static, write, write_static};
use crate::track::site::Told;

/// What memory a place is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Not what a raw pointer points to: nothing is told.
    Other,
    /// What a raw pointer points to, or what a static variable has.
    Pointed,
    /// A static variable's own.
    Variable,
}

impl Reach {
    /// Behind something that is a raw pointer or is none.
    #[must_use]
    pub const fn of_pointer(is_raw: bool) -> Self {
        if is_raw { Self::Pointed } else { Self::Other }
    }

    /// In a static variable, or behind it.
    #[must_use]
    pub const fn of_variable(is_own: bool) -> Self {
        if is_own {
            Self::Variable
        } else {
            Self::Pointed
        }
    }

    /// As it turned out.
    pub fn known(by: impl Into<Self>) -> Self {
        by.into()
    }

    /// True if accesses are told.
    #[must_use]
    pub const fn is_shared(self) -> bool {
        match self {
            Self::Other => false,
            Self::Pointed | Self::Variable => true,
        }
    }
}

/// Knows whether what a call returned is a raw pointer.
#[derive(Debug, Default)]
pub struct Root(AtomicBool);

impl Root {
    /// Of a call that is to come.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// It has returned.
    pub fn set(&self, is_raw: bool) {
        self.0.store(is_raw, Ordering::Relaxed);
    }
}

impl From<&Root> for Reach {
    fn from(root: &Root) -> Self {
        Self::of_pointer(root.0.load(Ordering::Relaxed))
    }
}

/// A place is read.
#[inline]
pub fn read_reached<T>(told: impl Into<Told>, reach: Reach, at: *const T) {
    match reach {
        Reach::Other => {}
        Reach::Pointed => read(told, at),
        Reach::Variable => read_static(told, at),
    }
}

/// A place is written.
#[inline]
pub fn write_reached<T>(told: impl Into<Told>, reach: Reach, at: *const T) {
    match reach {
        Reach::Other => {}
        Reach::Pointed => write(told, at),
        Reach::Variable => write_static(told, at),
    }
}

/// The address of a place that is about to be read.
#[inline]
pub fn loads<T>(told: impl Into<Told>, reach: impl Into<Reach>, at: *const T) -> *const T {
    read_reached(told, reach.into(), at);
    at
}

/// The address of a place that is about to be written.
#[inline]
pub fn stores<T>(told: impl Into<Told>, reach: impl Into<Reach>, at: *mut T) -> *mut T {
    write_reached(told, reach.into(), at);
    at
}

/// The address of a place that is about to be compared.
pub struct At<T: ?Sized>(Unsized<T>);
/// As that, of a place whose size is not known.
pub struct Unsized<T: ?Sized>(*const T);

impl<T: ?Sized> At<T> {
    /// Of the place at this address.
    pub const fn new(at: *const T) -> Self {
        Self(Unsized(at))
    }
}

impl<T> At<T> {
    /// It is read.
    pub fn looks(self, told: impl Into<Told>, reach: impl Into<Reach>) -> *const T {
        loads(told, reach, self.0.0)
    }
}

impl<T: ?Sized> Deref for At<T> {
    type Target = Unsized<T>;

    fn deref(&self) -> &Unsized<T> {
        &self.0
    }
}

impl<T: ?Sized> Unsized<T> {
    /// Nothing that can be told.
    pub fn looks(&self, _told: impl Into<Told>, _reach: impl Into<Reach>) -> *const T {
        self.0
    }
}
