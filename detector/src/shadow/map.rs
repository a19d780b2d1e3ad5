//! Where the shadow of an address is.
//!
//! Three tables, all reserved at start and filled by the kernel page by page:
//! - the *front*: the first two of the four 64-bit words that describe 8 bytes
//!   (see [`super::word`]), at `(addr · 2 + FRONT) mod 2^47`;
//! - the *back*: the other two, in the same way. Memory that one thread uses
//!   never has them, so its shadow is half as large as it could be;
//! - the *objects*: a 32-bit number for every 8 bytes, of the first object
//!   there (sync object or heap block), at `addr / 2 + OBJECTS`.
//!
//! A process uses three windows of its address space: around the executable and
//! its break, around its mappings, and at its stack. Their images are placed at
//! start where they overlap neither the windows nor each other, as the
//! randomisation of the address space happens to leave room. Memory
//! mapped elsewhere later (by `MAP_FIXED`, say) has no shadow; [`covers`] says
//! so, and the caller counts it.

pub mod line;

use std::cell::UnsafeCell;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::word::{GRANULE, WORDS};
use crate::rt::sys;

const TIB: usize = 1 << 40;
/// End of the user's half of the address space.
const TOP: usize = 1 << 47;
/// Words of a granule in each of the two tables.
pub const HALF: usize = WORDS / 2;
/// Bytes of one of the two tables for each byte of the program.
const SCALE: usize = HALF * size_of::<u64>() / GRANULE;
const SHADOW_MASK: usize = (TOP - 1) & !(HALF * size_of::<u64>() - 1);

const GIB: usize = 1 << 30;
/// From the executable upwards: itself and its break.
const LOW_WINDOW: usize = TIB / 2;
/// How far below and above the mappings at the start later ones may be; the
/// first that fits is taken.
const REACH: [usize; 3] = [4 * TIB, 2 * TIB, TIB];
/// How far below its mapping at the start the stack may be.
const STACK_WINDOW: usize = 64 * GIB;

/// The windows and their images. Written once by [`init`], before the first
/// access is checked.
#[repr(C)]
pub struct Layout {
    /// First, where assembly finds it.
    front: usize,
    back: usize,
    objects: usize,
    windows: [Range<usize>; 3],
}

/// A [`Layout`] that is written once.
pub struct Once(UnsafeCell<Layout>);

// SAFETY: written only by `init`, which runs before any other thread.
unsafe impl Sync for Once {}

/// Where the tables are.
pub static LAYOUT: Once = Once(UnsafeCell::new(Layout {
    front: 0,
    back: 0,
    objects: 0,
    windows: [0..0, 0..0, 0..0],
}));

/// What the image of an address is cut to, for assembly.
pub static IMAGE_MASK: usize = SHADOW_MASK;

/// The layout, read-only after [`init`].
#[inline(always)]
fn layout() -> &'static Layout {
    // SAFETY: written only by `init`, which runs before any other thread and
    // before any access is checked.
    unsafe { &*LAYOUT.0.get() }
}

/// Two words of a granule.
pub type Pair = [AtomicU64; HALF];

#[inline(always)]
fn image(base: usize, addr: usize) -> usize {
    (addr * SCALE).wrapping_add(base) & SHADOW_MASK
}

/// The first two words of the granule that holds `addr`.
///
/// # Safety
/// [`covers`] holds for `addr`.
#[inline(always)]
pub unsafe fn front(addr: usize) -> &'static Pair {
    // SAFETY: the image of a covered window is mapped, aligned to 16, and
    // touched only through atomics.
    unsafe { &*(image(layout().front, addr) as *const Pair) }
}

/// The other two words of the granule that holds `addr`: empty while the
/// second is.
///
/// # Safety
/// [`covers`] holds for `addr`.
#[inline(always)]
pub unsafe fn back(addr: usize) -> &'static Pair {
    // SAFETY: as for `front`.
    unsafe { &*(image(layout().back, addr) as *const Pair) }
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

/// True if neither the granule at `addr` nor the next one has an object.
///
/// # Safety
/// [`covers`] holds for both, and `addr` is a multiple of their size.
#[inline(always)]
pub unsafe fn no_objects(addr: usize) -> bool {
    // SAFETY: as the caller says.
    let first: *const AtomicU32 = unsafe { object(addr) };
    // SAFETY: aligned to 8, since the address is to 16; touched only through
    // atomics, of which the two halves may be of different times.
    unsafe { (*first.cast::<AtomicU64>()).load(Ordering::Acquire) == 0 }
}

/// True if all of `addr .. addr + size` has shadow.
#[inline(always)]
pub fn covers(addr: usize, size: usize) -> bool {
    let windows = &layout().windows;
    within(&windows[0], addr, size) || within(&windows[1], addr, size) || covers_last(addr, size)
}

#[inline(always)]
fn within(window: &Range<usize>, addr: usize, size: usize) -> bool {
    // No window reaches the end of the address space: no sum overflows.
    addr >= window.start && addr.saturating_add(size) <= window.end
}

#[cold]
#[inline(never)]
fn covers_last(addr: usize, size: usize) -> bool {
    within(&layout().windows[2], addr, size)
}

/// True once the tables are there.
pub fn ready() -> bool {
    layout().windows[0].end != 0
}

const PAGE: usize = 4096;
/// Bytes of the program that one page of a table describes.
const SHADOW_SPAN: usize = PAGE / SCALE;
const OBJECT_SPAN: usize = PAGE * 2;

/// Which table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// The shadow words: the front, without which there is no back.
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
        let first = match table {
            Table::Shadow => image(layout().front, at),
            Table::Objects => (at / 2).wrapping_add(layout().objects),
        };
        if !sys::resident(first, &mut resident[..pages]) {
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
        for base in [layout().front, layout().back] {
            sys::advise(
                image(base, start),
                (end - start) * SCALE,
                libc::MADV_DONTNEED,
            );
        }
    }
}

/// Where a process has its memory at the start.
#[derive(Debug, Clone)]
pub struct Places {
    /// Lowest address of the executable.
    pub exe: usize,
    /// Lowest address of the mappings of the upper half.
    pub mappings: usize,
    /// The stack of the main thread.
    pub stack: Range<usize>,
}

/// The windows of a process: around the executable, the mappings, the stack.
/// The last is empty if the one before reaches the stack.
fn windows(places: &Places, reach: usize) -> [Range<usize>; 3] {
    let exe = places.exe / GIB * GIB;
    let mappings = places.mappings / GIB * GIB;
    let low = exe..exe + LOW_WINDOW;
    let stack = (places.stack.start / GIB * GIB - STACK_WINDOW)..TOP;
    let high = mappings.saturating_sub(reach).max(low.end)..(mappings + reach / 4).min(TOP);
    if high.end >= stack.start {
        [high.start..TOP, low, TOP..TOP]
    } else {
        [high, low, stack]
    }
}

/// A place for the images of the windows: the bases of the three tables.
fn fit(windows: &[Range<usize>]) -> Option<[usize; 3]> {
    let front = place(windows, &[], shadow_image)?;
    let mut taken: Vec<_> = windows
        .iter()
        .flat_map(|w| shadow_image(front, w))
        .collect();
    let back = place(windows, &taken, shadow_image)?;
    taken.extend(windows.iter().flat_map(|w| shadow_image(back, w)));
    let objects = place(windows, &taken, |base, w| [object_image(base, w)])?;
    Some([front, back, objects])
}

/// Reserves the tables. False if they do not fit between what the process has
/// mapped: another start, with another randomisation, may do.
pub fn init(places: &Places) -> bool {
    let fitting = REACH.iter().find_map(|&reach| {
        let windows = windows(places, reach);
        let [front, back, objects] = fit(&windows)?;
        Some(Layout {
            front,
            back,
            objects,
            windows,
        })
    });
    let Some(layout) = fitting else { return false };
    let windows = || layout.windows.iter().filter(|window| !window.is_empty());
    let images = windows()
        .flat_map(|w| [layout.front, layout.back].map(|base| shadow_image(base, w)))
        .flatten()
        .chain(windows().map(|w| object_image(layout.objects, w)));
    for image in images {
        if !sys::map_at(image.start, image.len()) {
            return false;
        }
        sys::advise(image.start, image.len(), libc::MADV_DONTDUMP);
        sys::advise(image.start, image.len(), libc::MADV_NOHUGEPAGE);
    }
    // SAFETY: the process has one thread yet, and nothing is checked yet.
    unsafe { *LAYOUT.0.get() = layout };
    true
}

#[expect(
    clippy::single_range_in_vec_init,
    reason = "the range itself is meant: an image is one or two of them"
)]
fn shadow_image(base: usize, window: &Range<usize>) -> Vec<Range<usize>> {
    let start = (window.start * SCALE).wrapping_add(base) & SHADOW_MASK;
    let end = start + window.len() * SCALE;
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
fn place<I: IntoIterator<Item = Range<usize>>>(
    windows: &[Range<usize>],
    taken: &[Range<usize>],
    image: impl Fn(usize, &Range<usize>) -> I,
) -> Option<usize> {
    (0..TOP / TIB)
        .map(|step| (step * TIB).wrapping_sub(TOP / 2))
        .find(|&base| {
            let windows = || windows.iter().filter(|window| !window.is_empty());
            let images: Vec<_> = windows().flat_map(|w| image(base, w)).collect();
            let free = |a: &Range<usize>, b: &Range<usize>| a.end <= b.start || b.end <= a.start;
            images.iter().enumerate().all(|(i, a)| {
                a.start >= TIB
                    && a.start < a.end
                    && a.end <= TOP
                    && windows().chain(taken).all(|b| free(a, b))
                    && images[..i].iter().all(|b| free(a, b))
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(exe: usize, mappings: usize, stack: usize) -> bool {
        let places = Places {
            exe,
            mappings,
            stack: stack..stack + (8 << 20),
        };
        fit(&windows(&places, REACH[REACH.len() - 1])).is_some()
    }

    #[test]
    fn the_default_randomisation_always_fits() {
        for exe in [
            0x0040_0000,
            0x5555_5555_4000,
            0x55d5_5555_4000,
            0x5655_5555_4000,
        ] {
            for mappings in [0x7eff_0000_0000, 0x7f55_f7d0_0000, 0x7fff_f7d0_0000] {
                assert!(
                    fits(exe, mappings, 0x7fff_f000_0000),
                    "{exe:x} {mappings:x}"
                );
            }
        }
    }

    /// With 32 bits of randomisation, the choice of some distributions since
    /// 2023, a process starts again where two windows fall together.
    #[test]
    fn most_wide_randomisations_fit() {
        let step = |from: usize, n: usize| from + n * 0x0100_0000_0000;
        let starts = (0..16).flat_map(|n| (0..16).map(move |m| (n, m)));
        let all: Vec<_> = starts
            .map(|(n, m)| {
                fits(
                    step(0x5555_5555_4000, n),
                    step(0x6fff_0000_0000, m),
                    0x7fff_f000_0000,
                )
            })
            .collect();
        let fitting = all.iter().filter(|fits| **fits).count();
        assert!(fitting * 2 > all.len(), "{fitting} of {}", all.len());
    }
}
