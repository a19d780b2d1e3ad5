//! From one source file to one binary for each variant.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use leakcheck_cli::runtime::LINK_ARGS;
use leakcheck_cli::sysroot::{PASS_FLAGS, Toolchain};
use wait4::Wait4 as _;

use crate::peers::Valgrind;
use crate::programs::Program;

/// The `main` around each program: prints the checksum, then the peak of its
/// resident memory in KiB. The kernel's figure for a *child* would begin with
/// that of this process, from before the `exec`.
const MAIN: &str = r#"
fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse().expect("a number"));
    let mut next = || arguments.next().expect("threads and scale");
    println!("{}", program::run(next(), next()));
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has /proc");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    println!("{}", peak.trim().trim_end_matches(" kB"));
}
"#;

/// What a program is linked with.
#[derive(Clone, Debug)]
pub enum Variant {
    /// Nothing, and not instrumented.
    Plain,
    /// Our runtime, this object.
    Ours(PathBuf),
    /// Our runtime, this object, in a program that is not instrumented: it looks
    /// for leaks and deadlocks alone.
    LeaksAlone(PathBuf),
    /// A runtime that checks nothing, this object.
    Floor(PathBuf),
    /// The runtime that comes with the toolchain.
    Llvm,
    /// Nothing, not instrumented, under a tool of valgrind's.
    Valgrind(Valgrind),
}

impl Variant {
    /// For a table.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Ours(_) => "leakcheck",
            Self::LeaksAlone(_) => "no-races",
            Self::Floor(_) => "floor",
            Self::Llvm => "llvm",
            Self::Valgrind(tool) => tool.name(),
        }
    }

    /// Runs a program that was linked for it. A tool of valgrind's ends after
    /// `limit` of processor time.
    pub fn command(&self, program: &Path, limit: Duration) -> Command {
        match self {
            Self::Plain | Self::Ours(_) | Self::LeaksAlone(_) | Self::Floor(_) | Self::Llvm => {
                Command::new(program)
            }
            Self::Valgrind(tool) => tool.command(program, limit),
        }
    }
}

/// What programs are compiled with, and where to.
pub struct Kit<'a> {
    /// The compiler.
    pub toolchain: &'a Toolchain,
    /// Its instrumented standard library.
    pub sysroot: &'a Path,
    /// Where the results go.
    pub directory: &'a Path,
}

/// A compiled program.
pub struct Built {
    /// One binary for each variant, in their order.
    pub binaries: Vec<(Variant, PathBuf)>,
    /// CPU time of compiling and linking without instrumentation.
    pub plain: Duration,
    /// The same with it, linked with our runtime.
    pub instrumented: Duration,
}

impl Kit<'_> {
    /// Compiles a program once for each kind of objects and links the variants.
    pub fn compile(
        &self,
        (name, _): Program,
        variants: &[Variant],
    ) -> Result<Built, Box<dyn Error>> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("src/bin/bench/programs")
            .join(name)
            .with_extension("rs");
        let main = self.directory.join("main.rs");
        fs::write(&main, MAIN)?;

        let plain_library = self.directory.join(format!("lib{name}_plain.rlib"));
        let instrumented_library = self.directory.join(format!("lib{name}_instrumented.rlib"));
        let mut plain = self.library(&[], &source, &plain_library)?;
        let flags = self.instrumentation();
        let mut instrumented = self.library(&flags, &source, &instrumented_library)?;

        let mut binaries = Vec::new();
        for (index, variant) in variants.iter().enumerate() {
            let binary = self.directory.join(format!("{name}-{index}"));
            match variant {
                Variant::Plain => plain += self.link(&[], &plain_library, &main, &binary)?,
                Variant::Valgrind(_) => {
                    self.link(&[], &plain_library, &main, &binary)?;
                }
                Variant::Ours(object) => {
                    let mut flags = flags.clone();
                    flags.push(format!("-Clink-arg={}", object.display()));
                    flags.extend(LINK_ARGS.iter().copied().map(str::to_owned));
                    let time = self.link(&flags, &instrumented_library, &main, &binary)?;
                    if index == 1 {
                        instrumented += time;
                    }
                }
                Variant::LeaksAlone(object) => {
                    // By frame pointers it finds its stacks.
                    let mut flags = vec!["-Cforce-frame-pointers=yes".to_owned()];
                    let library = self.directory.join(format!("lib{name}_frames.rlib"));
                    self.library(&flags, &source, &library)?;
                    flags.push(format!("-Clink-arg={}", object.display()));
                    flags.extend(LINK_ARGS.iter().copied().map(str::to_owned));
                    self.link(&flags, &library, &main, &binary)?;
                }
                Variant::Floor(object) => {
                    let mut flags = flags.clone();
                    flags.push(format!("-Clink-arg={}", object.display()));
                    self.link(&flags, &instrumented_library, &main, &binary)?;
                }
                Variant::Llvm => {
                    self.link(&self.llvm_flags()?, &instrumented_library, &main, &binary)?;
                }
            }
            binaries.push((variant.clone(), binary));
        }
        Ok(Built {
            binaries,
            plain,
            instrumented,
        })
    }

    fn instrumentation(&self) -> Vec<String> {
        let mut flags = vec![format!("--sysroot={}", self.sysroot.display())];
        flags.extend(PASS_FLAGS.iter().copied().map(str::to_owned));
        flags
    }

    /// Instrumented, and linked with LLVM's runtime.
    pub fn llvm_flags(&self) -> Result<Vec<String>, String> {
        let mut flags = self.instrumentation();
        // It has no hook for volatile accesses of 16 bytes, and takes all volatile
        // ones for plain by default.
        flags.retain(|flag| !flag.contains("tsan-distinguish-volatile"));
        flags.extend([
            "-Clink-arg=-Wl,--whole-archive".to_owned(),
            format!("-Clink-arg={}", self.llvm_runtime()?.display()),
            "-Clink-arg=-Wl,--no-whole-archive".to_owned(),
        ]);
        Ok(flags)
    }

    fn llvm_runtime(&self) -> Result<PathBuf, String> {
        let path = self
            .toolchain
            .host_dir()
            .join("lib/librustc-stable_rt.tsan.a");
        if path.is_file() {
            Ok(path)
        } else {
            Err(format!(
                "no LLVM runtime `{}` in this toolchain; use --no-llvm",
                path.display()
            ))
        }
    }

    fn library(
        &self,
        flags: &[String],
        source: &Path,
        output: &Path,
    ) -> Result<Duration, Box<dyn Error>> {
        let mut command = self.rustc(flags);
        command
            .args(["--crate-name=program", "--crate-type=rlib"])
            .arg(source)
            .arg("-o")
            .arg(output);
        timed(command)
    }

    fn link(
        &self,
        flags: &[String],
        library: &Path,
        main: &Path,
        output: &Path,
    ) -> Result<Duration, Box<dyn Error>> {
        let mut command = self.rustc(flags);
        command
            .arg(format!("--extern=program={}", library.display()))
            .arg(main)
            .arg("-o")
            .arg(output);
        timed(command)
    }

    /// The release profile, with what a report needs.
    fn rustc(&self, flags: &[String]) -> Command {
        let mut command = Command::new(&self.toolchain.rustc);
        command
            .args(["--edition=2024", "--cap-lints=allow"])
            .args(["-Copt-level=3", "-Cdebuginfo=line-tables-only"])
            .args(flags);
        command
    }
}

/// Runs a command and returns the CPU time it and its children took.
fn timed(mut command: Command) -> Result<Duration, Box<dyn Error>> {
    let used = command.spawn()?.wait4()?;
    if !used.status.success() {
        return Err(format!("{command:?} failed: {}", used.status).into());
    }
    Ok(used.rusage.utime + used.rusage.stime)
}
