//! The start of the process: before the first constructor, before std.

use std::ffi::{CStr, CString, c_char};
use std::ops::Range;

use super::end;
use super::locals;
use super::pause;
use super::process;
use super::request;
use super::signal;
use super::snapshot;
use super::stuck;
use crate::registry::{self, Entry};
use crate::report::wire::{
    EXPLORE_ENV, GRACE_ENV, GUARDS_STAY_ENV, NO_TASK_RACES_ENV, SNAPSHOT_ENV, SUPERVISOR_ENV,
    ThreadId, WIRE_DIR_ENV,
};
use crate::rt::hot::set_current;
use crate::rt::mode;
use crate::rt::sys;
use crate::schedule;
use crate::session;
use crate::shadow::map::{self, Places};
use crate::sync::ReleaseClock;
use crate::wire;

/// Environment variable: one mark for each start whose layout did not fit.
const TRIED_ENV: &str = "LEAKCHECK_LAYOUT_TRIED";

/// Run by the loader before any constructor of the program.
#[used]
#[unsafe(link_section = ".preinit_array")]
static START: unsafe extern "C" fn(i32, *const *const c_char, *const *const c_char) = start;

/// An address in the program, always the same one of it.
pub fn program() -> usize {
    start as *const () as usize
}

/// Where things are at the start, from `/proc/self/maps`.
fn read_maps() -> Option<Places> {
    let text = std::fs::read_to_string("/proc/self/maps").ok()?;
    let exe = program();
    let mut maps = Places {
        exe: usize::MAX,
        mappings: usize::MAX,
        stack: 0..0,
    };
    let mut ranges = Vec::new();
    for line in text.lines() {
        let (range, rest) = line.split_once(' ')?;
        let (from, to) = range.split_once('-')?;
        let from = usize::from_str_radix(from, 16).ok()?;
        let to = usize::from_str_radix(to, 16).ok()?;
        if rest.ends_with("[stack]") {
            maps.stack = from..to;
        }
        ranges.push(from..to);
    }
    // The executable is the run of mappings, near each other, that holds this
    // function; what is far above it is the kernel's choice for all else.
    const NEAR: usize = 1 << 39;
    maps.exe = ranges
        .iter()
        .map(|r| r.start)
        .filter(|at| at.abs_diff(exe) < NEAR)
        .min()?;
    maps.mappings = ranges
        .iter()
        .map(|r| r.start)
        .filter(|at| *at > exe + NEAR)
        .min()?;
    Some(maps)
}

/// The stack of the main thread as far as it may grow.
fn main_stack(now: &Range<usize>) -> Range<usize> {
    const UNLIMITED: usize = 1 << 30;
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is writable.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_STACK, &raw mut limit) } == 0;
    let size = match limit.rlim_cur {
        size if known && size != libc::RLIM_INFINITY => size as usize,
        _ => UNLIMITED,
    };
    now.end - size.min(UNLIMITED)..now.end
}

/// Runs the program anew, a few times at most: the kernel lays the next one out
/// differently. Returns if that does not help.
///
/// # Safety
/// Both are null-terminated arrays of C strings.
unsafe fn start_again(arguments: *const *const c_char, environment: *const *const c_char) {
    const TRIES: usize = 20;
    // SAFETY: as the caller says.
    let tried = unsafe { variable(environment, TRIED_ENV) };
    let tried = tried.map_or(0, |marks| marks.as_bytes().len());
    if tried >= TRIES {
        return;
    }
    let Ok(mark) = CString::new(format!("{TRIED_ENV}={}", "x".repeat(tried + 1))) else {
        return;
    };
    let mut entries = vec![mark.as_ptr()];
    let mut at = environment;
    // SAFETY: up to the null, as the caller says.
    unsafe {
        while !at.read().is_null() {
            if !CStr::from_ptr(at.read())
                .to_bytes()
                .starts_with(TRIED_ENV.as_bytes())
            {
                entries.push(at.read());
            }
            at = at.add(1);
        }
    }
    entries.push(std::ptr::null());
    // SAFETY: a path and two null-terminated arrays of C strings; on success
    // nothing of this process is left.
    unsafe {
        let exe = c"/proc/self/exe".as_ptr() as usize;
        let [arguments, entries] = [arguments as usize, entries.as_ptr() as usize];
        sys::call(libc::SYS_execve, [exe, arguments, entries, 0, 0, 0]);
    }
}

unsafe extern "C" fn start(
    _count: i32,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) {
    let Some(maps) = read_maps() else {
        sys::fatal("failed to read /proc/self/maps: is /proc mounted?");
    };
    if !map::init(&maps) {
        // SAFETY: the loader passes the arguments and the environment.
        unsafe { start_again(arguments, environment) };
        sys::fatal(
            "failed to reserve shadow memory: the address space is limited (ulimit -v, \
             vm.overcommit_memory=2) or laid out in an unknown way; lift the limit, or run \
             under `setarch -R`",
        );
    }
    // SAFETY: the loader passes the environment; std's view of it is not there
    // yet.
    wire::init(unsafe { variable(environment, WIRE_DIR_ENV) });
    mode::init();
    process::init();
    // SAFETY: as above.
    let grace = unsafe { variable(environment, GRACE_ENV) };
    // SAFETY: as above.
    let guards_stay = unsafe { variable(environment, GUARDS_STAY_ENV) };
    // SAFETY: as above.
    let supervisor = unsafe { variable(environment, SUPERVISOR_ENV) };
    stuck::init(supervisor.and_then(|number| number.to_str().ok()?.parse().ok()));
    snapshot::init(guards_stay.is_some());
    end::init(grace.as_deref().and_then(|grace| grace.to_str().ok()));
    // SAFETY: as above.
    schedule::init(unsafe { variable(environment, NO_TASK_RACES_ENV) }.is_none());
    // SAFETY: as above.
    let seed = unsafe { variable(environment, EXPLORE_ENV) };
    pause::init(seed.as_deref().and_then(|seed| seed.to_str().ok()));
    let stack = main_stack(&maps.stack);
    let id = registry::next_id();
    registry::add(
        id,
        Entry {
            name: Some("main".to_owned()),
            parent: None,
            spawned_at: Vec::new(),
            slot: crate::ids::Slot::new(0),
            started: super::kernel::now(),
            ended: None,
            finished: false,
            detached: false,
            end: ReleaseClock::new(),
        },
    );
    debug_assert_eq!(id, ThreadId(0));
    let record = session::new_thread(id, &[], stack.len());
    // SAFETY: the record is this thread's from here on.
    let thread = unsafe { &mut *record };
    session::has_stack(thread, stack);
    thread.locals = locals::of_this_thread();
    thread.waiting.runs(sys::thread_id());
    signal::thread_starts(thread);
    signal::init();
    // SAFETY: as above.
    let asks = unsafe { variable(environment, SNAPSHOT_ENV) };
    request::init(asks.and_then(|number| number.to_str().ok()?.parse().ok()));
    // SAFETY: the record is this thread's from here on.
    unsafe { set_current(record) };
}

/// The value of a variable in an environment block.
///
/// # Safety
/// `environment` is a null-terminated array of C strings.
unsafe fn variable(environment: *const *const c_char, name: &str) -> Option<CString> {
    let mut at = environment;
    loop {
        // SAFETY: not past the null, as the loop ends there.
        let entry = unsafe { at.read() };
        if entry.is_null() {
            return None;
        }
        // SAFETY: a C string, as the caller says.
        let text = unsafe { CStr::from_ptr(entry) }.to_bytes();
        let value = text
            .strip_prefix(name.as_bytes())
            .and_then(|rest| rest.strip_prefix(b"="));
        if let Some(value) = value {
            return CString::new(value).ok();
        }
        // SAFETY: the entry was not the null.
        at = unsafe { at.add(1) };
    }
}

/// Hook of the compiler's instrumentation: each module's constructor calls it.
#[unsafe(no_mangle)]
extern "C" fn __tsan_init() {}
