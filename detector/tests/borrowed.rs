//! What is borrowed behind a pointer lives as long as without the attribute, and
//! compiles where it did.

#![expect(
    clippy::undocumented_unsafe_blocks,
    reason = "what is pointed to is the test's own"
)]

mod shorter_than_what_is_behind {
    pub struct Entry<K, V> {
        pub key: K,
        pub value: V,
    }

    pub struct Tagged<T> {
        pub at: *mut T,
    }

    /// Nothing says that the key lives as long as the reference.
    #[leakcheck::track]
    pub fn value<'g, K, V>(entry: Tagged<Entry<K, V>>, _guard: &'g u8) -> Option<&'g V> {
        let entry = unsafe { &(*entry.at) };
        Some(&entry.value)
    }

    #[leakcheck::track]
    pub fn same<K, V: PartialEq>(one: &Tagged<Entry<K, V>>, other: &Tagged<Entry<K, V>>) -> bool {
        unsafe { &(*one.at).value == &(*other.at).value }
    }

    #[leakcheck::track]
    pub fn set<K, V>(entry: &Tagged<Entry<K, V>>, value: V) {
        let at = unsafe { &mut *entry.at.cast::<Entry<K, _>>() };
        at.value = value;
    }
}

#[test]
fn a_reference_lives_no_longer_than_before() {
    use shorter_than_what_is_behind::{Entry, Tagged, same, set, value};
    let mut entry = Entry { key: 'a', value: 1 };
    let at = &raw mut entry;
    set(&Tagged { at }, 2);
    assert_eq!(value(Tagged { at }, &0), Some(&2));
    assert!(same(&Tagged { at }, &Tagged { at }));
    assert_eq!(entry.key, 'a');
}

#[leakcheck::track]
fn by_ranges(all: &mut [u32], first: usize) -> u32 {
    let (range, again) = (first..all.len(), ..2);
    for number in &all[range.clone()] {
        assert_ne!(*number, 0);
    }
    all[range].swap(0, 1);
    all[again].swap(0, 1);
    all[first].min(all[0])
}

#[test]
fn an_index_is_moved_once() {
    let mut all = [1, 2, 3, 4];
    assert_eq!(by_ranges(&mut all, 2), 2);
    assert_eq!(all, [2, 1, 4, 3]);
}

#[leakcheck::track]
fn each_of(all: &[u32], range: std::ops::Range<usize>) -> u32 {
    let mut sum = 0;
    for number in &all[range] {
        sum += number;
    }
    sum
}

#[test]
fn a_range_is_moved_into_a_loop() {
    assert_eq!(each_of(&[1, 2, 3], 1..3), 5);
}

mod by_statics {
    #![deny(static_mut_refs)]
    use std::sync::Mutex;

    static mut AT: usize = 1;
    const FIRST: usize = 0;
    static ALL: [Mutex<u32>; 2] = [const { Mutex::new(1) }; 2];

    #[leakcheck::track]
    pub fn sum(number: &usize) -> u32 {
        let own = unsafe { *ALL[AT].lock().unwrap() };
        let first = *ALL[FIRST].lock().unwrap();
        own + first + *ALL[*number].lock().unwrap()
    }
}

#[test]
fn an_index_in_a_static_variable_is_not_borrowed() {
    assert_eq!(by_statics::sum(&0), 3);
}
