//! Inside of a tracked item, the arguments are checked as well.

use leakcheck::track;

#[track]
mod inner {
    #[track(nam = "x")]
    pub fn wrong() {}
}

#[track]
fn outer() {
    #[track(nam = "y")]
    fn wrong_as_well() {}
    wrong_as_well();
}

fn main() {
    outer();
    inner::wrong();
}
