//! What lives at an address: sync objects and heap blocks.
//!
//! The object table of [`crate::shadow::map`] gives, for every 8 bytes, the
//! number of the first object there: a heap block that starts there, then the
//! sync objects inside. Two atomics in one granule are two objects, each with
//! its exact address: sharing a clock would order threads that did not
//! synchronise, or end a release sequence that goes on.
//!
//! Objects are dropped when their memory is freed, mapped anew or becomes a
//! new thread's stack.

use std::cell::UnsafeCell;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use crate::lockorder::LockNumber;
use crate::report::wire::ThreadId;
use crate::rt::lock::SpinWord;
use crate::rt::pool::{Pool, Zeroed};
use crate::rt::thread::Thread;
use crate::shadow::map::{self, Table};
use crate::shadow::word::GRANULE;
use crate::stack::StackId;
use crate::sync::ReleaseClock;

/// Set in a number of the object table that is a block's.
const BLOCK: u32 = 1 << 31;

/// A sync object: an atomic variable, or a lock or other object of C code.
#[repr(C, align(64))]
pub struct SyncObject {
    lock: SpinWord,
    next: AtomicU32,
    addr: AtomicUsize,
    /// Changes with every change of the clock, and is odd during one.
    version: AtomicU32,
    /// Bits of a stamp that covers the clock; `u64::MAX` if there is none, 0
    /// if the clock is empty.
    covered_by: AtomicU64,
    /// Its number as a lock that was taken together with others, or 0.
    lock_number: AtomicU32,
    /// Invariant: touched only while `lock` is held.
    clock: UnsafeCell<ReleaseClock>,
}

// SAFETY: the clock is touched only under the lock, the rest is atomic; zero
// is a free lock, no clock, and zero in the atomics.
unsafe impl Zeroed for SyncObject {}
// SAFETY: as above.
unsafe impl Sync for SyncObject {}

/// A heap block.
#[repr(C)]
pub struct Block {
    size: AtomicU64,
    stack: AtomicU32,
    thread: AtomicU32,
    /// The first sync object in its first granule, or 0.
    next: AtomicU32,
}

// SAFETY: all fields are atomics, for which zero is valid.
unsafe impl Zeroed for Block {}

static OBJECTS: Pool<SyncObject> = Pool::new();
static BLOCKS: Pool<Block> = Pool::new();

/// Above this many bytes, only what was ever touched is looked at.
const LARGE: usize = 64 << 10;

/// Numbers fetched from a pool at once.
const BATCH: usize = 32;
/// Numbers kept by a thread at most.
const KEEP: usize = 128;

fn take<T: Zeroed>(cache: &mut Vec<u32>, pool: &Pool<T>) -> u32 {
    cache.pop().unwrap_or_else(|| {
        let mut batch = [0; BATCH];
        pool.take_many(&mut batch);
        cache.extend_from_slice(&batch[1..]);
        batch[0]
    })
}

fn put<T: Zeroed>(cache: &mut Vec<u32>, pool: &Pool<T>, number: u32) {
    cache.push(number);
    if cache.len() > KEEP {
        pool.put_many(&cache[KEEP / 2..]);
        cache.truncate(KEEP / 2);
    }
}

/// The right to change a sync object.
pub struct Guard(&'static SyncObject);

impl Guard {
    /// Its clock.
    pub fn clock(&mut self) -> &mut ReleaseClock {
        // SAFETY: the lock is held as long as the guard lives.
        unsafe { &mut *self.0.clock.get() }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let covered = match self.clock() {
            clock if clock.is_empty() => 0,
            clock => clock.all_of().map_or(u64::MAX, |stamp| stamp.bits()),
        };
        self.0.covered_by.store(covered, Ordering::Relaxed);
        let version = self.0.version.load(Ordering::Relaxed);
        self.0
            .version
            .store(version.wrapping_add(1), Ordering::Release);
        self.0.lock.unlock();
    }
}

/// The right to read a sync object.
pub struct ReadGuard(&'static SyncObject);

impl ReadGuard {
    /// Its clock.
    pub fn clock(&self) -> &ReleaseClock {
        // SAFETY: the lock is held as long as the guard lives.
        unsafe { &*self.0.clock.get() }
    }
}

impl Drop for ReadGuard {
    fn drop(&mut self) {
        self.0.lock.unlock();
    }
}

impl SyncObject {
    /// Takes its lock.
    #[inline]
    pub fn lock(&'static self) -> Guard {
        self.lock.lock();
        // Only the holder of the lock changes it.
        let version = self.version.load(Ordering::Relaxed);
        self.version
            .store(version.wrapping_add(1), Ordering::Relaxed);
        std::sync::atomic::fence(Ordering::Release);
        Guard(self)
    }

    /// Takes its lock, to read the clock only.
    #[inline]
    pub fn lock_to_read(&'static self) -> ReadGuard {
        self.lock.lock();
        ReadGuard(self)
    }

    /// Its number as a lock, given out when first asked for.
    pub fn lock_number(&self) -> LockNumber {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let known = self.lock_number.load(Ordering::Relaxed);
        if known != 0 {
            return LockNumber(known);
        }
        let new = NEXT.fetch_add(1, Ordering::Relaxed);
        let exchanged =
            self.lock_number
                .compare_exchange(0, new, Ordering::Relaxed, Ordering::Relaxed);
        LockNumber(exchanged.map_or_else(|number| number, |_| new))
    }

    /// If a thread for which `known` holds has nothing to acquire here, the
    /// version to check with [`SyncObject::unchanged`] after the value is read.
    #[inline]
    pub fn nothing_new(&self, known: impl Fn(u64) -> bool) -> Option<u32> {
        let version = self.version.load(Ordering::Acquire);
        let covered = self.covered_by.load(Ordering::Acquire);
        (version.is_multiple_of(2) && (covered == 0 || covered != u64::MAX && known(covered)))
            .then_some(version)
    }

    /// True if the clock is still the one of that version.
    #[inline]
    pub fn unchanged(&self, version: u32) -> bool {
        std::sync::atomic::fence(Ordering::Acquire);
        self.version.load(Ordering::Acquire) == version
    }
}

/// The word of the table, or of a block, that refers to the sync objects.
fn chain(addr: usize) -> &'static AtomicU32 {
    // SAFETY: callers have checked that the address is covered.
    let head = unsafe { map::object(addr) };
    match head.load(Ordering::Acquire) {
        number if number & BLOCK != 0 => &BLOCKS.get(number & !BLOCK).next,
        _ => head,
    }
}

/// True if there is nothing at the granule of `addr`, sync object or block.
///
/// # Safety
/// [`map::covers`] holds for it.
#[inline(always)]
pub unsafe fn none(addr: usize) -> bool {
    // SAFETY: as the caller says.
    unsafe { map::object(addr) }.load(Ordering::Acquire) == 0
}

/// The sync object at `addr`, if there is one.
///
/// # Safety
/// [`map::covers`] holds for it.
#[inline(always)]
pub unsafe fn find(addr: usize) -> Option<&'static SyncObject> {
    // SAFETY: as the caller says.
    let mut number = unsafe { map::object(addr) }.load(Ordering::Acquire);
    if number & BLOCK != 0 {
        number = BLOCKS.get(number & !BLOCK).next.load(Ordering::Acquire);
    }
    while number != 0 {
        let object = OBJECTS.get(number);
        if object.addr.load(Ordering::Relaxed) == addr {
            return Some(object);
        }
        number = object.next.load(Ordering::Acquire);
    }
    None
}

/// The sync object at `addr`, made if there is none.
///
/// # Safety
/// [`map::covers`] holds for it.
#[inline(always)]
pub unsafe fn get(thread: &mut Thread, addr: usize) -> &'static SyncObject {
    // SAFETY: as the caller says.
    let found = unsafe { find(addr) };
    // SAFETY: as the caller says.
    unsafe { found_or_made(thread, found, addr) }
}

/// `found`, which [`find`] gave for `addr`, or a new sync object there.
///
/// # Safety
/// As for [`get`].
#[inline(always)]
pub unsafe fn found_or_made(
    thread: &mut Thread,
    found: Option<&'static SyncObject>,
    addr: usize,
) -> &'static SyncObject {
    match found {
        Some(object) => object,
        // SAFETY: as the caller says.
        None => unsafe { make(thread, addr) },
    }
}

/// The sync object at `addr`, where there was none a moment ago.
///
/// # Safety
/// As for [`get`].
#[cold]
#[inline(never)]
unsafe fn make(thread: &mut Thread, addr: usize) -> &'static SyncObject {
    let number = take(&mut thread.objects, &OBJECTS);
    let object = OBJECTS.get(number);
    object.addr.store(addr, Ordering::Relaxed);
    object.covered_by.store(0, Ordering::Relaxed);
    object.lock_number.store(0, Ordering::Relaxed);
    let chain = chain(addr);
    loop {
        let first = chain.load(Ordering::Acquire);
        object.next.store(first, Ordering::Relaxed);
        // SAFETY: as the caller says.
        if let Some(other) = unsafe { find(addr) } {
            put(&mut thread.objects, &OBJECTS, number);
            return other;
        }
        if chain
            .compare_exchange(first, number, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
        {
            return object;
        }
    }
}

/// A heap block begins at `start`.
pub fn block_begins(thread: &mut Thread, start: usize, size: usize, stack: StackId) {
    if !map::covers(start, GRANULE) {
        return;
    }
    let number = take(&mut thread.blocks, &BLOCKS);
    let block = BLOCKS.get(number);
    block.size.store(size as u64, Ordering::Relaxed);
    block.stack.store(stack.0, Ordering::Relaxed);
    block.thread.store(thread.id.0, Ordering::Relaxed);
    block.next.store(0, Ordering::Relaxed);
    // SAFETY: covered, as checked above.
    unsafe { map::object(start) }.store(number | BLOCK, Ordering::Release);
}

/// What is known of a heap block.
#[derive(Debug, Clone, Copy)]
pub struct BlockInfo {
    /// Its first byte.
    pub start: usize,
    /// Its requested size in bytes.
    pub size: usize,
    /// Where it was allocated.
    pub stack: StackId,
    /// By whom.
    pub thread: ThreadId,
}

/// Calls `with` for all heap blocks that begin in a range, by address.
pub fn blocks(range: &Range<usize>, mut with: impl FnMut(BlockInfo)) {
    if range.is_empty() || !map::covers(range.start, range.len()) {
        return;
    }
    for part in map::touched(Table::Objects, range.clone()) {
        let mut at = part.start & !(GRANULE - 1);
        while at < part.end {
            // SAFETY: covered, as checked above.
            let number = unsafe { map::object(at) }.load(Ordering::Acquire);
            if number & BLOCK != 0 {
                with(info(at, number));
            }
            at += GRANULE;
        }
    }
}

/// What is known of the block `number` that begins at `start`.
fn info(start: usize, number: u32) -> BlockInfo {
    let block = BLOCKS.get(number & !BLOCK);
    BlockInfo {
        start,
        size: block.size.load(Ordering::Relaxed) as usize,
        stack: StackId(block.stack.load(Ordering::Relaxed)),
        thread: ThreadId(block.thread.load(Ordering::Relaxed)),
    }
}

/// The block that begins at `start`.
pub fn block_at(start: usize) -> Option<BlockInfo> {
    if !start.is_multiple_of(GRANULE) || !map::covers(start, GRANULE) {
        return None;
    }
    // SAFETY: covered, as just checked.
    let number = unsafe { map::object(start) }.load(Ordering::Acquire);
    (number & BLOCK != 0).then(|| info(start, number))
}

/// The block that holds `addr`: looks downwards for its start, mostly near, and
/// farther and farther if there is none.
pub fn find_block(addr: usize) -> Option<BlockInfo> {
    /// Blocks larger than this are not looked for from their far end.
    const REACH: usize = 1 << 28;
    /// What is looked through at first.
    const NEAR: usize = 1 << 15;
    let granule = addr & !(GRANULE - 1);
    let lowest = granule.saturating_sub(REACH);
    let mut end = granule + GRANULE;
    let mut reach = NEAR;
    while end > lowest {
        let start = end.saturating_sub(reach).max(lowest);
        // Without the parts where there never was an object: below what is no
        // block there may be nothing else.
        for part in map::touched(Table::Objects, start..end).into_iter().rev() {
            for at in part.step_by(GRANULE).rev() {
                if !map::covers(at, GRANULE) {
                    return None;
                }
                // SAFETY: covered, as just checked.
                let number = unsafe { map::object(at) }.load(Ordering::Acquire);
                if number & BLOCK != 0 {
                    let block = info(at, number);
                    return (addr < at + block.size.max(1)).then_some(block);
                }
            }
        }
        (end, reach) = (start, reach * 8);
    }
    None
}

/// The heap block that begins at `start` ends, where no sync objects are kept.
pub fn block_ends(thread: &mut Thread, start: usize) {
    if map::covers(start, GRANULE) {
        // SAFETY: covered, as just checked.
        let head = unsafe { map::object(start) };
        if head.load(Ordering::Relaxed) != 0 {
            drop_granule(thread, head.swap(0, Ordering::AcqRel));
        }
    }
}

/// Drops the objects in a range whose memory ends or begins anew.
pub fn drop_range(thread: &mut Thread, range: Range<usize>) {
    if range.is_empty() || !map::covers(range.start, range.len()) {
        return;
    }
    if range.len() <= LARGE {
        drop_all(thread, range);
        return;
    }
    for part in map::touched(Table::Objects, range) {
        drop_all(thread, part);
    }
}

fn drop_all(thread: &mut Thread, range: Range<usize>) {
    let mut at = range.start & !(GRANULE - 1);
    while at < range.end {
        let pair = at.is_multiple_of(2 * GRANULE) && at + 2 * GRANULE <= range.end;
        // SAFETY: the caller checked that the range is covered.
        if pair && unsafe { map::no_objects(at) } {
            at += 2 * GRANULE;
            continue;
        }
        // SAFETY: as above.
        let head = unsafe { map::object(at) };
        if head.load(Ordering::Relaxed) != 0 {
            drop_granule(thread, head.swap(0, Ordering::AcqRel));
        }
        at += GRANULE;
    }
}

fn drop_granule(thread: &mut Thread, head: u32) {
    let mut number = head;
    if head & BLOCK != 0 {
        number = BLOCKS.get(head & !BLOCK).next.load(Ordering::Acquire);
        put(&mut thread.blocks, &BLOCKS, head & !BLOCK);
    }
    while number != 0 {
        let object = OBJECTS.get(number);
        let next = object.next.load(Ordering::Relaxed);
        object.lock().clock().put_away();
        put(&mut thread.objects, &OBJECTS, number);
        number = next;
    }
}
