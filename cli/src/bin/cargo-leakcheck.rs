//! The command `cargo leakcheck`.
use std::process::ExitCode;

fn main() -> ExitCode {
    leakcheck_cli::main()
}
