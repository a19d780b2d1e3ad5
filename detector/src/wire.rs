//! The writer of the wire file (see [`crate::report::wire`]).
//!
//! Opened at the first record; every record is one `write` to a descriptor
//! opened for appending. Without a directory to write to, findings become a
//! line each on standard error and the exit status tells of them.

use std::ffi::{CStr, CString};
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use crate::report::kind::Level;
use crate::report::wire::{Module, Record, SNAPSHOT_EXTENSION, Start, WIRE_SCHEMA};
use crate::rt::lock::Spin;
use crate::rt::sys;

/// No file yet.
const UNOPENED: i32 = -1;
/// No directory, or it could not be opened: standard error it is.
const NO_FILE: i32 = -2;

static FILE: AtomicI32 = AtomicI32::new(UNOPENED);
static FAILURES: AtomicU64 = AtomicU64::new(0);
static FINDINGS: AtomicU64 = AtomicU64::new(0);
static ERRORS: AtomicU64 = AtomicU64::new(0);
static MODULES: Spin<Vec<Module>> = Spin::new(Vec::new());
static WRITING: Spin<()> = Spin::new(());
/// The directory, read at the start, before the program can change its
/// environment.
static DIR: Spin<Option<CString>> = Spin::new(None);

/// Sets the directory of the wire file. Called once, at the start.
pub fn init(dir: Option<CString>) {
    *DIR.lock() = dir;
}

/// Findings written so far.
pub fn findings() -> u64 {
    FINDINGS.load(Ordering::Relaxed)
}

/// Those of them that are errors by default.
pub fn errors() -> u64 {
    ERRORS.load(Ordering::Relaxed)
}

/// Records that could not be written.
pub fn failures() -> u64 {
    FAILURES.load(Ordering::Relaxed)
}

/// True if a supervisor reads the findings.
pub fn supervised() -> bool {
    DIR.lock().is_some()
}

/// Opens a file of this process's own: in the child of a fork.
pub fn reopen(forked: bool) {
    WRITING.reset();
    MODULES.reset();
    DIR.reset();
    MODULES.lock().clear();
    FILE.store(UNOPENED, Ordering::Relaxed);
    FINDINGS.store(0, Ordering::Relaxed);
    ERRORS.store(0, Ordering::Relaxed);
    open(forked);
}

/// Writes a record.
pub fn write(record: &Record) {
    let _one_at_a_time = WRITING.lock();
    if let Record::Finding(finding) = record {
        FINDINGS.fetch_add(1, Ordering::Relaxed);
        let info = finding.kind.info();
        let level = match finding.kind.level(finding.certainty) {
            Level::Error => {
                ERRORS.fetch_add(1, Ordering::Relaxed);
                "error"
            }
            Level::Warning => "warning",
            Level::Note => "note",
        };
        if open(false) == NO_FILE {
            say(&format!("leakcheck: {level}[{}]: {}", info.code, info.name));
        }
    }
    let fd = open(false);
    if fd == NO_FILE {
        return;
    }
    for module in new_modules() {
        put(fd, &Record::Module(module));
    }
    put(fd, record);
}

fn say(line: &str) {
    sys::write_all(2, format!("{line}\n").as_bytes());
}

fn put(fd: i32, record: &Record) {
    let written = serde_json::to_string(record).is_ok_and(|mut line| {
        line.push('\n');
        sys::write_all(fd, line.as_bytes())
    });
    if !written {
        FAILURES.fetch_add(1, Ordering::Relaxed);
    }
}

/// The descriptor of the file, opened if need be.
fn open(forked: bool) -> i32 {
    let fd = FILE.load(Ordering::Relaxed);
    if fd != UNOPENED {
        return fd;
    }
    let fd = DIR.lock().as_deref().and_then(create).unwrap_or(NO_FILE);
    FILE.store(fd, Ordering::Relaxed);
    if fd >= 0 {
        put(fd, &Record::Start(start(forked)));
    }
    fd
}

/// The first record.
fn start(forked: bool) -> Start {
    let exe = std::fs::read_link("/proc/self/exe").unwrap_or_default();
    Start {
        schema: WIRE_SCHEMA,
        pid: sys::process_id(),
        ppid: std::os::unix::process::parent_id(),
        exe: exe.to_string_lossy().into_owned(),
        forked,
    }
}

/// Writes the records of a snapshot to a file of its own, which has its name
/// once it is whole. False if there is nowhere to write to.
pub fn write_apart(number: u32, records: impl Iterator<Item = Record>) -> bool {
    let Some(dir) = DIR.lock().clone() else {
        return false;
    };
    let pid = sys::process_id();
    let dir = dir.to_string_lossy();
    let part = CString::new(format!("{dir}/{pid}-{number}.part"));
    let whole = CString::new(format!("{dir}/{pid}-{number}.{SNAPSHOT_EXTENSION}"));
    let (Ok(part), Ok(whole)) = (part, whole) else {
        return false;
    };
    let Some(fd) = create_file(&part) else {
        return false;
    };
    put(fd, &Record::Start(start(false)));
    let mut found: Vec<Module> = Vec::new();
    // SAFETY: the callback gets the vector it expects.
    unsafe { libc::dl_iterate_phdr(Some(module), (&raw mut found).cast()) };
    for record in found.into_iter().map(Record::Module).chain(records) {
        put(fd, &record);
    }
    let names = [part.as_ptr() as usize, whole.as_ptr() as usize];
    // SAFETY: closes the descriptor just opened, and renames its file; both
    // names are C strings.
    unsafe {
        sys::call(libc::SYS_close, [fd as usize, 0, 0, 0, 0, 0]);
        sys::call(libc::SYS_rename, [names[0], names[1], 0, 0, 0, 0]) == 0
    }
}

/// Creates the file.
fn create(dir: &CStr) -> Option<i32> {
    let dir = dir.to_str().ok()?;
    let pid = sys::process_id();
    (0..1000).find_map(|nonce| {
        let path = CString::new(format!("{dir}/{pid}-{nonce}.ndjson")).ok()?;
        create_file(&path)
    })
}

/// Creates a file, on a descriptor out of the program's way.
fn create_file(path: &CStr) -> Option<i32> {
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_APPEND | libc::O_CLOEXEC;
    // SAFETY: the path is a C string; a fresh descriptor results.
    let fd = unsafe {
        sys::call(
            libc::SYS_openat,
            [
                libc::AT_FDCWD as usize,
                path.as_ptr() as usize,
                flags as usize,
                0o644,
                0,
                0,
            ],
        )
    };
    if fd < 0 {
        return None;
    }
    // SAFETY: duplicates and closes the descriptor just opened.
    unsafe {
        let high = sys::call(
            libc::SYS_fcntl,
            [fd as usize, libc::F_DUPFD_CLOEXEC as usize, 500, 0, 0, 0],
        );
        if high < 0 {
            return Some(fd as i32);
        }
        sys::call(libc::SYS_close, [fd as usize, 0, 0, 0, 0, 0]);
        Some(high as i32)
    }
}

/// The modules loaded since the last look.
fn new_modules() -> Vec<Module> {
    let mut known = MODULES.lock();
    let mut found: Vec<Module> = Vec::new();
    // SAFETY: the callback gets the vector it expects.
    unsafe { libc::dl_iterate_phdr(Some(module), (&raw mut found).cast()) };
    found.retain(|module| !known.contains(module));
    known.extend(found.iter().cloned());
    found
}

unsafe extern "C" fn module(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    data: *mut libc::c_void,
) -> libc::c_int {
    // SAFETY: the loader passes a valid record, and the data is the vector
    // that `new_modules` passed.
    let (info, found) = unsafe { (&*info, &mut *data.cast::<Vec<Module>>()) };
    // SAFETY: the loader vouches for the headers.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    let loaded = || {
        headers
            .iter()
            .filter(|header| header.p_type == libc::PT_LOAD)
    };
    // SAFETY: the loader passes a C string, or null.
    let name = unsafe { info.dlpi_name.as_ref() }.map(|name| {
        // SAFETY: as above.
        unsafe { CStr::from_ptr(name) }
            .to_string_lossy()
            .into_owned()
    });
    let path = match name {
        Some(name) if !name.is_empty() => name,
        _ if found.is_empty() => std::fs::read_link("/proc/self/exe")
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        _ => return 0,
    };
    let start = loaded()
        .map(|header| info.dlpi_addr + header.p_vaddr)
        .min()
        .unwrap_or(0);
    let end = loaded()
        .map(|header| info.dlpi_addr + header.p_vaddr + header.p_memsz)
        .max();
    found.push(Module {
        path,
        bias: info.dlpi_addr,
        start,
        end: end.unwrap_or(0),
    });
    0
}

/// True if `addr` lies in a loaded file's segments.
pub fn in_module(addr: usize) -> bool {
    let mut found: Vec<Module> = Vec::new();
    // SAFETY: the callback gets the vector it expects.
    unsafe { libc::dl_iterate_phdr(Some(module), (&raw mut found).cast()) };
    found
        .iter()
        .any(|module| (module.start..module.end).contains(&(addr as u64)))
}
