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

#[track(allow(leaked_task, data_race, reason = "a task is not raced on"))]
struct Level;

#[track(allow(LC0002, reason = "nor is a thread"))]
static PRESSURE: u32 = 0;

#[track(allow(LC0001, reason = "the first one to come sets it"))]
static ONCE: u32 = 0;

#[track]
mod counters {
    #[track(daemon)]
    pub static HITS: u32 = 0;
}

fn main() {
    let _kept = Kept;
    let _level = (Level, PRESSURE, ONCE);
    let _hits = counters::HITS;
    let _colour = Colour::Red;
    let _number: Number = COUNTER;
    thread::yield_now();
}
