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
        let mut text = fs::read_to_string(&manifest)?;
        if !text.contains("\n[workspace]") {
            text += "\n[workspace]\n";
        }
        fs::write(&manifest, text)?;
        fs::create_dir_all(work.join("source"))?;
        fs::rename(&vendored, work.join("source").join(&name))?;
    }
    Ok(directories)
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
