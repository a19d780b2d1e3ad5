//! System calls made directly, so that neither `errno` nor an interposed
//! function of the C library is in the way.

use std::arch::asm;
use std::ffi::CStr;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// A system call; errors come back as `-errno`.
///
/// # Safety
/// As the system call requires.
#[inline]
pub unsafe fn call(number: i64, args: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the kernel's calling convention: it clobbers rcx, r11 and what
    // the caller vouches for.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") args[0],
            in("rsi") args[1],
            in("rdx") args[2],
            in("r10") args[3],
            in("r8") args[4],
            in("r9") args[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// A descriptor of a file that is read; `flags` besides. None if it cannot be
/// opened.
pub fn open(path: &CStr, flags: i32) -> Option<usize> {
    let flags = (libc::O_RDONLY | libc::O_CLOEXEC | flags) as usize;
    let at = libc::AT_FDCWD as usize;
    // SAFETY: the path is a C string; a fresh descriptor results.
    let fd = unsafe {
        call(
            libc::SYS_openat,
            [at, path.as_ptr() as usize, flags, 0, 0, 0],
        )
    };
    usize::try_from(fd).ok()
}

/// Waits while a word of the runtime's is `value`, until it is woken or for `ns`
/// at most.
pub fn wait_while(word: &AtomicU32, value: u32, ns: u64) {
    let time = libc::timespec {
        tv_sec: (ns / 1_000_000_000) as i64,
        tv_nsec: (ns % 1_000_000_000) as i64,
    };
    let operation = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
    let arguments = [
        word.as_ptr() as usize,
        operation as usize,
        value as usize,
        &raw const time as usize,
        0,
        0,
    ];
    // SAFETY: waits on a word that outlives the call.
    unsafe { call(libc::SYS_futex, arguments) };
}

/// Wakes one thread that waits for a word of the runtime's.
pub fn wake_one(word: &AtomicU32) {
    let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    let arguments = [word.as_ptr() as usize, operation as usize, 1, 0, 0, 0];
    // SAFETY: wakes the waiters on a word that outlives the call.
    unsafe { call(libc::SYS_futex, arguments) };
}

/// Mappings of the runtime that are kept apart at most.
const OWN: usize = 1 << 15;

/// A mapping; of size 0 if it is there no more.
struct Mapping {
    start: AtomicUsize,
    size: AtomicUsize,
}

static OWN_MAPPINGS: [Mapping; OWN] = [const {
    Mapping {
        start: AtomicUsize::new(0),
        size: AtomicUsize::new(0),
    }
}; OWN];
/// Mappings noted, those that found no room included.
static NOTED: AtomicUsize = AtomicUsize::new(0);

/// The runtime has mapped this.
fn note_own(start: usize, size: usize) {
    if let Some(mapping) = OWN_MAPPINGS.get(NOTED.fetch_add(1, Ordering::AcqRel)) {
        mapping.start.store(start, Ordering::Relaxed);
        mapping.size.store(size, Ordering::Release);
    }
}

/// What the runtime has mapped for itself; none if that is too much to say.
pub fn own_mappings() -> Option<Vec<Range<usize>>> {
    let noted = OWN_MAPPINGS.get(..NOTED.load(Ordering::Acquire))?;
    let range = |mapping: &Mapping| {
        let size = mapping.size.load(Ordering::Acquire);
        let start = mapping.start.load(Ordering::Relaxed);
        start..start + size
    };
    Some(noted.iter().map(range).collect())
}

/// Fresh zeroed memory, or null.
pub fn map(size: usize) -> *mut u8 {
    // SAFETY: a private anonymous mapping at an address the kernel chooses.
    let addr = unsafe {
        call(
            libc::SYS_mmap,
            [
                0,
                size,
                (libc::PROT_READ | libc::PROT_WRITE) as usize,
                (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE) as usize,
                usize::MAX,
                0,
            ],
        )
    };
    if addr < 0 {
        std::ptr::null_mut()
    } else {
        note_own(addr as usize, size);
        addr as *mut u8
    }
}

/// As many zeroed words, for good: memory of the runtime's own, in which no
/// search for what is reachable looks. None if there is no memory.
pub fn words(count: usize) -> Option<&'static [AtomicU64]> {
    let words: *mut AtomicU64 = map(count.checked_mul(size_of::<AtomicU64>())?).cast();
    // SAFETY: null, or zeroed and aligned to a page, of that size, and never
    // unmapped; zero is a valid word.
    (!words.is_null()).then(|| unsafe { std::slice::from_raw_parts(words, count) })
}

/// Maps zeroed memory exactly there; false if something is mapped there or
/// the kernel refuses.
pub fn map_at(addr: usize, size: usize) -> bool {
    // SAFETY: MAP_FIXED_NOREPLACE never replaces a mapping.
    let got = unsafe {
        call(
            libc::SYS_mmap,
            [
                addr,
                size,
                (libc::PROT_READ | libc::PROT_WRITE) as usize,
                (libc::MAP_PRIVATE
                    | libc::MAP_ANONYMOUS
                    | libc::MAP_NORESERVE
                    | libc::MAP_FIXED_NOREPLACE) as usize,
                usize::MAX,
                0,
            ],
        )
    };
    let mapped = got == addr as isize;
    if mapped {
        note_own(addr, size);
    }
    mapped
}

/// Gives a mapping back. The caller owns it.
pub fn unmap(addr: usize, size: usize) {
    let noted = NOTED.load(Ordering::Acquire).min(OWN);
    for mapping in &OWN_MAPPINGS[..noted] {
        if mapping.start.load(Ordering::Relaxed) == addr {
            mapping.size.store(0, Ordering::Release);
        }
    }
    // SAFETY: only the runtime's own mappings are passed here.
    unsafe { call(libc::SYS_munmap, [addr, size, 0, 0, 0, 0]) };
}

/// Advice on a mapping of the runtime.
pub fn advise(addr: usize, size: usize, advice: i32) {
    // SAFETY: only the runtime's own mappings are passed here; DONTNEED zeroes
    // them, which their users expect.
    unsafe { call(libc::SYS_madvise, [addr, size, advice as usize, 0, 0, 0]) };
}

/// For each page from `addr` on, whether it is in memory (bit 0); false if the
/// kernel does not say.
pub fn resident(addr: usize, pages: &mut [u8]) -> bool {
    // SAFETY: the vector has a byte for each page asked for.
    let failed = unsafe {
        let size = pages.len() * 4096;
        call(
            libc::SYS_mincore,
            [addr, size, pages.as_mut_ptr() as usize, 0, 0, 0],
        )
    };
    failed == 0
}

/// Lets other threads run.
pub fn yield_now() {
    // SAFETY: takes no argument and touches no memory.
    unsafe { call(libc::SYS_sched_yield, [0; 6]) };
}

/// Writes all of `bytes`; false if the descriptor does not take them.
pub fn write_all(fd: i32, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        // SAFETY: `bytes` is readable.
        let n = unsafe {
            call(
                libc::SYS_write,
                [fd as usize, bytes.as_ptr() as usize, bytes.len(), 0, 0, 0],
            )
        };
        match n {
            n if n > 0 => bytes = &bytes[n as usize..],
            n if n == -(libc::EINTR as isize) => {}
            _ => return false,
        }
    }
    true
}

/// The kernel's number of the calling thread.
pub fn thread_id() -> i32 {
    // SAFETY: takes no argument and touches no memory.
    unsafe { call(libc::SYS_gettid, [0; 6]) as i32 }
}

/// The process.
pub fn process_id() -> u32 {
    // SAFETY: takes no argument and touches no memory.
    unsafe { call(libc::SYS_getpid, [0; 6]) as u32 }
}

/// Ends the process at once.
pub fn exit_now(status: i32) -> ! {
    loop {
        // SAFETY: does not return.
        unsafe { call(libc::SYS_exit_group, [status as usize, 0, 0, 0, 0, 0]) };
    }
}

/// Prints to standard error and ends the process: for what the runtime cannot
/// work with.
#[cold]
pub fn fatal(message: &str) -> ! {
    write_all(2, b"leakcheck: ");
    write_all(2, message.as_bytes());
    write_all(2, b"\n");
    exit_now(70)
}
