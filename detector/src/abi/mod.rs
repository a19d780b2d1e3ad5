//! The hooks: what the compiler's instrumentation and the program's calls to
//! the C library land in.
//!
//! - [`plain`], [`atomic`], [`mem`]: `__tsan_*`, called by instrumented code.
//! - [`heap`], [`map`], [`strings`]: the C library's memory functions,
//!   interposed.
//! - [`init`]: the start of the process; [`thread`]: threads.
//!
//! A function `__lc_interpose_NAME` becomes the program's `NAME` when the
//! runtime is made one object (see `exports.txt`); what the runtime itself
//! calls under that name becomes `__lc_real_NAME` ([`real`]).

pub mod atomic;
pub mod heap;
pub mod init;
pub mod map;
pub mod mem;
pub mod plain;
pub mod real;
pub mod strings;
pub mod thread;
