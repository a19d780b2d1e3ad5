//! Attributes inside of a tracked item.

#[leakcheck::track]
mod inner_attributes {
    #![deny(unused_imports)]
    use leakcheck::track;

    #[track(name = "hits")]
    pub static HITS: u32 = 1;

    #[track(skip)]
    pub fn left_alone() -> u32 {
        HITS
    }
}

#[test]
fn an_inner_attribute_is_used() {
    assert_eq!(inner_attributes::left_alone(), 1);
}
