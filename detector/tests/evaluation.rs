//! The attribute evaluates nothing twice, and nothing in another order: the
//! same functions, with it and without, leave the same trace.

#![expect(
    clippy::undocumented_unsafe_blocks,
    static_mut_refs,
    dangerous_implicit_autorefs,
    reason = "what is accessed here belongs to one thread"
)]

use std::cell::{Cell, RefCell};
use std::ops::{Deref, DerefMut, Index, IndexMut};

thread_local! {
    static TRACE: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn note(what: impl Into<String>) {
    TRACE.with(|trace| trace.borrow_mut().push(what.into()));
}

fn traced<T>(f: impl FnOnce() -> T) -> (T, Vec<String>) {
    TRACE.with(RefCell::take);
    let value = f();
    (value, TRACE.with(RefCell::take))
}

/// The index of `at`, told.
fn at(index: usize) -> usize {
    note(format!("index {index}"));
    index
}

fn value(number: u32) -> u32 {
    note(format!("value {number}"));
    number
}

/// Tells when it is dereferenced.
struct Handle<T>(T);

impl<T> Deref for Handle<T> {
    type Target = T;

    fn deref(&self) -> &T {
        note("deref");
        &self.0
    }
}

impl<T> DerefMut for Handle<T> {
    fn deref_mut(&mut self) -> &mut T {
        note("deref_mut");
        &mut self.0
    }
}

/// Tells when it is indexed.
struct Grid([u32; 4]);

impl Index<usize> for Grid {
    type Output = u32;

    fn index(&self, at: usize) -> &u32 {
        note(format!("of grid {at}"));
        &self.0[at]
    }
}

impl IndexMut<usize> for Grid {
    fn index_mut(&mut self, at: usize) -> &mut u32 {
        note(format!("of grid, mut {at}"));
        &mut self.0[at]
    }
}

/// Tells when it is dropped.
struct Guard<'a>(&'a mut [u32; 4]);

impl Deref for Guard<'_> {
    type Target = [u32; 4];

    fn deref(&self) -> &[u32; 4] {
        note("guard");
        self.0
    }
}

impl DerefMut for Guard<'_> {
    fn deref_mut(&mut self) -> &mut [u32; 4] {
        note("guard, mut");
        self.0
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        note("guard dropped");
    }
}

struct Inner {
    number: u32,
    many: [u32; 4],
    pointer: *mut u32,
}

/// Reaches its own pointer and its target's.
struct Smart {
    own: *mut u32,
    inner: Inner,
}

impl Deref for Smart {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        note("smart");
        &self.inner
    }
}

impl DerefMut for Smart {
    fn deref_mut(&mut self) -> &mut Inner {
        note("smart, mut");
        &mut self.inner
    }
}

/// A constant that notes its drop.
struct Noisy {
    number: u32,
}

impl Drop for Noisy {
    fn drop(&mut self) {
        note("noisy dropped");
    }
}

const NOISY: Noisy = Noisy { number: 3 };
const LIMITS: [u32; 3] = [1, 2, 3];

macro_rules! twice {
    ($($(#[$of:meta])* fn $name:ident($($arg:ident: $type:ty),*) $(-> $result:ty)? $body:block)*) => {
        mod plain {
            use super::*;
            $($(#[$of])* pub unsafe fn $name($($arg: $type),*) $(-> $result)? { unsafe { $body } })*
        }
        mod tracked {
            use super::*;
            $(#[leakcheck::track] $(#[$of])* pub unsafe fn $name($($arg: $type),*) $(-> $result)? { unsafe { $body } })*
        }
    };
}

static mut TABLE: [u32; 4] = [1, 2, 3, 4];
static mut PAIRS: [(u32, u32); 4] = [(1, 2); 4];
static mut GRID: Grid = Grid([1, 2, 3, 4]);
static mut LIST: Vec<u32> = Vec::new();
static mut HANDLE: Handle<Inner> = Handle(Inner {
    number: 1,
    many: [1, 2, 3, 4],
    pointer: std::ptr::null_mut(),
});

fn pointer(inner: &mut Inner) -> *mut Inner {
    note("pointer");
    inner
}

fn guard(many: &mut [u32; 4]) -> Guard<'_> {
    note("lock");
    Guard(many)
}

twice! {
    fn table(_inner: *mut Inner) -> u32 {
        TABLE[at(1)] = value(5);
        TABLE[at(2)] += TABLE[at(1)];
        TABLE[0] ^= value(2);
        let slice = &mut TABLE[at(1)..at(3)];
        slice[0] = 8;
        let one = &TABLE[at(3)];
        if TABLE[at(0)] == TABLE[at(1)] { 0 } else { *one + TABLE[at(2)] }
    }

    fn pairs(_inner: *mut Inner) -> u32 {
        PAIRS[at(1)].0 = value(3);
        let (a, b) = PAIRS[at(1)];
        a + b + PAIRS[at(2)].1
    }

    fn grid(_inner: *mut Inner) -> u32 {
        GRID[at(1)] = value(3);
        GRID[2] += GRID[at(1)];
        let one = &mut GRID[0];
        *one += 1;
        GRID[0] + GRID[at(2)]
    }

    fn list(_inner: *mut Inner) -> u32 {
        LIST.clear();
        LIST.extend([1, 2, 3]);
        LIST[at(1)] = value(7);
        LIST[0] + LIST[at(1)]
    }

    fn handle(inner: *mut Inner) -> u32 {
        HANDLE.number = value(2);
        HANDLE.many[at(1)] = HANDLE.number;
        HANDLE.pointer = &raw mut (*inner).number;
        *HANDLE.pointer += 1;
        let number = &mut HANDLE.number;
        *number += 1;
        HANDLE.number + HANDLE.many[1] + *HANDLE.pointer
    }

    fn through(inner: *mut Inner) -> u32 {
        (*inner).many[at(1)] = value(2);
        (*inner).many[at(2)] += (*inner).many[at(1)];
        let range = 1..3;
        let part = &mut (*inner).many[range];
        part[0] = 9;
        let index = at(3);
        (*inner).many[index] + (*inner).number
    }

    fn called(inner: *mut Inner) -> u32 {
        (*pointer(&mut *inner)).number = value(1);
        (*pointer(&mut *inner)).many[at(1)] = value(2);
        (*pointer(&mut *inner)).many[at(2)] += value(2);
        let one = (*pointer(&mut *inner)).many[at(1)];
        note("between");
        one + (*pointer(&mut *inner)).number
    }

    fn guarded(inner: *mut Inner) -> u32 {
        (*guard(&mut (*inner).many))[at(1)] = value(2);
        let kept = &mut (*guard(&mut (*inner).many))[at(2)];
        *kept = 4;
        note("kept");
        let other = (*guard(&mut (*inner).many))[at(1)];
        other + (*guard(&mut (*inner).many))[2]
    }

    fn boxed(inner: *mut Inner) -> u32 {
        let mut text = Box::new(String::from("text"));
        let taken = *text;
        *text = String::from("again");
        let pair = Box::new((String::from("a"), String::from("b")));
        let first = pair.0;
        let both = Box::new([value(1), value(2)]);
        note(taken + &text + &first);
        (*both)[at(1)] + (*inner).number
    }

    fn constants(inner: *mut Inner) -> u32 {
        let kept = NOISY;
        let number = NOISY.number + LIMITS[at(1)] + LIMITS[2];
        note(format!("{} {} {:?}", TABLE[at(2)], (*inner).number, (*inner).many));
        assert_eq!(TABLE[at(0)], LIMITS[0], "{}", HANDLE.number);
        kept.number + number
    }

    fn smart(inner: *mut Inner) -> u32 {
        let mut smart = Smart {
            own: &raw mut (*inner).number,
            inner: Inner { number: 3, many: [1; 4], pointer: &raw mut (*inner).number },
        };
        let of = &raw mut smart;
        *smart.own = value(1);
        *smart.pointer += value(1);
        (*of).number = value(4);
        (*of).many[at(1)] = value(5);
        *(*of).pointer + *(*of).own + (*of).number + smart.many[at(1)]
    }
}

impl Smart {
    #[leakcheck::track]
    unsafe fn tracked(&mut self) -> u32 {
        unsafe {
            *self.own = value(2);
            *self.pointer += value(3);
            *self.pointer + *self.own
        }
    }

    unsafe fn plain(&mut self) -> u32 {
        unsafe {
            *self.own = value(2);
            *self.pointer += value(3);
            *self.pointer + *self.own
        }
    }
}

fn fresh() -> Inner {
    Inner {
        number: 10,
        many: [1, 2, 3, 4],
        pointer: std::ptr::null_mut(),
    }
}

type Function = unsafe fn(*mut Inner) -> u32;

/// What a function returns and notes, from the same state.
fn run(f: Function) -> (u32, Vec<String>) {
    let mut inner = fresh();
    unsafe {
        TABLE = [1, 2, 3, 4];
        PAIRS = [(1, 2); 4];
        GRID = Grid([1, 2, 3, 4]);
        HANDLE = Handle(fresh());
    }
    traced(|| unsafe { f(&raw mut inner) })
}

#[test]
fn all_is_evaluated_once_and_in_order() {
    let both: [[Function; 2]; 11] = [
        [plain::table, tracked::table],
        [plain::pairs, tracked::pairs],
        [plain::grid, tracked::grid],
        [plain::list, tracked::list],
        [plain::handle, tracked::handle],
        [plain::through, tracked::through],
        [plain::called, tracked::called],
        [plain::guarded, tracked::guarded],
        [plain::boxed, tracked::boxed],
        [plain::constants, tracked::constants],
        [plain::smart, tracked::smart],
    ];
    for (index, [plain, tracked]) in both.into_iter().enumerate() {
        assert_eq!(run(plain), run(tracked), "function {index}");
    }
}

#[test]
fn a_method_reaches_its_own_fields_once() {
    let run = |f: unsafe fn(&mut Smart) -> u32| {
        let mut number = 1;
        let mut smart = Smart {
            own: &raw mut number,
            inner: fresh(),
        };
        smart.inner.pointer = smart.own;
        traced(|| unsafe { f(&mut smart) })
    };
    assert_eq!(run(Smart::plain), run(Smart::tracked));
}

/// A panic says the line of the program, not the attribute's.
#[test]
fn an_index_that_is_too_large_panics_where_it_is() {
    thread_local! {
        static LINE: Cell<u32> = const { Cell::new(0) };
        static HERE: Cell<u32> = const { Cell::new(0) };
    }
    #[leakcheck::track]
    fn read(index: usize) -> u32 {
        HERE.set(line!() + 1);
        unsafe { TABLE[index] }
    }
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(|info| {
        LINE.set(info.location().map_or(0, std::panic::Location::line));
    }));
    let result = std::panic::catch_unwind(|| read(std::hint::black_box(9)));
    std::panic::set_hook(before);
    assert!(result.is_err());
    assert_eq!(LINE.get(), HERE.get());
}

/// An assertion without a message fails with its own text, of the same type.
#[test]
fn an_assertion_says_what_it_says() {
    fn plain() {
        assert!(unsafe { TABLE[0] } == 99 && !format!("{}", 1).is_empty());
    }
    #[leakcheck::track]
    fn tracked() {
        assert!(unsafe { TABLE[0] } == 99 && !format!("{}", 1).is_empty());
    }
    let text = |f: fn()| {
        let payload = std::panic::catch_unwind(f).expect_err("the table has no 99");
        payload.downcast_ref::<&'static str>().copied()
    };
    let said = text(tracked);
    assert!(said.is_some());
    assert_eq!(said, text(plain));
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Phase {
    Begun,
    Ended(u8),
}

/// Places that a pattern asks for a variant: what matches stays, and a part
/// may be bound, also behind a reference.
#[test]
fn a_pattern_matches_what_it_matched() {
    #[leakcheck::track]
    unsafe fn asks(
        pointer: *mut Option<u8>,
        inner: *mut &mut Option<u8>,
        phase: *const Phase,
    ) -> Vec<u32> {
        let mut told = Vec::new();
        unsafe {
            if let Some(1..) = *pointer {
                told.push(1);
            }
            match *inner {
                None => told.push(2),
                Some(count) => *count += 1,
            }
            while let Some(count) = *inner {
                if *count > 9 {
                    break;
                }
                *count += 1;
            }
            match *phase {
                Phase::Begun => told.push(3),
                Phase::Ended(how) => told.push(u32::from(how)),
            }
            let Phase::Ended(how) = *phase else {
                return told;
            };
            if let None | Some(0) = *pointer
                && how > 0
            {
                told.push(4);
            }
            match *pointer {
                None => told.push(5),
                other => told.push(other.map_or(0, u32::from)),
            }
        }
        told
    }
    let mut own = Some(7);
    let mut others = Some(2);
    let mut behind = &mut others;
    let phase = Phase::Ended(8);
    // SAFETY: all of it is this function's.
    let told = unsafe { asks(&raw mut own, &raw mut behind, &raw const phase) };
    assert_ne!(phase, Phase::Begun);
    assert_eq!(told, [1, 8, 7]);
    assert_eq!(others, Some(10));
}

/// A part of a place is asked about after another was moved away: what asks for
/// the types on the way must not borrow the whole.
#[deny(warnings)]
#[leakcheck::track]
#[test]
fn what_is_left_of_a_place_is_used() {
    struct Parts {
        name: String,
        count: std::sync::Mutex<u32>,
        inner: Inner,
    }
    struct Inner {
        text: String,
        number: std::sync::atomic::AtomicU32,
    }
    let parts = Parts {
        name: "moved".to_owned(),
        count: std::sync::Mutex::new(1),
        inner: Inner {
            text: "too".to_owned(),
            number: std::sync::atomic::AtomicU32::new(2),
        },
    };
    let name = parts.name;
    drop(parts.inner.text);
    *parts.count.lock().unwrap() += 1;
    let before = parts
        .inner
        .number
        .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    assert_eq!((name.as_str(), before), ("moved", 2));
    assert_eq!(parts.count.into_inner().unwrap(), 2);
}
