//! Methods of pointers: each is told as the access that it is.

#![expect(
    clippy::undocumented_unsafe_blocks,
    reason = "what is written here is what programs write"
)]

use std::hint::spin_loop;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use leakcheck::track;

/// Who goes first, and stays until the other has followed: nothing that orders.
struct Turn(AtomicU32);

impl Turn {
    const fn new() -> Self {
        Self(AtomicU32::new(0))
    }
}

/// One thread runs `$first`, then another `$second`, and each tells of `$texts`.
macro_rules! race {
    ($name:ident, $texts:expr, $first:expr, $second:expr) => {
        #[track]
        mod $name {
            use super::*;

            static TURN: Turn = Turn::new();

            fn first() {
                unsafe { $first }
            }

            fn second() {
                unsafe { $second }
            }

            #[test]
            fn $name() {
                let other = thread::spawn(|| {
                    first();
                    TURN.0.store(1, Ordering::Relaxed);
                    while TURN.0.load(Ordering::Relaxed) != 2 {
                        spin_loop();
                    }
                });
                while TURN.0.load(Ordering::Relaxed) != 1 {
                    spin_loop();
                }
                second();
                TURN.0.store(2, Ordering::Relaxed);
                other.join().unwrap();
                let found = leakcheck::check();
                let told: Vec<[&str; 2]> = found
                    .iter()
                    .map(|finding| [0, 1].map(|leg| finding.legs[leg].place.text.as_ref()))
                    .collect();
                assert_eq!(told, $texts, "{found:?}");
            }
        }
    };
}

static mut PLACES: [u32; 8] = [0; 8];

const fn at(place: usize) -> *mut u32 {
    (&raw mut PLACES).cast::<u32>().wrapping_add(place)
}

const NONE: [[&str; 2]; 0] = [];

race!(
    swapped,
    [["at(0).swap(&mut 1)", "at(0).read()"]],
    at(0).swap(&mut 1),
    _ = at(0).read()
);
race!(
    volatile_then_plain,
    [["at(1).write_volatile(1)", "at(1).read()"]],
    at(1).write_volatile(1),
    _ = at(1).read()
);
race!(
    not_null,
    [["place.write(1)", "place.read()"]],
    {
        let place = NonNull::new_unchecked(at(2));
        place.write(1);
    },
    {
        let place = NonNull::new_unchecked(at(2));
        _ = place.read();
    }
);
race!(
    both_read,
    NONE,
    _ = at(3).read_volatile(),
    _ = NonNull::new_unchecked(at(3)).read()
);
