//! Thread-local variables: where they are, and which is at an address.
//!
//! On x86-64 the variables of the modules loaded at the start end at the thread
//! pointer, in each thread at the same distance below it. What it misses: those
//! of libraries loaded later, which lie in blocks of their own.

use std::arch::asm;
use std::ffi::c_void;
use std::ops::Range;
use std::sync::OnceLock;

/// The thread-local variables of the calling thread.
pub fn of_this_thread() -> Range<usize> {
    /// More than any program's static thread-local variables.
    const MOST: usize = 64 << 10;
    let pointer = thread_pointer();
    let size = modules().iter().map(|module| module.room).sum();
    pointer - MOST.min(size)..pointer
}

fn thread_pointer() -> usize {
    let pointer: usize;
    // SAFETY: on Linux x86-64 the first word of the thread block is its own
    // address.
    unsafe { asm!("mov {}, fs:[0]", out(reg) pointer, options(nostack, readonly)) };
    pointer
}

/// Where a module has the first value of the variable that lies `below` bytes
/// below the thread pointer.
pub fn initial(below: usize) -> Option<usize> {
    modules().iter().find_map(|module| {
        let offset = module.below.checked_sub(below)?;
        (offset < module.size).then_some(module.initial + offset)
    })
}

/// The variables of a module.
struct Module {
    /// How far below the thread pointer they begin.
    below: usize,
    /// Their bytes.
    size: usize,
    /// The same, up to the alignment.
    room: usize,
    /// Their first values, as loaded.
    initial: usize,
}

/// The modules loaded at the start, as far as they have such variables.
fn modules() -> &'static [Module] {
    static MODULES: OnceLock<Vec<Module>> = OnceLock::new();
    MODULES.get_or_init(|| {
        let mut found: Vec<Module> = Vec::new();
        // SAFETY: the callback gets the list it expects.
        unsafe { libc::dl_iterate_phdr(Some(add), (&raw mut found).cast()) };
        found
    })
}

unsafe extern "C" fn add(info: *mut libc::dl_phdr_info, _size: usize, found: *mut c_void) -> i32 {
    // SAFETY: the loader passes a valid record and headers, and the data is
    // the list that `modules` passed.
    let (info, headers, found) = unsafe {
        let info = &*info;
        let headers = std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into());
        (info, headers, &mut *found.cast::<Vec<Module>>())
    };
    for header in headers
        .iter()
        .filter(|header| header.p_type == libc::PT_TLS)
    {
        let size = header.p_memsz as usize;
        found.push(Module {
            // Of the calling thread; another one's are as far away.
            below: thread_pointer().saturating_sub(info.dlpi_tls_data as usize),
            size,
            room: size.next_multiple_of(header.p_align.max(1) as usize),
            initial: (info.dlpi_addr + header.p_vaddr) as usize,
        });
    }
    0
}
