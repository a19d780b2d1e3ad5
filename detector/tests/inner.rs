//! What is inside of a tracked item: attributes, and what the compiler says of the rest.

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

mod parentheses {
    #![deny(unused_parens)]

    #[leakcheck::track]
    pub fn around_what_a_closure_returns(number: u32) -> Vec<u32> {
        let same = |number| (number);
        (0..number)
            .flat_map(|_| (0..number))
            .map(same)
            .map(|each| (each + 1))
            .collect()
    }
}

#[test]
fn parentheses_around_a_closure_are_the_programs() {
    assert_eq!(parentheses::around_what_a_closure_returns(2), [1, 2, 1, 2]);
}
