//! The allocator family: the C library's heap with shadow memory kept in step.
//!
//! A fresh block is unknown memory; freeing writes to the whole block, up to
//! what `malloc_usable_size` says, so that an unordered access before the free
//! or after it is a race.

use std::arch::naked_asm;
use std::ffi::c_void;

use super::real;
use crate::check;
use crate::objects;
use crate::report::wire::AccessOp;
use crate::rt::hot::current;
use crate::rt::mode;
use crate::rt::thread::Thread;
use crate::shadow::map;
use crate::stack::{self, StackId};

unsafe extern "C" {
    fn __libc_malloc(size: usize) -> *mut c_void;
    fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
    fn __libc_realloc(block: *mut c_void, size: usize) -> *mut c_void;
    fn __libc_memalign(align: usize, size: usize) -> *mut c_void;
    fn __libc_free(block: *mut c_void);
    fn malloc_usable_size(block: *mut c_void) -> usize;
}

/// The calling thread's record, unless the runtime itself is at work.
fn tracked() -> Option<&'static mut Thread> {
    // SAFETY: the record belongs to this thread.
    unsafe { current().as_mut() }.filter(|thread| thread.busy == 0)
}

/// A block was allocated.
fn begins(block: *mut c_void, size: usize, pc: u64) -> *mut c_void {
    if block.is_null() || !map::ready() {
        return block;
    }
    let start = block as usize;
    if mode::leaks_alone() {
        if let Some(thread) = tracked() {
            thread.busy += 1;
            objects::block_begins(thread, start, size, StackId(0));
            thread.busy -= 1;
        }
        return block;
    }
    // SAFETY: a live block.
    let usable = unsafe { malloc_usable_size(block) };
    let thread = tracked();
    check::fresh(start..start + usable, thread.as_deref());
    if let Some(thread) = thread {
        thread.busy += 1;
        let stack = stack::intern(pc, thread.frames());
        objects::block_begins(thread, start, size, stack);
        thread.busy -= 1;
    }
    block
}

/// A block is about to be freed.
fn ends(block: *mut c_void, pc: u64) {
    if block.is_null() {
        return;
    }
    let start = block as usize;
    if mode::leaks_alone() {
        if let Some(thread) = tracked() {
            thread.busy += 1;
            objects::block_ends(thread, start);
            thread.busy -= 1;
        }
        return;
    }
    // SAFETY: a live block.
    let range = start..start + unsafe { malloc_usable_size(block) };
    match tracked() {
        Some(thread) => {
            thread.busy += 1;
            check::end_of_life(thread, range.clone(), AccessOp::Free, pc, true);
            objects::drop_range(thread, range);
            thread.busy -= 1;
        }
        None if map::ready() => check::fresh(range, None),
        None => {}
    }
}

unsafe extern "C" fn allocate(size: usize, pc: u64) -> *mut c_void {
    // SAFETY: as the program says.
    begins(unsafe { __libc_malloc(size) }, size, pc)
}

unsafe extern "C" fn allocate_zeroed(count: usize, size: usize, pc: u64) -> *mut c_void {
    // SAFETY: as the program says.
    begins(
        unsafe { __libc_calloc(count, size) },
        count.saturating_mul(size),
        pc,
    )
}

unsafe extern "C" fn reallocate(block: *mut c_void, size: usize, pc: u64) -> *mut c_void {
    if tracked().is_none() {
        // SAFETY: as the program says.
        return unsafe { __libc_realloc(block, size) };
    }
    if size == 0 && !block.is_null() {
        // SAFETY: as the program says.
        unsafe { release(block, pc) };
        return std::ptr::null_mut();
    }
    // SAFETY: as the program says.
    let new = unsafe { allocate(size, pc) };
    if new.is_null() || block.is_null() {
        return new;
    }
    // SAFETY: a live block, and a fresh one that is large enough.
    unsafe {
        let kept = malloc_usable_size(block).min(size);
        real::memmove(new, block, kept);
        release(block, pc);
    }
    new
}

unsafe extern "C" fn release(block: *mut c_void, pc: u64) {
    ends(block, pc);
    // SAFETY: as the program says.
    unsafe { __libc_free(block) }
}

unsafe extern "C" fn allocate_aligned(align: usize, size: usize, pc: u64) -> *mut c_void {
    // SAFETY: as the program says.
    begins(unsafe { __libc_memalign(align, size) }, size, pc)
}

unsafe extern "C" fn posix_memalign(
    out: *mut *mut c_void,
    align: usize,
    size: usize,
    pc: u64,
) -> i32 {
    if !align.is_power_of_two() || !align.is_multiple_of(size_of::<usize>()) {
        return libc::EINVAL;
    }
    // SAFETY: as the program says.
    let block = unsafe { allocate_aligned(align, size, pc) };
    if block.is_null() {
        return libc::ENOMEM;
    }
    // SAFETY: the program passes a place for the result.
    unsafe { out.write(block) };
    0
}

unsafe extern "C" fn reallocate_array(
    block: *mut c_void,
    count: usize,
    size: usize,
    pc: u64,
) -> *mut c_void {
    match count.checked_mul(size) {
        // SAFETY: as the program says.
        Some(bytes) => unsafe { reallocate(block, bytes, pc) },
        None => std::ptr::null_mut(),
    }
}

unsafe extern "C" fn page_aligned(size: usize, pc: u64) -> *mut c_void {
    // SAFETY: as the program says.
    unsafe { allocate_aligned(4096, size, pc) }
}

/// Stubs that pass the return address as one more argument.
macro_rules! stubs {
    ($($name:ident($($arg:ident: $type:ty),*) -> $result:ty, $register:literal => $target:ident;)*) => {$(
        /// Interposed function of the C library.
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($arg: $type),*) -> $result {
            naked_asm!(concat!("mov ", $register, ", [rsp]"), "jmp {}", sym $target)
        }
    )*};
}

stubs! {
    __lc_interpose_malloc(size: usize) -> *mut c_void, "rsi" => allocate;
    __lc_interpose_calloc(count: usize, size: usize) -> *mut c_void, "rdx" => allocate_zeroed;
    __lc_interpose_realloc(block: *mut c_void, size: usize) -> *mut c_void, "rdx" => reallocate;
    __lc_interpose_reallocarray(block: *mut c_void, n: usize, size: usize) -> *mut c_void, "rcx" => reallocate_array;
    __lc_interpose_free(block: *mut c_void) -> (), "rsi" => release;
    __lc_interpose_cfree(block: *mut c_void) -> (), "rsi" => release;
    __lc_interpose_memalign(align: usize, size: usize) -> *mut c_void, "rdx" => allocate_aligned;
    __lc_interpose_aligned_alloc(align: usize, size: usize) -> *mut c_void, "rdx" => allocate_aligned;
    __lc_interpose_posix_memalign(out: *mut *mut c_void, align: usize, size: usize) -> i32, "rcx" => posix_memalign;
    __lc_interpose_valloc(size: usize) -> *mut c_void, "rsi" => page_aligned;
    __lc_interpose_pvalloc(size: usize) -> *mut c_void, "rsi" => page_aligned;
}
