//! The name of an inner attribute must be known, as it must be where tracking is
//! compiled out.

#[leakcheck::track]
mod tracked {
    #[track(skip)]
    pub fn left_alone() {}

    #[track(name = "hits")]
    pub static HITS: u32 = 0;

    pub struct Own;

    impl Own {
        #[track]
        pub fn method(&self) {}
    }
}

fn main() {
    tracked::left_alone();
    tracked::Own.method();
    assert_eq!(tracked::HITS, 0);
}
