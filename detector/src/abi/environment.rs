//! `getenv`, `setenv` and their family: accesses to one variable, `environ`.
//!
//! glibc's `getenv` takes no lock, so a `setenv` at the same time is a race of
//! the program's; std's own functions order each other by a lock of std's.

use std::ffi::c_char;

use super::caller::return_address;
use super::mem::touch;
use super::real;
use crate::report::wire::AccessOp;

unsafe extern "C" {
    static environ: *const *const c_char;
}

/// Accesses `environ`.
fn access(op: AccessOp, pc: u64) {
    let at = &raw const environ as usize;
    touch(at, size_of::<usize>(), op, pc);
}

macro_rules! functions {
    ($($export:literal $op:ident $name:ident($($arg:ident: $type:ty),*) -> $result:ty;)*) => {$(
        real::forward! {
            /// The C library's.
            fn $name($($arg: $type),*) -> $result
        }

        const _: () = {
            /// Interposed function of the C library.
            #[unsafe(export_name = $export)]
            unsafe extern "C" fn interposed($($arg: $type),*) -> $result {
                access(AccessOp::$op, return_address());
                // SAFETY: as the program says, which calls the same function.
                unsafe { $name($($arg),*) }
            }
        };
    )*};
}

functions! {
    "__lc_interpose_getenv" Read getenv(name: *const c_char) -> *mut c_char;
    "__lc_interpose_secure_getenv" Read secure_getenv(name: *const c_char) -> *mut c_char;
    "__lc_interpose_setenv" Write
        setenv(name: *const c_char, value: *const c_char, replace: i32) -> i32;
    "__lc_interpose_unsetenv" Write unsetenv(name: *const c_char) -> i32;
    "__lc_interpose_putenv" Write putenv(text: *mut c_char) -> i32;
    "__lc_interpose_clearenv" Write clearenv() -> i32;
}

/// What the runtime itself, its std, calls as `getenv`.
#[unsafe(export_name = "__lc_real_getenv")]
unsafe extern "C" fn own_getenv(name: *const c_char) -> *mut c_char {
    // SAFETY: as the caller says.
    unsafe { getenv(name) }
}
