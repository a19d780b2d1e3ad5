//! Where the shadow of an address is.
//!
//! Two tables, both reserved at start and filled by the kernel page by page:
//! - the *shadow*: two 64-bit words for every 8 bytes (see [`super::word`]),
//!   at `(addr · 2 + SHADOW) mod 2^47`;
//! - the *objects*: a 32-bit number for every 8 bytes, of the first object
//!   there (sync object or heap block), at `addr / 2 + OBJECTS`.
//!
//! A process uses two windows of its address space: around the executable and
//! its break, and from below its highest mappings up to the stack. Their
//! images are placed at start where they overlap neither the windows nor each
//! other, whatever the randomisation of the address space chose. Memory
//! mapped elsewhere later (by `MAP_FIXED`, say) has no shadow; [`covers`] says
//! so, and the caller counts it.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicU64};

use super::word::GRANULE;
use crate::rt::sys;

const TIB: usize = 1 << 40;
/// End of the user's half of the address space.
const TOP: usize = 1 << 47;
const SHADOW_MASK: usize = (TOP - 1) & !15;

/// What lies below the executable's window is never mapped by the kernel on
/// its own; its break grows upwards from it.
const LOW_WINDOW: usize = TIB;
/// How far below the mappings at start the kernel's later ones may reach.
const HIGH_WINDOW_BELOW: usize = 5 * TIB;

/// The windows and their images. Written once by [`init`], before the first
/// access is checked.
struct Layout {
    shadow: usize,
    objects: usize,
    low: Range<usize>,
    high: Range<usize>,
}

static mut LAYOUT: Layout = Layout {
    shadow: 0,
    objects: 0,
    low: 0..0,
    high: 0..0,
};

/// The layout, read-only after [`init`].
#[inline(always)]
fn layout() -> &'static Layout {
    // SAFETY: written only by `init`, which runs before any other thread and
    // before any access is checked.
    unsafe { &*&raw const LAYOUT }
}

/// The words of the granule that holds `addr`.
///
/// # Safety
/// [`covers`] holds for `addr`.
#[inline(always)]
pub unsafe fn words(addr: usize) -> &'static [AtomicU64; 2] {
    let at = (addr * 2).wrapping_add(layout().shadow) & SHADOW_MASK;
    // SAFETY: the image of a covered window is mapped, aligned to 16, and
    // touched only through atomics.
    unsafe { &*(at as *const [AtomicU64; 2]) }
}

/// The number of the first object in the granule that holds `addr`.
///
/// # Safety
/// [`covers`] holds for `addr`.
#[inline(always)]
pub unsafe fn object(addr: usize) -> &'static AtomicU32 {
    let at = ((addr / GRANULE) * size_of::<u32>()).wrapping_add(layout().objects);
    // SAFETY: the image of a covered window is mapped, aligned to 4, and
    // touched only through atomics.
    unsafe { &*(at as *const AtomicU32) }
}

/// True if all of `addr .. addr + size` has shadow.
#[inline]
pub fn covers(addr: usize, size: usize) -> bool {
    let layout = layout();
    let Some(end) = addr.checked_add(size) else {
        return false;
    };
    (addr >= layout.high.start && end <= layout.high.end)
        || (addr >= layout.low.start && end <= layout.low.end)
}

/// True once the tables are there.
pub fn ready() -> bool {
    layout().high.end != 0
}

const PAGE: usize = 4096;
/// Bytes of the program that one page of a table describes.
const SHADOW_SPAN: usize = PAGE / 2;
const OBJECT_SPAN: usize = PAGE * 2;

/// Which table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// The shadow words.
    Shadow,
    /// The object numbers.
    Objects,
}

/// The parts of a covered range of the program whose pages in a table were
/// ever touched: elsewhere, everything is zero.
pub fn touched(table: Table, range: Range<usize>) -> Vec<Range<usize>> {
    const PAGES: usize = 4096;
    let span = match table {
        Table::Shadow => SHADOW_SPAN,
        Table::Objects => OBJECT_SPAN,
    };
    let mut parts: Vec<Range<usize>> = Vec::new();
    let mut resident = [0u8; PAGES];
    let mut at = range.start / span * span;
    while at < range.end {
        let pages = (range.end - at).div_ceil(span).min(PAGES);
        let image = match table {
            Table::Shadow => (at * 2).wrapping_add(layout().shadow) & SHADOW_MASK,
            Table::Objects => (at / 2).wrapping_add(layout().objects),
        };
        if !sys::resident(image, &mut resident[..pages]) {
            resident[..pages].fill(1);
        }
        for (page, _) in resident[..pages]
            .iter()
            .enumerate()
            .filter(|(_, state)| **state & 1 != 0)
        {
            let start = (at + page * span).max(range.start);
            let end = (at + (page + 1) * span).min(range.end);
            match parts.last_mut() {
                Some(last) if last.end == start => last.end = end,
                _ => parts.push(start..end),
            }
        }
        at += pages * span;
    }
    parts
}

/// Gives the whole pages that describe the range in the shadow back to the
/// kernel: they are zero afterwards, and so are the edges if the caller
/// cleared them.
pub fn give_back(range: Range<usize>) {
    let start = range.start.next_multiple_of(SHADOW_SPAN);
    let end = range.end / SHADOW_SPAN * SHADOW_SPAN;
    if start < end {
        let image = (start * 2).wrapping_add(layout().shadow) & SHADOW_MASK;
        sys::advise(image, (end - start) * 2, libc::MADV_DONTNEED);
    }
}

/// Reserves the tables. `low` and `high` are the lowest address of the
/// executable and of the mappings of the upper half; false if no place fits.
pub fn init(exe: usize, mappings: usize) -> bool {
    let low_start = exe / TIB * TIB;
    let low = low_start..(low_start + 2 * LOW_WINDOW);
    let high_start = (mappings / TIB * TIB)
        .saturating_sub(HIGH_WINDOW_BELOW)
        .max(low.end);
    let windows = [low, high_start..TOP];
    let Some(shadow) = place(&windows, &[], |base, w| shadow_image(base, w)) else {
        return false;
    };
    let taken: Vec<_> = windows
        .iter()
        .flat_map(|w| shadow_image(shadow, w))
        .collect();
    let Some(objects) = place(&windows, &taken, |base, w| vec![object_image(base, w)]) else {
        return false;
    };
    let images = taken
        .into_iter()
        .chain(windows.iter().map(|w| object_image(objects, w)));
    for image in images {
        if !sys::map_at(image.start, image.len()) {
            return false;
        }
        sys::advise(image.start, image.len(), libc::MADV_DONTDUMP);
        sys::advise(image.start, image.len(), libc::MADV_NOHUGEPAGE);
    }
    let [low, high] = windows;
    // SAFETY: the process has one thread yet, and nothing is checked yet.
    unsafe {
        *&raw mut LAYOUT = Layout {
            shadow,
            objects,
            low,
            high,
        }
    };
    true
}

fn shadow_image(base: usize, window: &Range<usize>) -> Vec<Range<usize>> {
    let start = (window.start * 2).wrapping_add(base) & SHADOW_MASK;
    let end = start + window.len() * 2;
    if end <= TOP {
        vec![start..end]
    } else {
        vec![start..TOP, 0..end - TOP]
    }
}

fn object_image(base: usize, window: &Range<usize>) -> Range<usize> {
    let start = (window.start / 2).wrapping_add(base);
    start..start.wrapping_add(window.len() / 2)
}

/// The first base, in steps of 1 TiB, whose images of all windows lie in the
/// user's half, off the first TiB, and overlap nothing.
fn place(
    windows: &[Range<usize>],
    taken: &[Range<usize>],
    image: impl Fn(usize, &Range<usize>) -> Vec<Range<usize>>,
) -> Option<usize> {
    (0..TOP / TIB)
        .map(|step| (step * TIB).wrapping_sub(TOP / 2))
        .find(|&base| {
            let images: Vec<_> = windows.iter().flat_map(|w| image(base, w)).collect();
            let free = |a: &Range<usize>, b: &Range<usize>| a.end <= b.start || b.end <= a.start;
            images.iter().enumerate().all(|(i, a)| {
                a.start >= TIB
                    && a.start < a.end
                    && a.end <= TOP
                    && windows.iter().chain(taken).all(|b| free(a, b))
                    && images[..i].iter().all(|b| free(a, b))
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(exe: usize, mappings: usize) {
        let low = exe / TIB * TIB;
        let windows = [
            low..low + 2 * TIB,
            (mappings / TIB * TIB) - HIGH_WINDOW_BELOW..TOP,
        ];
        let shadow = place(&windows, &[], |b, w| shadow_image(b, w));
        let taken: Vec<_> = windows
            .iter()
            .flat_map(|w| shadow_image(shadow.expect("shadow"), w))
            .collect();
        assert!(place(&windows, &taken, |b, w| vec![object_image(b, w)]).is_some());
    }

    #[test]
    fn every_randomisation_fits() {
        // 28 bits of page randomisation, the kernel's default, and 32, the
        // distributions' choice since 2023; and none.
        for exe in [
            0x0040_0000,
            0x5555_5555_4000,
            0x5655_5555_4000,
            0x6555_5555_4000,
        ] {
            for mappings in [0x7fff_f7d0_0000, 0x7eff_0000_0000, 0x77ff_0000_0000] {
                fits(exe, mappings);
            }
        }
    }
}
