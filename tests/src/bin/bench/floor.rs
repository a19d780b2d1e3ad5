//! A runtime that checks nothing: every hook does what the program would have
//! done there, or nothing, and returns. What the calls themselves cost is what
//! no runtime for the same objects can go below.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Sizes of an atomic access in bits, each with the parts of `rax`, `rsi`, `rdx` and
/// `r8` that hold so much.
const WIDTHS: [(u32, [&str; 4]); 4] = [
    (8, ["al", "sil", "dl", "r8b"]),
    (16, ["ax", "si", "dx", "r8w"]),
    (32, ["eax", "esi", "edx", "r8d"]),
    (64, ["rax", "rsi", "rdx", "r8"]),
];

/// The hooks that return at once.
const EMPTY: &[&str] = &["init", "func_entry", "func_exit", "atomic_signal_fence"];

/// Prefixes of those that do so for each size, in bytes, of an access.
const ACCESSES: &[&str] = &[
    "read",
    "write",
    "read_write",
    "volatile_read",
    "volatile_write",
    "unaligned_read",
    "unaligned_write",
    "unaligned_read_write",
    "unaligned_volatile_read",
    "unaligned_volatile_write",
];

/// Compiles it to an object file in `directory`.
pub fn object(rustc: &Path, directory: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let source = directory.join("floor.rs");
    let output = directory.join("floor.o");
    std::fs::write(
        &source,
        format!(
            "#![no_std]\ncore::arch::global_asm!(r#\"\n{}\"#);\n",
            assembly()
        ),
    )?;
    let status = Command::new(rustc)
        .args(["--crate-type=lib", "--emit=obj", "-Cpanic=abort", "-o"])
        .args([&output, &source])
        .status()?;
    if !status.success() {
        return Err(format!("`{}` does not compile: {status}", source.display()).into());
    }
    Ok(output)
}

/// The hooks, as rustc takes assembly by default.
fn assembly() -> String {
    let mut text = String::from(".text\n");
    let mut hook = |name: &str, body: &str| {
        text += &format!(
            ".p2align 4\n.globl __tsan_{name}\n.type __tsan_{name}, @function\n__tsan_{name}:\n{body}\nret\n"
        );
    };
    for name in EMPTY {
        hook(name, "");
    }
    for prefix in ACCESSES {
        for size in [1, 2, 4, 8, 16] {
            hook(&format!("{prefix}{size}"), "");
        }
    }
    for name in ["memcpy", "memmove", "memset"] {
        hook(name, &format!("jmp {name}@PLT"));
    }
    hook("atomic_thread_fence", "mfence");
    for (bits, [result, value, desired, changed]) in WIDTHS {
        let mut atomic = |name: &str, body: &str| hook(&format!("atomic{bits}_{name}"), body);
        atomic("load", &format!("mov {result}, [rdi]"));
        // The third argument is the ordering; 5 is sequentially consistent.
        atomic(
            "store",
            &format!("cmp edx, 5\nje 2f\nmov [rdi], {value}\nret\n2:\nxchg [rdi], {value}"),
        );
        let exchange = format!("mov rax, rsi\nxchg [rdi], {result}");
        atomic("exchange", &exchange);
        let add = format!("mov rax, rsi\nlock xadd [rdi], {result}");
        atomic("fetch_add", &add);
        atomic("fetch_sub", &format!("neg rsi\n{add}"));
        for name in ["and", "or", "xor"] {
            atomic(
                &format!("fetch_{name}"),
                &format!(
                    "mov {result}, [rdi]\n2:\nmov r8, rax\n{name} r8, rsi\n\
                     lock cmpxchg [rdi], {changed}\njne 2b"
                ),
            );
        }
        atomic(
            "compare_exchange_val",
            &format!("mov rax, rsi\nlock cmpxchg [rdi], {desired}"),
        );
    }
    text
}
