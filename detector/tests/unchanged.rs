//! What the attribute leaves as it is: types that are handed back, what closures
//! capture, what the compiler computes.

#![expect(
    clippy::undocumented_unsafe_blocks,
    reason = "what is written here is what programs write"
)]

use std::any::Any;
use std::ops::RangeInclusive;

/// Another crate's `task::spawn` that hands back what it is given, by its type.
mod mock {
    pub mod task {
        pub struct Spawned<F>(pub F);

        impl<F: Clone> Spawned<F> {
            pub fn poll(&mut self) -> F {
                self.0.clone()
            }
        }

        pub const fn spawn<F>(future: F) -> Spawned<F> {
            Spawned(future)
        }
    }
}

#[leakcheck::track]
fn handed_back() -> u8 {
    let ready: std::future::Ready<u8> = mock::task::spawn(std::future::ready(1)).0;
    ready.into_inner()
}

mod by_import {
    use super::mock::task;

    #[leakcheck::track]
    pub fn handed_back() -> u8 {
        let mut ready = task::spawn(std::future::ready(1));
        let inner: std::future::Ready<u8> = ready.poll();
        inner.into_inner()
    }
}

#[test]
fn what_is_handed_back_keeps_its_type() {
    assert_eq!(handed_back(), 1);
    assert_eq!(by_import::handed_back(), 1);
}

struct Parts {
    left: Vec<u32>,
    right: std::sync::Mutex<u32>,
}

impl Parts {
    const fn new() -> Self {
        Self {
            left: Vec::new(),
            right: std::sync::Mutex::new(1),
        }
    }
}

/// A closure captures the parts that it names, and no more.
#[leakcheck::track]
fn captures_one_part() -> u32 {
    let mut parts = Parts::new();
    let left = &mut parts.left;
    let read = || *parts.right.lock().unwrap();
    left.push(read());
    left[0]
}

#[leakcheck::track]
fn captures_what_is_left() -> u32 {
    let parts = Parts::new();
    let mut left = parts.left;
    let read = move || *parts.right.lock().unwrap();
    left.push(read());
    left[0]
}

#[leakcheck::track]
fn captures_what_a_call_left() -> u32 {
    let parts = Parts::new();
    let read = || {
        let is = *parts.right.lock().unwrap() == 1;
        u32::from(is && !parts.right.lock().unwrap().eq(&2))
    };
    let none = u32::from(!parts.left.into_boxed_slice().is_empty());
    none + read()
}

#[test]
fn closures_capture_no_more_than_they_name() {
    assert_eq!(captures_one_part(), 1);
    assert_eq!(captures_what_is_left(), 1);
    assert_eq!(captures_what_a_call_left(), 1);
}

const BYTES: &[u8] = b"12";
const LIMITS: [u32; 1] = [1];

const fn length<const N: usize>() -> usize {
    N
}

/// What the compiler computes can call nothing that is not const.
#[leakcheck::track]
fn computed_by_the_compiler() -> usize {
    let zeros = [0_u8; BYTES.len()];
    let same: [u8; BYTES.len()] = zeros;
    let cast = same.as_ptr() as *const [u8; BYTES.len()];
    let all = length::<{ BYTES.len() }>() + Vec::<[u8; BYTES.len()]>::new().len();
    assert!(!cast.is_null() && LIMITS[0] == 1);
    const { BYTES.len() + length::<{ BYTES.len() }>() - 2 }.min(all)
}

#[test]
fn what_the_compiler_computes_stays() {
    assert_eq!(computed_by_the_compiler(), 2);
}

struct Own(u32);

impl std::ops::Add for &Own {
    type Output = u32;

    fn add(self, other: Self) -> u32 {
        self.0 + other.0
    }
}

fn same(number: u32) -> u32 {
    number
}

/// Under a condition, something may follow what returns, and is not reached.
#[deny(unreachable_code)]
#[leakcheck::track]
fn returns_under_a_condition(one: &Own, other: &Own) -> u32 {
    #[cfg(any())]
    let _sum = (one + other) + same(one + other);
    #[cfg(not(any()))]
    return (one + other) + same(one + other);
    #[cfg(any())]
    0
}

#[test]
fn what_follows_a_return_is_not_warned_of() {
    assert_eq!(returns_under_a_condition(&Own(1), &Own(2)), 6);
}

/// What looks like a type's function may be a trait's: which type it makes, its
/// use says.
trait Make {
    fn make() -> Self;
}

impl Make for u32 {
    fn make() -> Self {
        1
    }
}

impl Make for u8 {
    fn make() -> Self {
        2
    }
}

struct Both {
    one: u32,
    other: u8,
}

#[leakcheck::track]
fn made_by_a_trait() -> Both {
    let one = Make::make();
    let other = Make::make();
    Both { one, other }
}

#[test]
fn the_use_of_a_variable_says_its_type() {
    let Both { one, other } = made_by_a_trait();
    assert_eq!((one, other), (1, 2));
}

/// An argument may be there under a condition only.
#[leakcheck::track]
fn takes_under_a_condition(#[cfg(any())] _: Missing, (): ()) -> u32 {
    1
}

#[test]
fn an_argument_stays_under_its_condition() {
    assert_eq!(takes_under_a_condition(()), 1);
}

/// So may a field of a struct, and what it begins with.
struct Conditional {
    #[cfg(any())]
    one: u32,
    other: u32,
}

#[leakcheck::track]
fn made_under_a_condition(other: u32) -> Conditional {
    #[cfg(any())]
    let one = other;
    Conditional {
        #[cfg(any())]
        one,
        other,
    }
}

#[leakcheck::track]
fn borrowed_under_a_condition(all: &Conditional) -> u32 {
    let it = &Conditional {
        #[cfg(any())]
        one: all.one,
        other: all.other,
    };
    it.other
}

#[test]
fn a_field_stays_under_its_condition() {
    assert_eq!(borrowed_under_a_condition(&made_under_a_condition(3)), 3);
}

/// What the compiler computes, it keeps for ever, and so may be returned.
#[leakcheck::track]
fn kept_for_ever() -> (&'static usize, &'static RangeInclusive<u32>) {
    (&size_of::<u32>(), &RangeInclusive::new(1, 2))
}

struct Limit(u32);

impl Limit {
    const LAST: Self = Self(7);
}

struct Kept(u32);

#[leakcheck::track]
fn kept_in_another() -> &'static Result<&'static Kept, ()> {
    &Ok(&Kept(3))
}

#[leakcheck::track]
fn kept_in_a_list() -> &'static Option<&'static [Kept]> {
    &Some(&[Kept(1)])
}

#[leakcheck::track]
fn of_a_constant() -> Option<u32> {
    u32::checked_add(Limit::LAST.0, 1)
}

#[test]
fn constants_stay_where_they_are() {
    assert_eq!(kept_in_another().as_ref().map(|kept| kept.0), Ok(3));
    assert!(kept_in_a_list().is_some_and(|all| all[0].0 == 1));
    assert_eq!(kept_for_ever(), (&4, &(1..=2)));
    assert_eq!(of_a_constant(), Some(8));
}

/// Between angle brackets, a type needs no parentheses.
#[deny(warnings)]
#[leakcheck::track]
fn as_any(number: &u32) -> &(dyn Any + 'static) {
    number
}

/// Nor does a value between those of a call.
#[deny(warnings)]
#[leakcheck::track]
fn squared(number: u32) -> Option<u32> {
    [number, 9].iter().position(|it| it == &(number * number))?;
    assert_eq!(Some(&number), Some(&(number * number / number)));
    Some(number)
}

/// Nor does a block.
#[deny(warnings)]
#[leakcheck::track]
fn in_braces() -> usize {
    let _ = { String::new() };
    { String::from("a") }.clone().len()
}

#[test]
fn parentheses_are_not_warned_of() {
    assert_eq!(in_braces(), 1);
    assert_eq!(as_any(&3).downcast_ref(), squared(3).as_ref());
}

/// What a loop goes through gets its type by what comes later.
#[leakcheck::track]
fn goes_through_the_last() -> u32 {
    let mut last = None;
    let mut sum = 0;
    for round in 0..3_u32 {
        if let Some(all) = last.take() {
            for one in all {
                sum += one;
            }
        }
        last = Some(vec![round]);
    }
    sum
}

#[test]
fn a_loop_may_go_through_what_is_known_later() {
    assert_eq!(goes_through_the_last(), 1);
}

/// Functions called like those that spawn, or access, and that do something else.
mod named_like {
    pub mod tokio {
        pub const fn spawn(number: u32) -> u32 {
            number
        }
    }

    pub mod task {
        pub const fn spawn_blocking(number: u32) -> u32 {
            number
        }
    }

    pub mod rayon {
        pub const fn join(one: u32, other: u32) -> u32 {
            one + other
        }
    }

    pub mod thread {
        pub const fn spawn(number: u32) -> u32 {
            number
        }
    }

    pub mod ptr {
        pub const unsafe fn replace(one: u32, other: u32) -> u32 {
            one + other
        }
    }

    pub struct Pool;

    impl Pool {
        pub const fn spawn(&self, number: u32) -> u32 {
            number
        }
    }
}

#[leakcheck::track]
fn by_other_names(number: u32) -> u32 {
    use named_like::{Pool, ptr, rayon, task, thread, tokio};
    let literals = tokio::spawn(1)
        + task::spawn_blocking(1)
        + rayon::join(1, 1)
        + thread::spawn(1)
        + Pool.spawn(1)
        // SAFETY: it adds.
        + unsafe { ptr::replace(1, 1) };
    let variables = tokio::spawn(number)
        + task::spawn_blocking(number)
        + rayon::join(number, number)
        + thread::spawn(number)
        + Pool.spawn(number);
    literals + variables
}

#[test]
fn functions_of_other_crates_take_what_they_take() {
    assert_eq!(by_other_names(2), 8 + 12);
}

#[leakcheck::track]
fn closures_with_the_same_names(fill: u32) -> u32 {
    let test = |of: &dyn Fn(u32) -> u32| of(fill);
    let local = test(&|part| part + 1);
    local
        + test(&|part| part + 2)
        + test(&|part| {
            let local = part + fill;
            local + 3
        })
}

#[test]
fn a_borrowed_closure_keeps_its_names() {
    assert_eq!(closures_with_the_same_names(1), 2 + 3 + 5);
}

/// Closures that outlive the variable whose referent they use.
#[leakcheck::track]
mod outliving {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Barrier, Mutex};
    use std::thread;

    pub struct Text {
        pub length: u32,
        pub words: Vec<u32>,
    }

    impl Text {
        pub fn longer(&self, by: u32) -> u32 {
            self.length + by
        }
    }

    pub fn fields(all: &[Text]) -> Vec<u32> {
        let each = all
            .iter()
            .flat_map(|text| (0..2).map(|more| text.length + more));
        each.collect()
    }

    pub fn methods(all: &[Text]) -> Vec<u32> {
        let each = all
            .iter()
            .flat_map(|text| (0..2).map(|more| text.longer(more)));
        each.collect()
    }

    pub fn nested(all: &[Text]) -> impl Iterator<Item = u32> + '_ {
        all.iter().flat_map(|text| {
            let longer = text.words.iter().filter(|word| **word > text.length);
            longer.map(|word| text.length + word)
        })
    }

    pub fn boxed(text: &Text) -> Box<dyn Fn() -> u32 + '_> {
        Box::new(|| text.longer(1))
    }

    pub fn pushed(words: &mut Vec<u32>) -> impl FnMut(u32) + '_ {
        |word| words.push(word)
    }

    pub fn locked(lock: &Mutex<u32>) -> impl Iterator<Item = u32> + '_ {
        (0..2).map(|more| *lock.lock().unwrap() + more)
    }

    pub fn shared(
        locks: &[Mutex<u32>],
        counts: &[AtomicU32],
        all: &[Text],
        more: &mut [Text],
        lists: &[Vec<u32>],
    ) {
        let barrier = Barrier::new(1);
        thread::scope(|scope| {
            for lock in locks {
                scope.spawn(|| *lock.lock().unwrap() += 1);
            }
            for count in counts {
                scope.spawn(|| count.fetch_add(1, Ordering::Relaxed));
            }
            for text in all {
                scope.spawn(|| text.longer(1) + text.length);
            }
            for text in more {
                scope.spawn(|| {
                    text.length += text.words[0];
                    text.words.push(1);
                    for word in text.words.iter_mut() {
                        *word += 1;
                    }
                });
            }
            for words in lists {
                scope.spawn(|| words[0] + words.iter().sum::<u32>());
            }
            let met = &barrier;
            scope.spawn(|| met.wait());
        });
    }
}

#[test]
fn closures_may_outlive_a_reference() {
    let text = |length| outliving::Text {
        length,
        words: vec![1, 9],
    };
    let all = [text(1), text(2)];
    assert_eq!(outliving::fields(&all), [1, 2, 2, 3]);
    assert_eq!(outliving::methods(&all), [1, 2, 2, 3]);
    assert_eq!(outliving::nested(&all).collect::<Vec<_>>(), [10, 11]);
    assert_eq!(outliving::boxed(&all[0])(), 2);
    let mut words = Vec::new();
    outliving::pushed(&mut words)(3);
    assert_eq!(words, [3]);
    let lock = std::sync::Mutex::new(1);
    assert_eq!(outliving::locked(&lock).sum::<u32>(), 3);
    let count = std::sync::atomic::AtomicU32::new(0);
    let (locks, counts) = ([lock], [count]);
    let mut more = [text(3)];
    outliving::shared(&locks, &counts, &all, &mut more, &[words]);
    assert_eq!((more[0].length, &*more[0].words), (4, &[2, 10, 2][..]));
    assert_eq!(*locks[0].lock().unwrap(), 2);
    assert_eq!(counts[0].load(std::sync::atomic::Ordering::Relaxed), 1);
}

/// Parts, without a size, of what a call leads to.
mod without_size {
    use std::ptr::{NonNull, addr_of_mut};

    #[repr(C)]
    pub struct Counted<T: ?Sized> {
        pub count: usize,
        pub data: T,
    }

    pub struct Own<T: ?Sized>(pub NonNull<Counted<T>>);

    #[leakcheck::track]
    impl<T: ?Sized> Own<T> {
        const fn inner(&self) -> *mut Counted<T> {
            self.0.as_ptr()
        }

        pub const fn count(&self) -> usize {
            unsafe { (*self.inner()).count }
        }

        pub fn get(&self) -> &T {
            unsafe { &(*self.inner()).data }
        }

        pub fn get_mut(&mut self) -> &mut T {
            unsafe { &mut (*self.inner()).data }
        }

        pub fn address(&self) -> *mut T {
            unsafe { addr_of_mut!((*self.0.as_ptr()).data) }
        }
    }

    #[leakcheck::track]
    impl Own<[u8]> {
        pub fn first(&self) -> u8 {
            unsafe { (&(*self.inner()).data)[0] }
        }
    }
}

#[test]
fn what_has_no_size_is_no_value() {
    let mut counted = without_size::Counted {
        count: 1,
        data: [2_u8, 3],
    };
    let whole: &mut without_size::Counted<[u8]> = &mut counted;
    let mut own = without_size::Own(whole.into());
    own.get_mut()[1] = 4;
    assert_eq!((own.count(), own.first(), own.get()), (1, 2, &[2, 4][..]));
    assert_eq!(own.address().cast_const(), std::ptr::from_ref(own.get()));
}

#[leakcheck::track]
fn in_parentheses(values: &[u8]) -> u8 {
    let Some(first) = (unsafe { values.as_ptr().as_ref() }) else {
        return 0;
    };
    let Some(last) = ({ values.last() }) else {
        return 0;
    };
    *first + *last
}

#[test]
fn parentheses_before_else_are_the_programs() {
    assert_eq!(in_parentheses(&[1, 2]), 3);
}
