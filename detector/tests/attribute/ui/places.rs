//! Places where the attribute cannot sit.

use leakcheck::track;

#[track]
enum Colour {
    Red,
}

#[track]
use std::thread;

#[track]
type Number = u32;

#[track(name = "counter", daemon)]
static COUNTER: u32 = 0;

#[track(daemon)]
struct Kept;

#[track]
mod counters {
    #[track(daemon)]
    pub static HITS: u32 = 0;
}

fn main() {
    let _kept = Kept;
    let _hits = counters::HITS;
    let _colour = Colour::Red;
    let _number: Number = COUNTER;
    thread::yield_now();
}
