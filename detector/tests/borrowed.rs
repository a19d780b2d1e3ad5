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
