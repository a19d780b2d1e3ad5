//! The `leakcheck` command: builds a cargo project with the compiler's own
//! instrumentation, runs its tests one process each, and judges what they did.
#![forbid(unsafe_code)]
