//! What the runtime itself calls under the names that it interposes.
//!
//! The memory functions are loops that the optimiser cannot turn back into a
//! call. The functions that are only forwarded are looked up in the
//! libraries behind the program ([`next`]).

use std::arch::asm;
use std::arch::x86_64::{__m128i, _mm_set1_epi8};
use std::ffi::{CStr, c_void};

/// The next definition of `name` after the program's own: the C library's.
///
/// # Panics
/// Ends the process if there is none.
pub fn next(name: &CStr) -> *mut c_void {
    // SAFETY: a C string; RTLD_NEXT looks in the libraries after this object.
    let found = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
    if found.is_null() {
        let name = name.to_string_lossy();
        crate::rt::sys::fatal(&format!(
            "the C library has no function {name}: leakcheck needs glibc 2.28 or later, linked dynamically"
        ));
    }
    found
}

/// Defines a module-level function that calls the C library's function of
/// that name, looked up once.
macro_rules! forward {
    ($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) -> $result:ty) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// As the C library's function.
        $vis unsafe fn $name($($arg: $type),*) -> $result {
            use std::sync::atomic::{AtomicUsize, Ordering};
            static FOUND: AtomicUsize = AtomicUsize::new(0);
            let mut found = FOUND.load(Ordering::Relaxed);
            if found == 0 {
                let name = concat!(stringify!($name), "\0");
                let name = std::ffi::CStr::from_bytes_with_nul(name.as_bytes());
                found = $crate::abi::real::next(name.unwrap_or_default()) as usize;
                FOUND.store(found, Ordering::Relaxed);
            }
            // SAFETY: the C library's function of that name has that type.
            let function = unsafe {
                std::mem::transmute::<usize, unsafe extern "C" fn($($type),*) -> $result>(found)
            };
            // SAFETY: as the caller says.
            unsafe { function($($arg),*) }
        }
    };
}
pub(crate) use forward;

/// Above this many bytes, a string instruction is worth its start.
const LONG: usize = 512;
const BLOCK: usize = size_of::<__m128i>();

/// Loads a `T` from each end of a block, then stores both: right for every
/// overlap.
///
/// # Safety
/// `n` bytes can be copied, and `n` is at least the size of `T` and at most
/// twice it.
#[inline(always)]
unsafe fn copy_ends<T>(to: *mut u8, from: *const u8, n: usize) {
    let last = n - size_of::<T>();
    // SAFETY: as the caller says.
    unsafe {
        let head = from.cast::<T>().read_unaligned();
        let tail = from.add(last).cast::<T>().read_unaligned();
        to.cast::<T>().write_unaligned(head);
        to.add(last).cast::<T>().write_unaligned(tail);
    }
}

/// Copies at most two blocks, whatever their overlap.
///
/// # Safety
/// `n` bytes can be copied, and `n` is at most two blocks.
#[inline(always)]
unsafe fn copy_short(to: *mut u8, from: *const u8, n: usize) {
    // SAFETY: as the caller says.
    unsafe {
        match n {
            0 => {}
            1 => to.write(from.read()),
            2..4 => copy_ends::<u16>(to, from, n),
            4..8 => copy_ends::<u32>(to, from, n),
            8..BLOCK => copy_ends::<u64>(to, from, n),
            _ => copy_ends::<__m128i>(to, from, n),
        }
    }
}

/// `memmove`.
///
/// # Safety
/// As the C function.
#[unsafe(export_name = "__lc_real_memmove")]
pub unsafe extern "C" fn memmove(to: *mut c_void, from: *const c_void, n: usize) -> *mut c_void {
    if n <= 2 * BLOCK || (to as usize).wrapping_sub(from as usize) >= n {
        // SAFETY: as the caller says; forwards is right for this overlap.
        return unsafe { memcpy(to, from, n) };
    }
    let (out, input) = (to.cast::<u8>(), from.cast::<u8>());
    // SAFETY: as the caller says. From the end, the first block last, which is
    // read before it can be overwritten.
    unsafe {
        let head = input.cast::<__m128i>().read_unaligned();
        let mut at = n;
        while at > BLOCK {
            at -= BLOCK;
            let block = input.add(at).cast::<__m128i>().read_unaligned();
            out.add(at).cast::<__m128i>().write_unaligned(block);
            no_idiom();
        }
        out.cast::<__m128i>().write_unaligned(head);
    }
    to
}

/// Keeps the optimiser from making a loop the call that it implements.
#[inline(always)]
fn no_idiom() {
    // SAFETY: no instruction.
    unsafe { asm!("", options(nostack, preserves_flags)) }
}

/// `memcpy`, also right where `to` lies below an overlapping `from`.
///
/// # Safety
/// As the C function.
#[unsafe(export_name = "__lc_real_memcpy")]
pub unsafe extern "C" fn memcpy(to: *mut c_void, from: *const c_void, n: usize) -> *mut c_void {
    let (out, input) = (to.cast::<u8>(), from.cast::<u8>());
    // SAFETY: as the caller says. The last block is read before it can be
    // overwritten.
    unsafe {
        if n <= 2 * BLOCK {
            copy_short(out, input, n);
        } else if n <= LONG {
            let tail = input.add(n - BLOCK).cast::<__m128i>().read_unaligned();
            let mut at = 0;
            while at < n - BLOCK {
                let block = input.add(at).cast::<__m128i>().read_unaligned();
                out.add(at).cast::<__m128i>().write_unaligned(block);
                at += BLOCK;
                no_idiom();
            }
            out.add(n - BLOCK).cast::<__m128i>().write_unaligned(tail);
        } else {
            asm!(
                "rep movsb",
                inout("rcx") n => _,
                inout("rdi") to => _,
                inout("rsi") from => _,
                options(nostack, preserves_flags),
            );
        }
    }
    to
}

/// `memset`.
///
/// # Safety
/// As the C function.
#[unsafe(export_name = "__lc_real_memset")]
pub unsafe extern "C" fn memset(to: *mut c_void, byte: i32, n: usize) -> *mut c_void {
    let out = to.cast::<u8>();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "C converts it to an unsigned char"
    )]
    let byte = byte as u8;
    // SAFETY: as the caller says.
    unsafe {
        if n < BLOCK {
            let eight = u64::from(byte) * 0x0101_0101_0101_0101;
            match n {
                0 => {}
                1 => out.write(byte),
                2..4 => copy_ends::<u16>(out, (&raw const eight).cast(), n.min(4)),
                4..8 => copy_ends::<u32>(out, (&raw const eight).cast(), n),
                _ => {
                    out.cast::<u64>().write_unaligned(eight);
                    out.add(n - 8).cast::<u64>().write_unaligned(eight);
                }
            }
        } else if n <= LONG {
            let block = _mm_set1_epi8(byte.cast_signed());
            let mut at = 0;
            while at < n - BLOCK {
                out.add(at).cast::<__m128i>().write_unaligned(block);
                at += BLOCK;
                no_idiom();
            }
            out.add(n - BLOCK).cast::<__m128i>().write_unaligned(block);
        } else {
            asm!(
                "rep stosb",
                inout("rcx") n => _,
                inout("rdi") to => _,
                in("al") byte,
                options(nostack, preserves_flags),
            );
        }
    }
    to
}

/// `memcmp`, also for `bcmp`.
///
/// # Safety
/// As the C function.
#[unsafe(export_name = "__lc_real_memcmp")]
pub unsafe extern "C" fn memcmp(a: *const c_void, b: *const c_void, n: usize) -> i32 {
    const STEP: usize = size_of::<u64>();
    let (a, b): (*const u8, *const u8) = (a.cast(), b.cast());
    let mut at = 0;
    while at + STEP <= n {
        // SAFETY: as the caller says.
        let [x, y] = unsafe { [a.add(at), b.add(at)].map(|p| p.cast::<u64>().read_unaligned()) };
        if x != y {
            return if x.swap_bytes() < y.swap_bytes() {
                -1
            } else {
                1
            };
        }
        at += STEP;
        no_idiom();
    }
    while at < n {
        // SAFETY: as the caller says.
        let difference = unsafe { i32::from(a.add(at).read()) - i32::from(b.add(at).read()) };
        if difference != 0 {
            return difference;
        }
        at += 1;
        no_idiom();
    }
    0
}

#[unsafe(export_name = "__lc_real_bcmp")]
unsafe extern "C" fn bcmp(a: *const c_void, b: *const c_void, n: usize) -> i32 {
    // SAFETY: as the caller says.
    unsafe { memcmp(a, b, n) }
}

/// `strlen`.
///
/// # Safety
/// As the C function.
#[unsafe(export_name = "__lc_real_strlen")]
pub unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let mut len = 0;
    // SAFETY: as the caller says, up to the zero.
    while unsafe { text.add(len).read_volatile() } != 0 {
        len += 1;
    }
    len
}

/// Names under which std itself calls interposed functions of the heap and of
/// the address space: forwarded to the C library's own.
mod own {
    use std::ffi::c_void;

    use crate::abi::map;

    unsafe extern "C" {
        fn __libc_malloc(size: usize) -> *mut c_void;
        fn __libc_realloc(block: *mut c_void, size: usize) -> *mut c_void;
        fn __libc_free(block: *mut c_void);
    }

    #[unsafe(export_name = "__lc_real_malloc")]
    unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
        // SAFETY: as the caller says.
        unsafe { __libc_malloc(size) }
    }

    #[unsafe(export_name = "__lc_real_realloc")]
    unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
        // SAFETY: as the caller says.
        unsafe { __libc_realloc(block, size) }
    }

    #[unsafe(export_name = "__lc_real_free")]
    unsafe extern "C" fn free(block: *mut c_void) {
        // SAFETY: as the caller says.
        unsafe { __libc_free(block) }
    }

    #[unsafe(export_name = "__lc_real_mmap64")]
    unsafe extern "C" fn mmap64(
        at: *mut c_void,
        size: usize,
        protection: i32,
        flags: i32,
        fd: i32,
        offset: i64,
    ) -> *mut c_void {
        // SAFETY: as the caller says.
        unsafe { map::mmap(at, size, protection, flags, fd, offset) }
    }

    #[unsafe(export_name = "__lc_real_munmap")]
    unsafe extern "C" fn munmap(at: *mut c_void, size: usize) -> i32 {
        // SAFETY: as the caller says.
        unsafe { map::munmap(at, size) }
    }
}
