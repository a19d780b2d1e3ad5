//! Arguments that the attribute does not take.

use leakcheck::track;

#[track(nam = "x")]
fn unknown() {}

#[track(allow(leaked_task))]
fn without_a_reason() {}

#[track(allow(leaked_tasks, reason = "typo"))]
fn no_such_kind() {}

#[track(daemon, daemon)]
fn twice() {}

#[track(skip, name = "x")]
fn skip_and_more() {}

fn main() {
    // The items are there all the same: no further errors.
    unknown();
    without_a_reason();
    no_such_kind();
    twice();
    skip_and_more();
}
