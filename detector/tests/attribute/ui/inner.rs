//! Inside of a tracked item, the arguments are checked as well.

use leakcheck::track;

#[track]
mod inner {
    #[track(nam = "x")]
    pub fn wrong() {}
}

fn main() {
    inner::wrong();
}
