//! What the compiler says about itself.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::SysrootError;

/// The one host whose programs can be instrumented so far.
pub(crate) const SUPPORTED_HOST: &str = "x86_64-unknown-linux-gnu";

/// A Rust toolchain, as its compiler describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    /// The compiler that was asked.
    pub rustc: PathBuf,
    /// Its sysroot.
    pub sysroot: PathBuf,
    /// Its host triple.
    pub host: String,
    /// Its release, such as `1.95.0`.
    pub release: String,
    /// The commit it was built from, unless it was built from a tarball.
    pub commit_hash: Option<String>,
    /// The version of its LLVM.
    pub llvm_version: String,
    /// All that `rustc -vV` printed.
    pub verbose: String,
}

impl Toolchain {
    /// Asks `rustc` what it is.
    ///
    /// # Errors
    ///
    /// If it cannot be started, or does not answer as a compiler does.
    pub fn detect(rustc: &Path) -> Result<Self, SysrootError> {
        let verbose = ask(rustc, "-vV")?;
        let sysroot = ask(rustc, "--print=sysroot")?;
        Self::from_answers(rustc, verbose, sysroot.trim_end())
    }

    /// Interprets the two answers of `rustc`.
    fn from_answers(rustc: &Path, verbose: String, sysroot: &str) -> Result<Self, SysrootError> {
        let field = |name: &'static str| -> Result<String, SysrootError> {
            verbose
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                .map(str::to_owned)
                .ok_or_else(|| SysrootError::RustcAnswer {
                    rustc: rustc.to_owned(),
                    arguments: "-vV",
                    detail: format!("no line `{name}:` in its answer"),
                })
        };
        if sysroot.is_empty() {
            return Err(SysrootError::RustcAnswer {
                rustc: rustc.to_owned(),
                arguments: "--print=sysroot",
                detail: "the answer is empty".to_owned(),
            });
        }
        Ok(Self {
            rustc: rustc.to_owned(),
            sysroot: PathBuf::from(sysroot),
            host: field("host")?,
            release: field("release")?,
            commit_hash: field("commit-hash").ok().filter(|hash| hash != "unknown"),
            llvm_version: field("LLVM version")?,
            verbose,
        })
    }

    /// The directory of the toolchain's shared libraries, which its tools
    /// need in `LD_LIBRARY_PATH`.
    #[must_use]
    pub fn library_dir(&self) -> PathBuf {
        self.sysroot.join("lib")
    }

    /// `lib/rustlib/<host>`: the standard library and the tools of the host.
    #[must_use]
    pub fn host_dir(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib").join(&self.host)
    }
}

/// Runs `rustc` with one argument and returns what it printed.
fn ask(rustc: &Path, argument: &'static str) -> Result<String, SysrootError> {
    let output = Command::new(rustc)
        .arg(argument)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| SysrootError::RustcMissing {
            rustc: rustc.to_owned(),
            source,
        })?;
    let answer = |detail: String| SysrootError::RustcAnswer {
        rustc: rustc.to_owned(),
        arguments: argument,
        detail,
    };
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(answer(format!("{}: {}", output.status, stderr.trim())));
    }
    String::from_utf8(output.stdout).map_err(|_| answer("the answer is not UTF-8".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "rustc 1.95.0 (59807616e 2026-04-14)\nbinary: rustc\ncommit-hash: 59807616e1fa2540724bfbac14d7976d7e4a3860\ncommit-date: 2026-04-14\nhost: x86_64-unknown-linux-gnu\nrelease: 1.95.0\nLLVM version: 22.1.2\n";

    #[test]
    fn reads_the_fields_of_the_answer() {
        let toolchain =
            Toolchain::from_answers(Path::new("rustc"), ANSWER.to_owned(), "/opt/rust").unwrap();
        assert_eq!(toolchain.host, "x86_64-unknown-linux-gnu");
        assert_eq!(toolchain.release, "1.95.0");
        assert_eq!(toolchain.llvm_version, "22.1.2");
        assert_eq!(
            toolchain.commit_hash.as_deref(),
            Some("59807616e1fa2540724bfbac14d7976d7e4a3860")
        );
        assert_eq!(
            toolchain.host_dir(),
            Path::new("/opt/rust/lib/rustlib/x86_64-unknown-linux-gnu")
        );
    }

    #[test]
    fn a_tarball_build_has_no_commit() {
        let answer = ANSWER.replace("59807616e1fa2540724bfbac14d7976d7e4a3860", "unknown");
        let toolchain = Toolchain::from_answers(Path::new("rustc"), answer, "/opt/rust").unwrap();
        assert_eq!(toolchain.commit_hash, None);
    }

    #[test]
    fn an_answer_without_host_is_refused_by_name() {
        let answer = ANSWER.replace("host: ", "guest: ");
        let error = Toolchain::from_answers(Path::new("rustc"), answer, "/opt/rust").unwrap_err();
        assert!(error.to_string().contains("no line `host:`"), "{error}");
    }

    #[test]
    fn a_missing_compiler_names_rustup() {
        let error = Toolchain::detect(Path::new("/nonexistent/rustc")).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("/nonexistent/rustc"), "{text}");
        assert!(text.contains("rustup.rs"), "{text}");
    }
}
