//! The runtime's own heap, apart from the program's.
//!
//! The program's `malloc` is interposed, so the runtime must not use it. Size
//! classes of powers of two from 16 bytes to 32 KiB, each a free list under a
//! spin lock, cut from 1 MiB chunks; larger blocks are mapped one by one.
//! Memory goes back to its class, never to the system.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::ptr::null_mut;

use super::lock::SpinWord;
use super::sys;

const MIN_SHIFT: usize = 4;
const CLASSES: usize = 12;
const CHUNK: usize = 1 << 20;

/// The allocator of everything in the runtime.
pub struct RuntimeHeap;

#[global_allocator]
static HEAP: RuntimeHeap = RuntimeHeap;

struct Class {
    locked: SpinWord,
    /// Invariant: touched only while `locked` is held.
    list: UnsafeCell<List>,
}

struct List {
    free: *mut Node,
    next: usize,
    end: usize,
}

struct Node {
    next: *mut Node,
}

// SAFETY: `list` is touched only by the holder of `locked`.
unsafe impl Sync for Class {}

static CLASS: [Class; CLASSES] = [const {
    Class {
        locked: SpinWord::new(),
        list: UnsafeCell::new(List {
            free: null_mut(),
            next: 0,
            end: 0,
        }),
    }
}; CLASSES];

/// The class of a layout, or none if it is mapped on its own.
fn class_of(layout: Layout) -> Option<usize> {
    let size = layout.size().max(layout.align()).max(1 << MIN_SHIFT);
    let class = size.next_power_of_two().trailing_zeros() as usize - MIN_SHIFT;
    (class < CLASSES).then_some(class)
}

impl Class {
    fn with<R>(&self, f: impl FnOnce(&mut List) -> R) -> R {
        self.locked.lock();
        // SAFETY: `locked` is held.
        let result = f(unsafe { &mut *self.list.get() });
        self.locked.unlock();
        result
    }
}

// SAFETY: blocks come from fresh mappings or from the free list of their own
// class, are at least as large and as aligned as the class, and are disjoint.
unsafe impl GlobalAlloc for RuntimeHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(class) = class_of(layout) else {
            return sys::map(layout.size()).cast();
        };
        let size = 1usize << (class + MIN_SHIFT);
        CLASS[class].with(|list| {
            if !list.free.is_null() {
                let node = list.free;
                // SAFETY: a node of the free list is a free block of this
                // class that holds a `Node`.
                list.free = unsafe { (*node).next };
                return node.cast();
            }
            if list.next == list.end {
                let chunk = sys::map(CHUNK);
                if chunk.is_null() {
                    return null_mut();
                }
                list.next = chunk as usize;
                list.end = chunk as usize + CHUNK;
            }
            let block = list.next;
            list.next += size;
            block as *mut u8
        })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller of this function says.
        let block = unsafe { self.alloc(layout) };
        if !block.is_null() && class_of(layout).is_some() {
            // SAFETY: fresh, and at least that large. Mapped blocks are zero.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        let Some(class) = class_of(layout) else {
            sys::unmap(ptr as usize, layout.size());
            return;
        };
        CLASS[class].with(|list| {
            let node: *mut Node = ptr.cast();
            // SAFETY: the block is free, of this class, large enough for a
            // `Node` and aligned for it.
            unsafe { node.write(Node { next: list.free }) };
            list.free = node;
        });
    }
}
