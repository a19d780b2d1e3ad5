//! Accesses to shared variables.

use std::ops::Range;

use super::{elsewhere, here, tell_field};
use crate::shadow::word;
use crate::track::engine;
use crate::track::local::Local;
use crate::track::shadow::{self, Access};
use crate::track::site::Told;

#[inline]
fn access<T>(told: impl Into<Told>, at: *const T, writes: bool, class: word::Class, stays: bool) {
    access_many(told.into(), at, 1, writes, class, stays);
}

#[inline]
fn access_many<T>(
    told: Told,
    at: *const T,
    count: usize,
    writes: bool,
    class: word::Class,
    stays: bool,
) {
    let size = size_of::<T>().saturating_mul(count);
    if let Some(owner) = &told.owner
        && elsewhere()
    {
        tell_field(told.site, owner, at.addr(), size);
        return;
    }
    let what = size << 1 | usize::from(writes);
    here(|local| {
        if !told.site.opaque && local.own.get() == 0 && local.recorded(at.addr(), what) {
            return;
        }
        let stamp = record::<T>(
            local,
            told,
            at.addr()..at.addr().saturating_add(size),
            writes,
            class,
            stays,
        );
        if let Some(stamp) = stamp {
            local.record(at.addr(), what, stamp);
        }
    });
}

#[cold]
#[inline(never)]
fn record<T>(
    local: &Local,
    told: Told,
    bytes: Range<usize>,
    writes: bool,
    class: word::Class,
    stays: bool,
) -> Option<u64> {
    let Told { site, owner } = told;
    if bytes.is_empty() || owner.is_some_and(|owner| owner.item.skip) {
        return None;
    }
    let strand = local.strand();
    local.settle();
    if site.opaque {
        local.opaque();
    }
    let access = Access {
        addr: bytes.start,
        size: bytes.len(),
        writes,
        class,
        stays,
        type_name: std::any::type_name::<T>(),
        site,
        owner,
        context: local.context.get(),
    };
    let stamp = engine::access(strand, &access);
    if site.opaque || local.own.get() != 0 {
        // What comes after it in the statement may publish it.
        local.opaque();
    }
    stamp
}

/// What `at` points to is read.
#[inline]
pub fn read<T>(site: impl Into<Told>, at: *const T) {
    access(site, at, false, word::Class::Plain, false);
}

/// What `at` points to is written.
#[inline]
pub fn write<T>(site: impl Into<Told>, at: *const T) {
    access(site, at, true, word::Class::Plain, false);
}

/// A static variable is read.
#[inline]
pub fn read_static<T>(site: impl Into<Told>, at: *const T) {
    access(site, at, false, word::Class::Plain, true);
}

/// A static variable is written.
#[inline]
pub fn write_static<T>(site: impl Into<Told>, at: *const T) {
    access(site, at, true, word::Class::Plain, true);
}

/// The argument of `ptr::read` and the like.
#[inline]
pub fn reads<T>(site: impl Into<Told>, at: *const T) -> *const T {
    read(site, at);
    at
}

/// The argument of `ptr::write` and the like.
#[inline]
pub fn writes<T>(site: impl Into<Told>, at: *mut T) -> *mut T {
    write(site, at);
    at
}

/// The argument of `ptr::read_volatile`.
#[inline]
pub fn reads_volatile<T>(site: impl Into<Told>, at: *const T) -> *const T {
    access(site, at, false, word::Class::Volatile, false);
    at
}

/// The argument of `ptr::write_volatile`.
#[inline]
pub fn writes_volatile<T>(site: impl Into<Told>, at: *mut T) -> *mut T {
    access(site, at, true, word::Class::Volatile, false);
    at
}

/// A volatile access by a method of a pointer.
#[inline]
pub fn volatile<T>(site: impl Into<Told>, at: *const T, writes: bool) {
    access(site, at, writes, word::Class::Volatile, false);
}

/// So many values from `at` on are read or written.
#[inline]
pub fn elements<T>(site: impl Into<Told>, at: *const T, count: usize, writes: bool) {
    access_many(site.into(), at, count, writes, word::Class::Plain, false);
}

/// The arguments of `ptr::copy` and the like.
#[inline]
pub fn copied<T>(
    site: impl Into<Told>,
    from: *const T,
    to: *mut T,
    count: usize,
) -> (*const T, *mut T, usize) {
    let site = site.into();
    elements(site, from, count, false);
    elements(site, to, count, true);
    (from, to, count)
}

/// The arguments of `ptr::swap_nonoverlapping`.
#[inline]
pub fn exchanged<T>(
    site: impl Into<Told>,
    one: *mut T,
    other: *mut T,
    count: usize,
) -> (*mut T, *mut T, usize) {
    let site = site.into();
    elements(site, one, count, true);
    elements(site, other, count, true);
    (one, other, count)
}

/// The arguments of `ptr::write_bytes`.
#[inline]
pub fn filled<T>(site: impl Into<Told>, at: *mut T, byte: u8, count: usize) -> (*mut T, u8, usize) {
    elements(site, at, count, true);
    (at, byte, count)
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
pub fn element<T>(site: impl Into<Told>, at: *const T, writes: bool) {
    access(site, at, writes, word::Class::Plain, false);
}
