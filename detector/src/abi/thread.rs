//! Threads: creation, end, join, detach.
//!
//! The spawner's clock goes to the new thread, the ended thread's clock to
//! who joins it; nothing else orders them. A thread's record ends in the last
//! round of pthread's key destructors, after those of its thread-local
//! variables.

use std::ffi::{CStr, c_char, c_void};
use std::ops::Range;
use std::sync::OnceLock;

use dashmap::DashMap;

use super::caller::return_address;
use super::edge::tracked;
use super::end;
use super::kernel;
use super::locals;
use super::pause;
use super::real;
use super::signal;
use super::stuck;
use crate::check;
use crate::explore::Point;
use crate::objects;
use crate::registry::{self, Entry};
use crate::report::wire::ThreadId;
use crate::rt::hot::{current, set_current};
use crate::rt::replaceable::Replaceable;
use crate::rt::sys;
use crate::rt::thread::Thread;
use crate::rt::waiting::{Blocked, Call};
use crate::schedule;
use crate::schedule::replay::Object;
use crate::session;
use crate::sync::ReleaseClock;

type Start = extern "C" fn(*mut c_void) -> *mut c_void;

real::forward! {
    /// The C library's.
    fn pthread_create(
        thread: *mut libc::pthread_t,
        attributes: *const libc::pthread_attr_t,
        start: Start,
        argument: *mut c_void,
    ) -> i32
}
real::forward! {
    /// The C library's.
    fn pthread_join(thread: libc::pthread_t, result: *mut *mut c_void) -> i32
}
real::forward! {
    /// The C library's.
    fn pthread_tryjoin_np(thread: libc::pthread_t, result: *mut *mut c_void) -> i32
}
real::forward! {
    /// The C library's.
    fn pthread_timedjoin_np(
        thread: libc::pthread_t,
        result: *mut *mut c_void,
        until: *const libc::timespec,
    ) -> i32
}
real::forward! {
    /// The C library's.
    fn pthread_clockjoin_np(
        thread: libc::pthread_t,
        result: *mut *mut c_void,
        clock: libc::clockid_t,
        until: *const libc::timespec,
    ) -> i32
}
real::forward! {
    /// The C library's.
    fn pthread_setname_np(thread: libc::pthread_t, name: *const c_char) -> i32
}
real::forward! {
    /// The C library's, which takes its arguments as variable ones: in the
    /// same registers.
    fn prctl(option: i32, a: usize, b: usize, c: usize, d: usize) -> i32
}
real::forward! {
    /// The C library's.
    fn pthread_detach(thread: libc::pthread_t) -> i32
}

/// Live or joinable threads by their handle.
static HANDLES: Replaceable<DashMap<libc::pthread_t, ThreadId>> = Replaceable::new();
static KEY: OnceLock<libc::pthread_key_t> = OnceLock::new();

fn handles() -> &'static DashMap<libc::pthread_t, ThreadId> {
    HANDLES.get()
}

/// In the child of a fork: the other threads are not here.
pub fn reset() {
    HANDLES.replace(DashMap::new());
}

/// What a new thread is started with.
struct Child {
    record: *mut Thread,
    start: Start,
    argument: *mut c_void,
}

/// The mapped stack of the calling thread.
fn stack_range() -> Range<usize> {
    // SAFETY: a zeroed attribute object is overwritten by pthread_getattr_np,
    // and destroyed after use.
    unsafe {
        let mut attributes: libc::pthread_attr_t = std::mem::zeroed();
        let (mut base, mut size) = (std::ptr::null_mut(), 0);
        if libc::pthread_getattr_np(libc::pthread_self(), &raw mut attributes) != 0 {
            return 0..0;
        }
        libc::pthread_attr_getstack(&raw const attributes, &raw mut base, &raw mut size);
        libc::pthread_attr_destroy(&raw mut attributes);
        base as usize..base as usize + size
    }
}

fn stack_size(attributes: *const libc::pthread_attr_t) -> usize {
    const DEFAULT: usize = 8 << 20;
    // Some programs ask for more than there is, to see the creation fail: it
    // is the C library that must refuse, not the runtime.
    const LARGEST: usize = 1 << 36;
    let mut size = DEFAULT;
    if !attributes.is_null() {
        // SAFETY: the program passes valid attributes.
        unsafe { libc::pthread_attr_getstacksize(attributes, &raw mut size) };
    }
    size.clamp(64 << 10, LARGEST)
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_pthread_create(
    handle: *mut libc::pthread_t,
    attributes: *const libc::pthread_attr_t,
    start: Start,
    argument: *mut c_void,
) -> i32 {
    let pc = return_address();
    // SAFETY: the record belongs to this thread.
    let Some(parent) = (unsafe { current().as_mut() }) else {
        // SAFETY: as the program says.
        return unsafe { pthread_create(handle, attributes, start, argument) };
    };
    parent.busy += 1;
    let id = registry::next_id();
    parent.before_release();
    schedule::releases(parent, Object::turn_of(id));
    let record = session::new_thread(id, parent.clocks.now(), stack_size(attributes));
    // SAFETY: the record is not yet its thread's.
    let slot = unsafe { (*record).stamp_value().slot() };
    if pause::on() {
        // SAFETY: as above.
        unsafe { (*record).steps = pause::child(parent) };
    }
    parent.load_calls(pc);
    let frames = parent.frames();
    let spawned_at = frames.iter().rev().map(|pc| pc - 1).collect();
    registry::add(
        id,
        Entry {
            name: None,
            parent: Some(parent.id),
            spawned_at,
            slot,
            started: kernel::now(),
            ended: None,
            finished: false,
            detached: false,
            end: ReleaseClock::new(),
        },
    );
    session::tick(parent);
    let child = Box::into_raw(Box::new(Child {
        record,
        start,
        argument,
    }));
    // SAFETY: as the program says; `run` takes the box.
    let failed = unsafe { pthread_create(handle, attributes, run, child.cast()) };
    if failed == 0 {
        // SAFETY: the C library has set the handle.
        handles().insert(unsafe { *handle }, id);
    } else {
        // SAFETY: no thread has taken the box or the record.
        unsafe {
            drop(Box::from_raw(child));
            session::end_thread(record);
        }
    }
    parent.busy -= 1;
    if pause::on() {
        pause::spawned(parent);
    }
    failed
}

extern "C" fn run(child: *mut c_void) -> *mut c_void {
    // SAFETY: the creator made the box for this thread.
    let child = unsafe { Box::from_raw(child.cast::<Child>()) };
    let Child {
        record,
        start,
        argument,
    } = *child;
    // SAFETY: the record is this thread's from here on.
    let thread = unsafe { &mut *record };
    session::has_stack(thread, stack_range());
    thread.locals = locals::of_this_thread();
    thread.waiting.runs(sys::thread_id());
    signal::thread_starts(thread);
    let key = *KEY.get_or_init(|| {
        let mut key = 0;
        // SAFETY: the key is writable; the destructor takes a round number.
        unsafe { libc::pthread_key_create(&raw mut key, Some(last_destructor)) };
        key
    });
    // SAFETY: the key exists; the value is a number of rounds, no pointer.
    unsafe { libc::pthread_setspecific(key, ROUNDS as *const c_void) };
    // The stack was perhaps another thread's before.
    objects::drop_range(thread, thread.stack.clone());
    check::fresh(thread.stack.clone(), None);
    // SAFETY: the record is this thread's from here on.
    unsafe { set_current(record) };
    schedule::acquires(thread, Object::turn_of(thread.id));
    if pause::on() {
        pause::at(thread, start as usize as u64, Point::Begin);
    }
    start(argument)
}

/// Rounds of destructors that the C library makes.
const ROUNDS: usize = 4;

/// The key's destructor: waits for the last round, so that the program's own
/// destructors are followed.
unsafe extern "C" fn last_destructor(rounds_left: *mut c_void) {
    let rounds_left = rounds_left as usize;
    if rounds_left > 1 {
        if let Some(&key) = KEY.get() {
            // SAFETY: as in `run`.
            unsafe { libc::pthread_setspecific(key, (rounds_left - 1) as *const c_void) };
        }
        return;
    }
    let record = current();
    signal::thread_ends();
    // SAFETY: no record.
    unsafe { set_current(std::ptr::null_mut()) };
    // SAFETY: the record belongs to this thread, which no longer uses it.
    unsafe {
        let thread = &mut *record;
        registry::with(thread.id, |entry| {
            if !entry.detached {
                thread.before_release();
                thread.clocks.release(&mut entry.end);
                schedule::releases(thread, Object::end_of(thread.id));
            }
            entry.finished = true;
            entry.ended = Some(kernel::now());
        });
        session::end_thread(record);
    }
    end::thread_ended();
    stuck::thread_ended(sys::thread_id());
}

/// The thread has been joined: all that it did happens before now.
fn joined(handle: libc::pthread_t, id: ThreadId) {
    handles().remove_if(&handle, |_, now| *now == id);
    // SAFETY: the record belongs to this thread.
    if let Some(thread) = unsafe { current().as_mut() } {
        thread.busy += 1;
        let end = registry::with(id, |entry| std::mem::take(&mut entry.end));
        thread.clocks.acquire(&end.unwrap_or_default());
        schedule::acquires(thread, Object::end_of(id));
        thread.busy -= 1;
    }
}

/// What a thread notes that is about to join.
fn joining(target: ThreadId, timed: bool, pc: u64) -> Blocked {
    Blocked {
        call: Call::Join,
        addr: 0,
        expected: 0,
        timed,
        private: true,
        target: Some(target),
        pc,
    }
}

/// The calling thread, and the number of the thread that it is to join.
fn join_of(handle: libc::pthread_t) -> Option<(&'static mut Thread, ThreadId)> {
    let id = handles().get(&handle).map(|id| *id)?;
    Some((tracked()?, id))
}

/// Joins by `call`, which gives up by itself.
fn timed_join(handle: libc::pthread_t, pc: u64, call: impl FnOnce() -> i32) -> i32 {
    let Some((thread, id)) = join_of(handle) else {
        return call();
    };
    let failed = stuck::blocking(thread, &joining(id, true, pc), call);
    if failed == 0 {
        joined(handle, id);
    }
    failed
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_pthread_join(
    handle: libc::pthread_t,
    result: *mut *mut c_void,
) -> i32 {
    let pc = return_address();
    let Some((thread, id)) = join_of(handle) else {
        // SAFETY: as the program says.
        return unsafe { pthread_join(handle, result) };
    };
    session::is_joined(id);
    let wait = |until: Option<u64>| match until.map(stuck::wall_clock) {
        // SAFETY: as the program says.
        None => Some(unsafe { pthread_join(handle, result) }),
        Some(until) => {
            // SAFETY: as the program says; the same wait, with a timeout.
            let failed = unsafe { pthread_timedjoin_np(handle, result, &raw const until) };
            (failed != libc::ETIMEDOUT).then_some(failed)
        }
    };
    // A wait without an end of its own always has a result.
    let failed = stuck::sliced(thread, &joining(id, false, pc), wait).unwrap_or(0);
    if failed == 0 {
        joined(handle, id);
    }
    failed
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_pthread_tryjoin_np(
    handle: libc::pthread_t,
    result: *mut *mut c_void,
) -> i32 {
    // SAFETY: as the program says.
    timed_join(handle, return_address(), || unsafe {
        pthread_tryjoin_np(handle, result)
    })
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_pthread_timedjoin_np(
    handle: libc::pthread_t,
    result: *mut *mut c_void,
    until: *const libc::timespec,
) -> i32 {
    // SAFETY: as the program says.
    timed_join(handle, return_address(), || unsafe {
        pthread_timedjoin_np(handle, result, until)
    })
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_pthread_clockjoin_np(
    handle: libc::pthread_t,
    result: *mut *mut c_void,
    clock: libc::clockid_t,
    until: *const libc::timespec,
) -> i32 {
    // SAFETY: as the program says.
    timed_join(handle, return_address(), || unsafe {
        pthread_clockjoin_np(handle, result, clock, until)
    })
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_pthread_detach(handle: libc::pthread_t) -> i32 {
    if let Some((_, id)) = handles().remove(&handle) {
        registry::with(id, |entry| {
            entry.detached = true;
            entry.end = ReleaseClock::new();
        });
    }
    // SAFETY: as the program says.
    unsafe { pthread_detach(handle) }
}

/// The thread is called by this name from now on.
///
/// # Safety
/// `name` is a C string.
unsafe fn named(id: ThreadId, name: *const c_char) {
    // SAFETY: as the caller says.
    let name = unsafe { CStr::from_ptr(name) }
        .to_string_lossy()
        .into_owned();
    registry::with(id, |entry| entry.name = Some(name));
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_pthread_setname_np(
    handle: libc::pthread_t,
    name: *const c_char,
) -> i32 {
    // SAFETY: as the program says.
    let failed = unsafe { pthread_setname_np(handle, name) };
    // SAFETY: the record belongs to this thread.
    let own = unsafe { current().as_ref() }.map(|thread| thread.id);
    // SAFETY: takes no argument.
    let is_own = unsafe { libc::pthread_self() } == handle;
    let id = if is_own {
        own
    } else {
        handles().get(&handle).map(|id| *id)
    };
    if failed == 0
        && let Some(id) = id
    {
        // SAFETY: the C library has read it as one.
        unsafe { named(id, name) };
    }
    failed
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_prctl(
    option: i32,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
) -> i32 {
    // SAFETY: as the program says.
    let result = unsafe { prctl(option, a, b, c, d) };
    if option == libc::PR_SET_NAME
        && result == 0
        && let Some(thread) = tracked()
    {
        // SAFETY: the kernel has read it as a C string.
        unsafe { named(thread.id, a as *const c_char) };
    }
    result
}
