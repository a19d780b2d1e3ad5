//! The `leakcheck` command under another name, for the tests of this package:
//! cargo tells a test the path of its own package's programs only.

use std::process::ExitCode;

fn main() -> ExitCode {
    leakcheck_cli::main()
}
