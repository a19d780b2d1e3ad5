//! Fetches the sources of crates, as their authors published them.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::list::Suite;

/// Returns a directory for each suite: a package of its own, outside any
/// workspace. What is there from an earlier run is used again.
pub fn fetch(suites: &[&Suite], work: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let directories: Vec<PathBuf> = suites
        .iter()
        .map(|suite| work.join("source").join(suite.directory()))
        .collect();
    let missing: Vec<&Suite> = suites
        .iter()
        .zip(&directories)
        .filter(|(_, directory)| !directory.join("Cargo.toml").is_file())
        .map(|(suite, _)| *suite)
        .collect();
    if missing.is_empty() {
        return Ok(directories);
    }
    let scratch = tempfile::TempDir::new_in(work)?;
    vendor(&missing, scratch.path())?;
    for suite in missing {
        let name = suite.directory();
        let vendored = scratch.path().join("vendor").join(&name);
        // Checksums guard vendored sources only, and the package must not
        // look for a workspace around it.
        fs::remove_file(vendored.join(".cargo-checksum.json"))?;
        let manifest = vendored.join("Cargo.toml");
        let mut text = without_benches(&fs::read_to_string(&manifest)?);
        if !text.contains("\n[workspace]") {
            text += "\n[workspace]\n";
        }
        fs::write(&manifest, text)?;
        fs::create_dir_all(work.join("source"))?;
        fs::rename(&vendored, work.join("source").join(&name))?;
    }
    Ok(directories)
}

/// A published manifest without its benchmarks and the crate they need, which
/// takes longer to build than all the rest.
fn without_benches(manifest: &str) -> String {
    let mut kept = true;
    let mut text = String::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            kept =
                !line.starts_with("[[bench]]") && !line.starts_with("[dev-dependencies.criterion]");
        }
        if kept {
            text += line;
            text.push('\n');
        }
    }
    text
}

impl Suite {
    /// The name that `cargo vendor --versioned-dirs` gives.
    fn directory(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }
}

/// Lets cargo download and unpack the crates.
fn vendor(suites: &[&Suite], directory: &Path) -> Result<(), Box<dyn Error>> {
    let mut manifest =
        "[package]\nname = \"fetch\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n"
            .to_owned();
    for suite in suites {
        manifest += &format!("{} = \"={}\"\n", suite.name, suite.version);
    }
    fs::write(directory.join("Cargo.toml"), manifest)?;
    fs::create_dir(directory.join("src"))?;
    fs::write(directory.join("src/lib.rs"), "")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["vendor", "--versioned-dirs", "--quiet", "vendor"])
        .current_dir(directory)
        .stdout(Stdio::null())
        .status()?;
    if !status.success() {
        return Err(format!("cargo vendor failed: {status}").into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::without_benches;

    #[test]
    fn only_benches_are_left_out() {
        let manifest = concat!(
            "[package]\nname = \"x\"\n\n",
            "[[bench]]\nname = \"b\"\nharness = false\n\n",
            "[dev-dependencies.criterion]\nversion = \"0.5\"\n\n",
            "[dev-dependencies.rand]\nversion = \"0.9\"\n",
        );
        assert_eq!(
            without_benches(manifest),
            "[package]\nname = \"x\"\n\n[dev-dependencies.rand]\nversion = \"0.9\"\n"
        );
    }
}
