//! The program's allocator may be tracked itself, and the library allocates:
//! neither waits for the other.

#![expect(
    clippy::undocumented_unsafe_blocks,
    reason = "what is unsafe here forwards"
)]

use std::sync::atomic::Ordering;
use std::thread;

use leakcheck::track;

#[track]
mod counting {
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    pub struct Counting {
        pub parts: [(AtomicUsize, AtomicUsize); 4],
        pub last: Mutex<usize>,
    }

    impl Counting {
        pub const fn new() -> Self {
            Self {
                parts: [const { (AtomicUsize::new(0), AtomicUsize::new(0)) }; 4],
                last: Mutex::new(0),
            }
        }

        fn count(&self, size: usize) {
            for (size_of_part, count) in self.parts.iter() {
                let Ok(_) = size_of_part.compare_exchange(
                    0,
                    size.next_power_of_two(),
                    Ordering::AcqRel,
                    Ordering::Acquire,
                ) else {
                    continue;
                };
                count.fetch_add(1, Ordering::Relaxed);
            }
            if let Ok(mut last) = self.last.try_lock() {
                *last = size;
            }
        }
    }

    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            self.count(layout.size());
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
            self.count(layout.size());
            unsafe { System.dealloc(pointer, layout) }
        }
    }
}

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting::new();

#[track]
#[test]
fn a_tracked_allocator_serves_the_library_too() {
    let threads: Vec<_> = (0..4)
        .map(|size| thread::spawn(move || vec![0_u8; size << size].len()))
        .collect();
    let sizes = threads.into_iter().map(|thread| thread.join().unwrap());
    assert_eq!(sizes.sum::<usize>(), 34);
    let sizes = ALLOCATOR.parts.iter();
    let counted = sizes.filter(|(size, _)| size.load(Ordering::Relaxed) > 0);
    assert_eq!(counted.count(), 4);
}
