//! What tracked code tells the library: variables and tasks by their names,
//! and accesses to many values at once.

#![expect(
    clippy::undocumented_unsafe_blocks,
    static_mut_refs,
    unused_unsafe,
    reason = "what is unsafe here races on purpose"
)]

use std::future::{Future, pending};
use std::pin::Pin;
use std::ptr;
use std::task::{Context, Waker};
use std::thread;

use leakcheck::report::source::Finding;
use leakcheck::track;

#[track]
mod counters {
    use super::{Finding, ptr, thread, track};

    #[track(name = "hit counter")]
    static mut HITS: u32 = 0;

    #[track(allow(data_race, reason = "a guess is enough"))]
    static mut GUESS: u32 = 0;

    #[track(skip)]
    static mut LEFT: u32 = 0;

    static mut FROM: [u8; 16] = [1; 16];
    static mut TO: [u8; 16] = [0; 16];

    pub fn hit() -> Vec<Finding> {
        let one = thread::spawn(|| unsafe { HITS += 1 });
        let other = thread::spawn(|| unsafe { HITS += 1 });
        one.join().unwrap();
        other.join().unwrap();
        leakcheck::check()
    }

    pub fn guess() -> Vec<Finding> {
        let one = thread::spawn(|| unsafe { GUESS += 1 });
        let other = thread::spawn(|| unsafe { GUESS += 1 });
        one.join().unwrap();
        other.join().unwrap();
        leakcheck::check()
    }

    pub fn leave() -> Vec<Finding> {
        let one = thread::spawn(|| unsafe { LEFT += 1 });
        let other = thread::spawn(|| unsafe { LEFT += 1 });
        one.join().unwrap();
        other.join().unwrap();
        leakcheck::check()
    }

    /// The last byte that is copied is written by another thread.
    pub fn copy(count: usize) -> Vec<Finding> {
        let one = thread::spawn(move || unsafe {
            ptr::copy(&raw const FROM[0], &raw mut TO[0], count);
        });
        let other = thread::spawn(|| unsafe { FROM[8] = 1 });
        one.join().unwrap();
        other.join().unwrap();
        leakcheck::check()
    }
}

#[test]
fn a_variable_is_called_by_its_name() {
    let found = leakcheck_scope(counters::hit);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].title, "data race on `hit counter: u32`");
}

#[test]
fn what_is_allowed_of_a_variable_is_let_through() {
    assert_eq!(leakcheck_scope(counters::guess), []);
}

#[test]
fn a_variable_that_is_skipped_is_left_alone() {
    assert_eq!(leakcheck_scope(counters::leave), []);
}

/// Copies of different lengths, in this order: each race is told once.
#[test]
fn a_copy_reads_all_that_it_copies() {
    assert_eq!(leakcheck_scope(|| counters::copy(8)), []);
    let found = leakcheck_scope(|| counters::copy(9));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].title.contains("[u8; 16]") || found[0].title.contains("u8"));
}

#[track(name = "visits")]
static mut VISITS: u32 = 0;

#[track(allow(data_race, reason = "a guess is enough"))]
static mut ESTIMATE: u32 = 0;

#[track(skip)]
static mut SKIPPED: u32 = 0;

#[track]
static mut PLAIN: [u32; 4] = [0; 4];

#[track(name = "slot table")]
struct Slots<T> {
    used: T,
    free: u8,
}

#[track(allow(LC0001, reason = "statistics"))]
struct Statistics {
    hits: u32,
}

#[track(skip)]
struct Untold(u32);

static mut SLOTS: Slots<u32> = Slots { used: 0, free: 0 };
static mut STATISTICS: Statistics = Statistics { hits: 0 };
static mut UNTOLD: Untold = Untold(0);

/// A function that runs both on threads of their own.
macro_rules! side_by_side {
    ($($name:ident: $one:ident, $other:ident;)*) => {
        $(#[track]
        fn $name() -> Vec<Finding> {
            let one = thread::spawn(|| $one());
            let other = thread::spawn(|| $other());
            one.join().unwrap();
            other.join().unwrap();
            leakcheck::check()
        })*
    };
}

side_by_side! {
    visits: visit, visit_by_pointer;
    places: replace, read_place;
    blocks: replace, read_of_block;
    plains: plain, plain;
    estimates: estimate, estimate;
    skips: skipped, skipped;
    all_used: used, used;
    used_and_free: used, free;
    statistics: hits, hits;
    all_untold: untold, untold;
}

#[track]
fn visit() {
    unsafe { VISITS += 1 }
}

#[track]
fn visit_by_pointer() {
    unsafe { *(&raw mut VISITS) = 1 }
}

struct Place {
    row: u32,
    column: u32,
}

static mut PLACE: Place = Place { row: 0, column: 0 };

#[track]
fn replace() {
    unsafe {
        PLACE.row = 1;
        ptr::addr_of_mut!(PLACE.column).write(2);
    }
}

#[track]
fn read_place() {
    std::hint::black_box(unsafe { ptr::addr_of!(PLACE.row).read() });
}

#[track]
fn read_of_block() {
    std::hint::black_box(unsafe { unsafe { &raw const PLACE.column }.read() });
}

#[test]
fn a_pointer_that_is_made_where_it_is_used_is_seen() {
    for race in [places, blocks] {
        let found = leakcheck_scope(race);
        assert_eq!(found.len(), 1, "{found:?}");
        let mut texts = found[0].legs.iter().map(|leg| &leg.place.text);
        assert!(texts.any(|text| text.ends_with(".read()")), "{found:?}");
    }
}

#[track]
fn estimate() {
    unsafe { ESTIMATE += 1 }
}

#[track]
fn skipped() {
    unsafe { SKIPPED += 1 }
}

#[track]
fn plain() {
    unsafe { PLAIN[PLAIN.len() - 1] += 1 }
}

#[track]
fn used() {
    unsafe { SLOTS.used += 1 }
}

#[track]
fn free() {
    unsafe { SLOTS.free += 1 }
}

#[track]
fn hits() {
    unsafe { STATISTICS.hits += 1 }
}

#[track]
fn untold() {
    unsafe { UNTOLD.0 += 1 }
}

#[test]
fn a_variable_of_no_tracked_module_has_its_name() {
    let found = leakcheck_scope(visits);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].title, "data race on `visits: u32`");
    let found = leakcheck_scope(plains);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].title, "data race on `PLAIN[PLAIN.len() - 1]: u32`");
    let note = "the memory is the static variable `track::PLAIN`".to_owned();
    assert!(found[0].notes.contains(&note), "{found:?}");
}

#[test]
fn a_variable_of_no_tracked_module_has_its_arguments() {
    assert_eq!(leakcheck_scope(estimates), []);
    assert_eq!(leakcheck_scope(skips), []);
}

#[test]
fn a_struct_has_a_name_and_fields() {
    let found = leakcheck_scope(all_used);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].title, "data race on `slot table.used: u32`");
    let note = "(1) accesses field `used` of `slot table`".to_owned();
    assert!(found[0].notes.contains(&note), "{found:?}");
    // Another field is other memory.
    assert_eq!(leakcheck_scope(used_and_free), []);
}

#[test]
fn a_struct_has_its_arguments() {
    assert_eq!(leakcheck_scope(statistics), []);
    assert_eq!(leakcheck_scope(all_untold), []);
}

/// Tells that it is dereferenced by having a `Deref` of its own.
struct Own(Slots<u8>);

impl std::ops::Deref for Own {
    type Target = Slots<u8>;

    fn deref(&self) -> &Slots<u8> {
        &self.0
    }
}

impl std::ops::DerefMut for Own {
    fn deref_mut(&mut self) -> &mut Slots<u8> {
        &mut self.0
    }
}

static mut OWN: Own = Own(Slots { used: 0, free: 0 });

macro_rules! unseen {
    () => {
        1
    };
}

#[track]
fn left_alone() -> u8 {
    let one = unseen!();
    unsafe {
        OWN.used = one;
        assert!(one < 2 || OWN.used == one);
        match SLOTS.free {
            0 => 1,
            _ => 2,
        }
    }
}

#[track]
fn left_alone_elsewhere() {
    unseen!();
}

#[track]
const fn constant(pointer: *const u8) -> u8 {
    unsafe { *pointer }
}

#[track]
fn captured() -> String {
    unsafe { format!("{LEVEL}") }
}

#[track]
static mut LEVEL: u8 = 0;

#[test]
fn const_functions_and_captured_names_are_counted() {
    assert_eq!(
        constant(&raw const *captured().as_bytes().first().unwrap()),
        b'0'
    );
    let coverage = leakcheck::coverage();
    let why = |function: &str| {
        let mut left = coverage.left_alone.iter();
        left.find(|left| left.place.function.ends_with(function))
            .map(|left| (left.place.text.as_str(), left.why))
    };
    let cannot = "a `const fn` can call nothing that is not const";
    assert_eq!(why("::constant"), Some(("constant", cannot)));
    assert_eq!(why("::captured"), Some(("LEVEL", "its format names it")));
}

struct Pool;

impl Pool {
    fn spawn<F: Future>(&self, future: F) {
        drop(future);
    }
}

#[track]
fn spawns_by_type(pool: &Pool) {
    pool.spawn(pending::<()>());
    pool.spawn(pending::<()>());
    pool.spawn(async {});
}

#[test]
fn futures_of_named_types_are_counted() {
    spawns_by_type(&Pool);
    spawns_by_type(&Pool);
    let mut left = leakcheck::coverage().left_alone;
    left.retain(|left| left.place.function.ends_with("::spawns_by_type"));
    let why = "a future whose type has a name: who takes it may take that type alone";
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left.iter().all(|left| left.why == why), "{left:?}");
}

#[test]
fn what_is_left_alone_is_counted() {
    left_alone();
    let coverage = leakcheck::coverage();
    let mut of_it = coverage.left_alone.clone();
    of_it.retain(|left| left.place.function.ends_with("::left_alone"));
    let left: Vec<(&str, &str)> = of_it
        .iter()
        .map(|left| (left.place.text.as_str(), left.why))
        .collect();
    let runs = "its steps call a `Deref` or `Index` of the program's own";
    assert_eq!(
        left,
        [
            ("unseen!(…)", "what a macro makes is not seen"),
            ("OWN.used = one", runs),
            (
                "assert!(…)",
                "it is read only sometimes, and the text of the condition is the message: give the assertion one of its own",
            ),
            ("SLOTS.free", "a pattern takes it apart"),
        ]
    );
    // What has not run is not told.
    let elsewhere = |left: &leakcheck::LeftAlone| left.place.function.ends_with("elsewhere");
    assert!(!coverage.left_alone.iter().any(elsewhere));
    left_alone_elsewhere();
    assert!(leakcheck::coverage().left_alone.iter().any(elsewhere));
    assert!(
        leakcheck::coverage()
            .to_string()
            .contains("\n    `SLOTS.free` at ")
    );
}

/// In a scope, whose races the function has taken out.
fn leakcheck_scope(f: impl FnOnce() -> Vec<Finding>) -> Vec<Finding> {
    leakcheck::scope(f)
}

/// Takes any future, as executors do.
struct Executor(Vec<Pin<Box<dyn Future<Output = ()>>>>);

impl Executor {
    fn spawn<F: Future<Output = ()> + 'static>(&mut self, future: F) {
        self.0.push(Box::pin(future));
    }

    fn poll(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        for task in &mut self.0 {
            assert!(task.as_mut().poll(&mut context).is_pending());
        }
    }
}

#[track]
async fn work() {
    pending::<()>().await;
}

#[track(name = "worker")]
fn start(executor: &mut Executor) {
    executor.spawn(work());
}

#[test]
fn the_result_of_a_call_is_spawned() {
    let mut executor = Executor(Vec::new());
    start(&mut executor);
    executor.poll();
    let all = leakcheck::snapshot();
    let worker = all
        .entries
        .iter()
        .find(|entry| entry.name.as_deref() == Some("worker"))
        .expect("the task is known");
    assert_eq!(worker.spawned.text, "executor.spawn(work())");
    assert_eq!(worker.awaits[0].text, "pending::<()>().await");
    assert_eq!(worker.polls, 1);
}

#[track(name = "kept worker")]
fn start_a_variable(executor: &mut Executor) {
    let future = work();
    executor.spawn(future);
}

#[track(name = "argument")]
fn start_an_argument(executor: &mut Executor, future: impl Future<Output = ()> + 'static) {
    executor.spawn(future);
}

#[test]
fn a_future_in_a_variable_is_spawned() {
    let mut executor = Executor(Vec::new());
    start_a_variable(&mut executor);
    start_an_argument(&mut executor, work());
    executor.poll();
    let all = leakcheck::snapshot();
    for name in ["kept worker", "argument"] {
        let mut entries = all.entries.iter();
        let worker = entries.find(|entry| entry.name.as_deref() == Some(name));
        assert_eq!(
            worker.expect("the task is known").spawned.text,
            "executor.spawn(future)"
        );
    }
}
