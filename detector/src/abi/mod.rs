//! The hooks: what the compiler's instrumentation and the program's calls to
//! the C library land in.
//!
//! - [`plain`], [`atomic`], [`mem`]: `__tsan_*`, called by instrumented code.
//! - [`heap`], [`map`], [`strings`], [`text`]: the C library's memory functions,
//!   interposed.
//! - [`init`]: the start of the process; [`end`]: its end; [`process`]: forks;
//!   [`signal`]: crashes; [`handlers`]: ours and the program's;
//!   [`thread`]: threads; [`locals`]: their variables; [`environment`]: `getenv`.
//! - [`futex`]: waits; [`stuck`]: threads that can never run again, from a
//!   [`snapshot`] of all of them with the [`kernel`]'s word for it, told by the
//!   [`place`] that they wait in and its [`symbols`]; [`sample`]: where one runs;
//!   [`request`]: all of it on demand.
//! - [`idle`]: the same where threads wait for events of the kernel; [`sides`]: who
//!   of threads and tasks waits for whom.
//! - [`task`]: what patched executors tell of their tasks; [`said`]: what tracked
//!   code tells of memory.
//! - [`pthread_lock`], [`pthread_wait`]: what C code synchronises with, by the
//!   [`edge`] of an address.
//! - [`order`]: locks taken under other locks, for cycles of orders.
//! - [`pause`]: other schedules, for `--explore`.
//! - [`fd`]: channels behind file descriptors, for [`io`], [`socket`], [`poll`]
//!   and [`descriptor`].
//!
//! A function `__lc_interpose_NAME` becomes the program's `NAME` when the
//! runtime is made one object (see `exports.txt`); what the runtime itself
//! calls under that name becomes `__lc_real_NAME` ([`real`]).

pub mod atomic;
pub mod caller;
pub mod descriptor;
pub mod edge;
pub mod end;
pub mod environment;
pub mod fd;
pub mod futex;
pub mod handlers;
pub mod heap;
pub mod idle;
pub mod init;
pub mod integer;
pub mod io;
pub mod kernel;
pub mod locals;
mod lock_word;
pub mod map;
pub mod mem;
mod memory_order;
pub mod order;
pub mod pause;
pub mod place;
pub mod plain;
pub mod poll;
pub mod process;
pub mod pthread_lock;
pub mod pthread_wait;
pub mod real;
pub mod request;
pub mod said;
pub mod sample;
pub mod sides;
pub mod signal;
pub mod snapshot;
pub mod socket;
pub mod strings;
pub mod stuck;
pub mod symbols;
pub mod task;
pub mod text;
pub mod thread;
pub mod unwind;
