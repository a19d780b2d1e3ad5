//! Cargo as in a shell, without the command.

use std::path::Path;
use std::process::{Command, Stdio};

/// Plain cargo with these arguments, for this manifest, and a target directory of
/// its own.
#[must_use]
pub fn cargo(arguments: &[&str], manifest: &Path, target: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_") && text != "CARGO_HOME" || text.starts_with("RUST_") {
            cargo.env_remove(&name);
        }
    }
    cargo
        .args(arguments)
        .arg("--manifest-path")
        .arg(manifest)
        .arg("--target-dir")
        .arg(target)
        .stdin(Stdio::null());
    cargo
}
