//! Atomic operations of 8 to 128 bits and fences.
//!
//! The value and the clock of an atomic variable change together, under the
//! lock of its sync object; a load takes the lock only if there is something
//! to acquire. A variable gets its object when something is first released
//! into it: relaxed counters never have one.

use std::arch::naked_asm;
use std::sync::atomic::{Ordering, compiler_fence, fence};

use super::integer::Atomic;
use super::lock_word::{New, note_lock};
use super::memory_order::{NEVER_FAILS, RELAXED, order_of};
use super::pause;
use crate::check::{self, Seen, recorded};
use crate::explore::Point;
use crate::objects::{self, SyncObject};
use crate::report::wire::AccessOp;
use crate::rt::hot::current;
use crate::rt::thread::Thread;
use crate::schedule;
use crate::schedule::replay::Object;
use crate::session;
use crate::shadow::map;
use crate::shadow::word::{Access, Cell, Class, Mask};

/// The calling thread's record, if the address is one to follow.
#[inline(always)]
fn follow<T: Atomic>(at: *const T) -> Option<&'static mut Thread> {
    // SAFETY: the record belongs to this thread.
    let thread = unsafe { current().as_mut() }?;
    (thread.busy == 0 && map::covers(at as usize, T::SIZE)).then_some(thread)
}

/// The cell of an access of at most 8 bytes.
#[inline(always)]
fn cell_of<T: Atomic, const WRITE: bool>(thread: &Thread, at: *const T) -> Cell {
    let access = const { access_of::<T, WRITE>() };
    let mask = const { (1u32 << (T::SIZE % 16)) - 1 } << (at as usize % 8);
    Cell::from_bits(thread.stamp() | access.bits() | u64::from(mask as u8))
}

/// Checks and records the access itself.
#[inline(always)]
fn touch<T: Atomic, const WRITE: bool>(thread: &mut Thread, at: *const T, pc: u64) {
    let new = cell_of::<T, WRITE>(thread, at);
    // SAFETY: `follow` checked that the address is covered.
    if T::SIZE > 8 || !unsafe { recorded(at as usize, new) } {
        record::<T, WRITE>(thread, at as usize, pc);
    }
}

const fn access_of<T: Atomic, const WRITE: bool>() -> Access {
    if WRITE {
        Access::write(Class::atomic(T::SIZE))
    } else {
        Access::read(Class::atomic(T::SIZE))
    }
}

/// An access that the first words do not record.
#[inline(never)]
fn record<T: Atomic, const WRITE: bool>(thread: &mut Thread, addr: usize, pc: u64) {
    let seen = move || Seen {
        addr,
        size: T::SIZE,
        access: const { access_of::<T, WRITE>() },
        op: if WRITE {
            AccessOp::Write
        } else {
            AccessOp::Read
        },
        pc,
    };
    if T::SIZE > 8 {
        check::access(thread, seen());
    } else {
        let mask = ((1u32 << (T::SIZE % 16)) - 1) << (addr % 8);
        // `follow` checked that the address is covered.
        check::small_covered(thread, seen, mask as Mask);
    }
}

#[inline(always)]
fn load_value<T: Atomic>(thread: &mut Thread, at: *const T, acquire: bool) -> T {
    let addr = at as usize;
    loop {
        // SAFETY: `follow` checked that the address is covered.
        let Some(object) = (unsafe { objects::find(addr) }) else {
            // SAFETY: as the program says.
            let value = unsafe { T::load(at) };
            // SAFETY: as above. If a release came meanwhile, the value may be
            // its, and its clock belongs to it.
            if unsafe { objects::find(addr) }.is_none() {
                return value;
            }
            continue;
        };
        let known = |bits| thread.clocks.knows_stamp(Cell::from_bits(bits).stamp());
        if let Some(version) = object.nothing_new(known) {
            // SAFETY: as the program says.
            let value = unsafe { T::load(at) };
            if object.unchanged(version) {
                return value;
            }
        }
        thread.busy += 1;
        let guard = object.lock_to_read();
        // SAFETY: as the program says.
        let value = unsafe { T::load(at) };
        thread.clocks.load(guard.clock(), acquire);
        drop(guard);
        thread.busy -= 1;
        return value;
    }
}

/// A load. What is recorded already, of a variable into which nothing was ever
/// released, needs no more than the look at both.
unsafe extern "C" fn load<T: Atomic>(at: *const T, order: i32, pc: u64) -> T {
    // SAFETY: the record belongs to this thread.
    if let Some(thread) = unsafe { current().as_ref() }
        && T::SIZE <= 8
        && thread.busy == 0
    {
        // SAFETY: the program accesses the address next; if it is recorded, it
        // is covered.
        if !unsafe { recorded(at as usize, cell_of::<T, false>(thread, at)) } {
            // SAFETY: as the program says.
            return unsafe { load_new(at, order, pc) };
        }
        // SAFETY: as the program says.
        let value = unsafe { T::load(at) };
        // A release that came before the value would be seen.
        // SAFETY: covered.
        if unsafe { objects::none(at as usize) } {
            return value;
        }
    }
    // SAFETY: as the program says.
    unsafe { load_any(at, order, pc) }
}

/// A load that the first words do not record.
#[inline(never)]
unsafe extern "C" fn load_new<T: Atomic>(at: *const T, order: i32, pc: u64) -> T {
    let Some(thread) = follow(at) else {
        // SAFETY: as the program says.
        return unsafe { T::load(at) };
    };
    record::<T, false>(thread, at as usize, pc);
    // SAFETY: as the program says.
    let value = unsafe { T::load(at) };
    // A release that came before the value would be seen.
    // SAFETY: covered.
    if unsafe { objects::none(at as usize) } {
        return value;
    }
    load_recorded(thread, at, order)
}

#[inline(never)]
unsafe extern "C" fn load_any<T: Atomic>(at: *const T, order: i32, pc: u64) -> T {
    let Some(thread) = follow(at) else {
        // SAFETY: as the program says.
        return unsafe { T::load(at) };
    };
    touch::<T, false>(thread, at, pc);
    load_recorded(thread, at, order)
}

/// A load, once it is recorded.
#[inline(always)]
fn load_recorded<T: Atomic>(thread: &mut Thread, at: *const T, order: i32) -> T {
    let value = load_value(thread, at, order_of(order).acquire);
    if schedule::is_on() {
        loads(thread, at as usize);
    }
    value
}

/// Tells that an atomic variable was loaded, after it was. A relaxed load is
/// as good as another, before a fence.
#[inline(never)]
fn loads(thread: &Thread, addr: usize) {
    // SAFETY: the callers have checked that the address is covered.
    if unsafe { objects::find(addr) }.is_some() {
        schedule::acquires(thread, Object::address(addr));
    }
}

/// A store. What is recorded already, releases nothing, and goes to a variable
/// into which nothing was ever released, needs no more.
unsafe extern "C" fn store<T: Atomic>(at: *mut T, value: T, order: i32, pc: u64) {
    // SAFETY: the record belongs to this thread.
    if let Some(thread) = unsafe { current().as_ref() }
        && T::SIZE <= 8
        && order == RELAXED
        && thread.busy == 0
        && !thread.clocks.has_released()
    {
        // SAFETY: the program accesses the address next; if it is recorded, it
        // is covered.
        if !unsafe { recorded(at as usize, cell_of::<T, true>(thread, at)) } {
            // SAFETY: as the program says.
            return unsafe { store_new(at, value, order, pc) };
        }
        // SAFETY: covered.
        if unsafe { objects::none(at as usize) } {
            // SAFETY: as the program says.
            return unsafe { T::store(at, value, order) };
        }
    }
    // SAFETY: as the program says.
    unsafe { store_any(at, value, order, pc) }
}

/// A store that the first words do not record, and that releases nothing.
#[inline(never)]
unsafe extern "C" fn store_new<T: Atomic>(at: *mut T, value: T, order: i32, pc: u64) {
    let Some(thread) = follow(at) else {
        // SAFETY: as the program says.
        return unsafe { T::store(at, value, order) };
    };
    record::<T, true>(thread, at as usize, pc);
    // SAFETY: covered.
    if unsafe { objects::none(at as usize) } {
        // SAFETY: as the program says.
        return unsafe { T::store(at, value, order) };
    }
    // SAFETY: as the program says.
    unsafe { store_any(at, value, order, pc) }
}

#[inline(never)]
unsafe extern "C" fn store_any<T: Atomic>(at: *mut T, value: T, order: i32, pc: u64) {
    let Some(thread) = follow(at) else {
        // SAFETY: as the program says.
        return unsafe { T::store(at, value, order) };
    };
    touch::<T, true>(thread, at, pc);
    let release = order_of(order).release;
    let addr = at as usize;
    if release {
        thread.lock_released(addr);
        thread.before_release();
    }
    // SAFETY: `follow` checked that the address is covered.
    let object = unsafe { objects::find(addr) };
    if !release && object.is_none() && !thread.clocks.has_released() {
        // SAFETY: as the program says.
        return unsafe { T::store(at, value, order) };
    }
    thread.busy += 1;
    // SAFETY: as above.
    let mut guard = unsafe { objects::found_or_made(thread, object, addr) }.lock();
    // SAFETY: as the program says.
    unsafe { T::store(at, value, order) };
    let released = thread.clocks.store(guard.clock(), release);
    if released || thread.clocks.has_released() {
        schedule::releases(thread, Object::address(addr));
    }
    drop(guard);
    if released {
        session::tick(thread);
    }
    thread.busy -= 1;
}

/// A read-modify-write: `op` performs it, and returns the old value if it
/// succeeded, or the value that made it fail.
#[inline(always)]
unsafe fn modify<T: Atomic>(
    at: *mut T,
    orders: [i32; 2],
    pc: u64,
    new: New<T>,
    op: impl Fn() -> Result<T, T>,
) -> Result<T, T> {
    let Some(thread) = follow(at) else {
        return op();
    };
    let order = order_of(orders[0]);
    // Reference counts are arithmetic, and no place to pause.
    let pauses = pause::on() && !matches!(new, New::Computed);
    if pauses && order.acquire {
        pause::before_taking(thread, pc);
    }
    // The access comes after what it acquires. A compare-and-exchange counts as
    // what it turned out to be.
    let touch_as = |thread: &mut Thread, wrote: bool| match wrote {
        false => touch::<T, false>(thread, at, pc),
        true => touch::<T, true>(thread, at, pc),
    };
    let addr = at as usize;
    // SAFETY: `follow` checked that the address is covered.
    let object = unsafe { objects::find(addr) };
    let silent = !order.release && !thread.clocks.has_released();
    // The version of an object that has nothing new, if there is an object.
    let version = object.filter(|_| silent).map(|object| {
        let known = |bits| thread.clocks.knows_stamp(Cell::from_bits(bits).stamp());
        object.nothing_new(known)
    });
    let like_a_lock = order.acquire && !order.release && !matches!(new, New::Computed);
    let mut taught = false;
    let result = if silent && version != Some(None) {
        let result = op();
        // SAFETY: as above.
        let object = object.or_else(|| unsafe { objects::find(addr) });
        let unchanged = |object: &SyncObject| {
            version
                .flatten()
                .is_some_and(|version| object.unchanged(version))
        };
        if let Some(object) = object.filter(|object| !unchanged(object)) {
            // A release came meanwhile, and its value may be what was read.
            let acquire = match result {
                Ok(_) => order.acquire,
                Err(_) => order_of(orders[1]).acquire,
            };
            thread.busy += 1;
            let guard = object.lock_to_read();
            taught = like_a_lock && thread.learns(guard.clock());
            thread.clocks.load(guard.clock(), acquire);
            drop(guard);
            thread.busy -= 1;
        }
        touch_as(thread, result.is_ok());
        // What is nothing new to the thread may be to its task.
        if schedule::is_on() {
            loads(thread, addr);
        }
        result
    } else {
        thread.busy += 1;
        // SAFETY: as above.
        let mut guard = unsafe { objects::found_or_made(thread, object, addr) }.lock();
        let result = op();
        let released = match result {
            Ok(_) => {
                taught = like_a_lock && thread.learns(guard.clock());
                thread.clocks.read_modify_write(guard.clock(), order)
            }
            Err(_) => {
                thread
                    .clocks
                    .load(guard.clock(), order_of(orders[1]).acquire);
                false
            }
        };
        // What the operation releases must cover its own access: nobody acquires
        // it before the guard is gone.
        touch_as(thread, result.is_ok());
        if order.release {
            thread.before_release();
        }
        let releases = released || result.is_ok() && thread.clocks.has_released();
        schedule::exchanges(thread, Object::address(addr), releases);
        drop(guard);
        if released {
            session::tick(thread);
        }
        thread.busy -= 1;
        result
    };
    note_lock(thread, addr, order, result, new, taught, pc);
    if pauses && order.release && !order.acquire {
        pause::at(thread, pc, Point::GaveBack);
    }
    result
}

macro_rules! operations {
    ($($hook:ident $op:ident;)*) => {$(
        unsafe extern "C" fn $hook<T: Atomic>(at: *mut T, value: T, order: i32, pc: u64) -> T {
            let new = if stringify!($op) == "swap" { New::Swapped(value) } else { New::Computed };
            // SAFETY: as the program says.
            let done = unsafe { modify(at, [order, NEVER_FAILS], pc, new, || Ok(T::$op(at, value))) };
            match done { Ok(old) | Err(old) => old }
        }
    )*};
}

operations! {
    exchange swap;
    fetch_add add;
    fetch_sub sub;
    fetch_and and;
    fetch_or or;
    fetch_xor xor;
    fetch_nand nand;
}

unsafe extern "C" fn compare_exchange_val<T: Atomic>(
    at: *mut T,
    expected: T,
    value: T,
    success: i32,
    failure: i32,
    pc: u64,
) -> T {
    // SAFETY: as the program says.
    let done = unsafe {
        modify(at, [success, failure], pc, New::Exchanged(value), || {
            T::cas(at, expected, value)
        })
    };
    match done {
        Ok(old) | Err(old) => old,
    }
}

unsafe extern "C" fn compare_exchange<T: Atomic>(
    at: *mut T,
    expected: *mut T,
    value: T,
    success: i32,
    failure: i32,
    pc: u64,
) -> bool {
    // SAFETY: as the program says.
    let done = unsafe {
        let wanted = expected.read();
        modify(at, [success, failure], pc, New::Exchanged(value), || {
            T::cas(at, wanted, value)
        })
    };
    if let Err(now) = done {
        // SAFETY: as the program says.
        unsafe { expected.write(now) };
    }
    done.is_ok()
}

/// Hook of the compiler's instrumentation. The failure order and the return
/// address go on the stack, since the registers are taken.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn __tsan_atomic128_compare_exchange_val() {
    naked_asm!(
        "mov rax, [rsp]",
        "mov r10, [rsp + 8]",
        "sub rsp, 8",
        "push rax",
        "push r10",
        "call {}",
        "add rsp, 24",
        "ret",
        sym compare_exchange_val::<u128>
    )
}

/// As [`__tsan_atomic128_compare_exchange_val`], with the return address alone
/// on the stack.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn __tsan_atomic128_compare_exchange_strong() {
    naked_asm!("mov rax, [rsp]", "push rax", "call {}", "add rsp, 8", "ret", sym compare_exchange::<u128>)
}

/// As [`__tsan_atomic128_compare_exchange_strong`]: ours never fails spuriously.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn __tsan_atomic128_compare_exchange_weak() {
    naked_asm!("jmp {}", sym __tsan_atomic128_compare_exchange_strong)
}

/// Stubs that pass the return address in the first register left.
macro_rules! stubs {
    ($($register:literal: $($name:ident => $target:expr;)*)*) => {$($(
        /// Hook of the compiler's instrumentation.
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name() {
            naked_asm!(concat!("mov ", $register, ", [rsp]"), "jmp {}", sym $target)
        }
    )*)*};
}

stubs! {
    "rdx":
    __tsan_atomic8_load => load::<u8>;
    __tsan_atomic16_load => load::<u16>;
    __tsan_atomic32_load => load::<u32>;
    __tsan_atomic64_load => load::<u64>;
    __tsan_atomic128_load => load::<u128>;
    "rcx":
    __tsan_atomic8_store => store::<u8>;
    __tsan_atomic16_store => store::<u16>;
    __tsan_atomic32_store => store::<u32>;
    __tsan_atomic64_store => store::<u64>;
    __tsan_atomic8_exchange => exchange::<u8>;
    __tsan_atomic16_exchange => exchange::<u16>;
    __tsan_atomic32_exchange => exchange::<u32>;
    __tsan_atomic64_exchange => exchange::<u64>;
    __tsan_atomic8_fetch_add => fetch_add::<u8>;
    __tsan_atomic16_fetch_add => fetch_add::<u16>;
    __tsan_atomic32_fetch_add => fetch_add::<u32>;
    __tsan_atomic64_fetch_add => fetch_add::<u64>;
    __tsan_atomic8_fetch_sub => fetch_sub::<u8>;
    __tsan_atomic16_fetch_sub => fetch_sub::<u16>;
    __tsan_atomic32_fetch_sub => fetch_sub::<u32>;
    __tsan_atomic64_fetch_sub => fetch_sub::<u64>;
    __tsan_atomic8_fetch_and => fetch_and::<u8>;
    __tsan_atomic16_fetch_and => fetch_and::<u16>;
    __tsan_atomic32_fetch_and => fetch_and::<u32>;
    __tsan_atomic64_fetch_and => fetch_and::<u64>;
    __tsan_atomic8_fetch_or => fetch_or::<u8>;
    __tsan_atomic16_fetch_or => fetch_or::<u16>;
    __tsan_atomic32_fetch_or => fetch_or::<u32>;
    __tsan_atomic64_fetch_or => fetch_or::<u64>;
    __tsan_atomic8_fetch_xor => fetch_xor::<u8>;
    __tsan_atomic16_fetch_xor => fetch_xor::<u16>;
    __tsan_atomic32_fetch_xor => fetch_xor::<u32>;
    __tsan_atomic64_fetch_xor => fetch_xor::<u64>;
    __tsan_atomic8_fetch_nand => fetch_nand::<u8>;
    __tsan_atomic16_fetch_nand => fetch_nand::<u16>;
    __tsan_atomic32_fetch_nand => fetch_nand::<u32>;
    __tsan_atomic64_fetch_nand => fetch_nand::<u64>;
    "r8":
    __tsan_atomic128_store => store::<u128>;
    __tsan_atomic128_exchange => exchange::<u128>;
    __tsan_atomic128_fetch_add => fetch_add::<u128>;
    __tsan_atomic128_fetch_sub => fetch_sub::<u128>;
    __tsan_atomic128_fetch_and => fetch_and::<u128>;
    __tsan_atomic128_fetch_or => fetch_or::<u128>;
    __tsan_atomic128_fetch_xor => fetch_xor::<u128>;
    __tsan_atomic128_fetch_nand => fetch_nand::<u128>;
    "r9":
    __tsan_atomic8_compare_exchange_val => compare_exchange_val::<u8>;
    __tsan_atomic16_compare_exchange_val => compare_exchange_val::<u16>;
    __tsan_atomic32_compare_exchange_val => compare_exchange_val::<u32>;
    __tsan_atomic64_compare_exchange_val => compare_exchange_val::<u64>;
    __tsan_atomic8_compare_exchange_strong => compare_exchange::<u8>;
    __tsan_atomic16_compare_exchange_strong => compare_exchange::<u16>;
    __tsan_atomic32_compare_exchange_strong => compare_exchange::<u32>;
    __tsan_atomic64_compare_exchange_strong => compare_exchange::<u64>;
    __tsan_atomic8_compare_exchange_weak => compare_exchange::<u8>;
    __tsan_atomic16_compare_exchange_weak => compare_exchange::<u16>;
    __tsan_atomic32_compare_exchange_weak => compare_exchange::<u32>;
    __tsan_atomic64_compare_exchange_weak => compare_exchange::<u64>;
}

/// Hook of the compiler's instrumentation.
#[unsafe(no_mangle)]
unsafe extern "C" fn __tsan_atomic_thread_fence(order: i32) {
    fence(Ordering::SeqCst);
    // SAFETY: the record belongs to this thread.
    let Some(thread) = (unsafe { current().as_mut() }) else {
        return;
    };
    thread.before_release();
    if order & 0x7fff != RELAXED && thread.clocks.fence(order_of(order)) {
        session::tick(thread);
    }
}

/// Hook of the compiler's instrumentation: orders nothing between threads.
#[unsafe(no_mangle)]
unsafe extern "C" fn __tsan_atomic_signal_fence(_order: i32) {
    compiler_fence(Ordering::SeqCst);
}
