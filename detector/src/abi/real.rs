//! What the runtime itself calls under the names that it interposes.
//!
//! The memory functions are string instructions, which no optimiser turns back
//! into a call. The functions that are only forwarded are looked up in the
//! libraries behind the program ([`next`]).

use std::arch::asm;
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

/// `memmove`.
///
/// # Safety
/// As the C function.
#[unsafe(export_name = "__lc_real_memmove")]
pub unsafe extern "C" fn memmove(to: *mut c_void, from: *const c_void, n: usize) -> *mut c_void {
    if (to as usize).wrapping_sub(from as usize) >= n {
        // SAFETY: as the caller says; forwards is right for this overlap.
        return unsafe { memcpy(to, from, n) };
    }
    // SAFETY: as the caller says; backwards, and the direction flag is reset.
    unsafe {
        asm!(
            "std", "rep movsb", "cld",
            inout("rcx") n => _,
            inout("rdi") (to as usize + n).wrapping_sub(1) => _,
            inout("rsi") (from as usize + n).wrapping_sub(1) => _,
            options(nostack),
        );
    }
    to
}

/// `memcpy`.
///
/// # Safety
/// As the C function.
#[unsafe(export_name = "__lc_real_memcpy")]
pub unsafe extern "C" fn memcpy(to: *mut c_void, from: *const c_void, n: usize) -> *mut c_void {
    // SAFETY: as the caller says.
    unsafe {
        asm!(
            "rep movsb",
            inout("rcx") n => _,
            inout("rdi") to => _,
            inout("rsi") from => _,
            options(nostack, preserves_flags),
        );
    }
    to
}

/// `memset`.
///
/// # Safety
/// As the C function.
#[unsafe(export_name = "__lc_real_memset")]
pub unsafe extern "C" fn memset(to: *mut c_void, byte: i32, n: usize) -> *mut c_void {
    // SAFETY: as the caller says.
    unsafe {
        asm!(
            "rep stosb",
            inout("rcx") n => _,
            inout("rdi") to => _,
            in("al") byte as u8,
            options(nostack, preserves_flags),
        );
    }
    to
}

/// `memcmp`, also for `bcmp`.
///
/// # Safety
/// As the C function.
#[unsafe(export_name = "__lc_real_memcmp")]
pub unsafe extern "C" fn memcmp(a: *const c_void, b: *const c_void, n: usize) -> i32 {
    let (mut a, mut b): (*const u8, *const u8) = (a.cast(), b.cast());
    for _ in 0..n {
        // SAFETY: as the caller says. Volatile, so that the loop is not made
        // the call that it implements.
        let difference = unsafe { i32::from(a.read_volatile()) - i32::from(b.read_volatile()) };
        if difference != 0 {
            return difference;
        }
        // SAFETY: within, or one past, the bytes that the caller vouches for.
        (a, b) = unsafe { (a.add(1), b.add(1)) };
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
