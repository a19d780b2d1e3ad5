//! Accesses to shared variables.

use super::here;
use crate::shadow::word;
use crate::track::engine;
use crate::track::local::Local;
use crate::track::shadow::{self, Access};
use crate::track::site::Site;

#[inline]
fn access<T>(site: &'static Site, at: *const T, writes: bool, class: word::Class, stays: bool) {
    let what = size_of::<T>() << 1 | usize::from(writes);
    here(|local| {
        if !site.opaque && local.recorded(at.addr(), what) {
            return;
        }
        let stamp = record::<T>(local, site, at.addr(), writes, class, stays);
        if let Some(stamp) = stamp {
            local.record(at.addr(), what, stamp);
        }
    });
}

#[cold]
#[inline(never)]
fn record<T>(
    local: &Local,
    site: &'static Site,
    addr: usize,
    writes: bool,
    class: word::Class,
    stays: bool,
) -> Option<u64> {
    if size_of::<T>() == 0 {
        return None;
    }
    let strand = local.strand();
    local.settle();
    if site.opaque {
        local.opaque();
    }
    let access = Access {
        addr,
        size: size_of::<T>(),
        writes,
        class,
        stays,
        type_name: std::any::type_name::<T>(),
        site,
        context: local.context.get(),
    };
    engine::access(strand, &access)
}

/// What `at` points to is read.
#[inline]
pub fn read<T>(site: &'static Site, at: *const T) {
    access(site, at, false, word::Class::Plain, false);
}

/// What `at` points to is written.
#[inline]
pub fn write<T>(site: &'static Site, at: *const T) {
    access(site, at, true, word::Class::Plain, false);
}

/// A static variable is read.
#[inline]
pub fn read_static<T>(site: &'static Site, at: *const T) {
    access(site, at, false, word::Class::Plain, true);
}

/// A static variable is written.
#[inline]
pub fn write_static<T>(site: &'static Site, at: *const T) {
    access(site, at, true, word::Class::Plain, true);
}

/// The argument of `ptr::read` and the like.
#[inline]
pub fn reads<T>(site: &'static Site, at: *const T) -> *const T {
    read(site, at);
    at
}

/// The argument of `ptr::write` and the like.
#[inline]
pub fn writes<T>(site: &'static Site, at: *mut T) -> *mut T {
    write(site, at);
    at
}

/// The argument of `ptr::read_volatile`.
#[inline]
pub fn reads_volatile<T>(site: &'static Site, at: *const T) -> *const T {
    access(site, at, false, word::Class::Volatile, false);
    at
}

/// The argument of `ptr::write_volatile`.
#[inline]
pub fn writes_volatile<T>(site: &'static Site, at: *mut T) -> *mut T {
    access(site, at, true, word::Class::Volatile, false);
    at
}

/// The address of a static variable is taken.
pub fn static_at<T>(at: *const T) {
    here(|local| {
        let what = usize::MAX;
        if !local.recorded(at.addr(), what) {
            let stamp = local.strand().stamp();
            shadow::stays(at.addr(), size_of::<T>());
            local.record(at.addr(), what, stamp);
        }
    });
}

/// What `get_unchecked` and the like return.
pub fn element<T>(site: &'static Site, at: *const T, writes: bool) {
    access(site, at, writes, word::Class::Plain, false);
}
