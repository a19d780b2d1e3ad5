//! The `#[track]` attribute of leakcheck.
#![forbid(unsafe_code)]
