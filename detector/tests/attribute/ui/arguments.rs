//! Arguments that the attribute does not take.

use leakcheck::track;

#[track(nam = "x")]
fn unknown() {}

#[track(allow(leaked_task))]
fn without_a_reason() {}

#[track(allow(leaked_tasks, reason = "typo"))]
fn no_such_kind() {}

#[track(allow(LC9999, reason = "no such code"))]
fn no_such_code() {}

#[track(daemon, daemon)]
fn twice() {}

#[track(skip, name = "x")]
fn skip_and_more() {}

#[track(allow)]
fn allows_nothing() {}

#[track(allow(reason = "none"))]
fn allows_no_kind() {}

#[track(allow(data_race, reason = ""))]
fn empty_reason() {}

#[track(name = "")]
fn empty_name() {}

#[track(name)]
fn no_name() {}

#[track(crate = 3)]
fn no_path() {}

fn main() {
    allows_nothing();
    allows_no_kind();
    empty_reason();
    empty_name();
    no_name();
    no_path();
    // The items are there all the same: no further errors.
    unknown();
    without_a_reason();
    no_such_kind();
    no_such_code();
    twice();
    skip_and_more();
}
