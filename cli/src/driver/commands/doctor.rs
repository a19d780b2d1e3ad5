//! `leakcheck doctor`: what is supported here, and if not, why.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anstyle::Style;
use cargo_metadata::{Metadata, MetadataCommand};

use crate::args::{Annotations, DetectionOptions, DoctorArgs, GateOptions};
use crate::driver::env::Environment;
use crate::driver::status;
use crate::error::Error;
use crate::gate::Gate;
use crate::gate::load::Options;
use crate::outcome::Outcome;
use crate::overlay::executors::overlay_of;
use crate::overlay::patch::patch;
use crate::plan::{Project, SUPPORTED_HOST};
use crate::sysroot::{self, Cache, Toolchain};

/// How well something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Good,
    /// Something will not be seen, or has to be done by hand.
    Poor,
    /// Nothing works without it.
    Bad,
}

impl Health {
    const fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Poor => "note",
            Self::Bad => "missing",
        }
    }

    const fn style(self) -> Style {
        match self {
            Self::Good => status::good(),
            Self::Poor => status::warning(),
            Self::Bad => status::bad(),
        }
    }
}

/// What was looked at.
struct Check {
    health: Health,
    text: String,
    help: Option<String>,
}

impl Check {
    fn new(health: Health, text: impl Into<String>) -> Self {
        Self {
            health,
            text: text.into(),
            help: None,
        }
    }

    fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }
}

pub(super) fn doctor(args: &DoctorArgs) -> Result<Outcome, Error> {
    super::set_color(args.build.color);
    let user = Environment::of_user()?;
    let mut checks = vec![Check::new(
        Health::Good,
        format!("leakcheck {}", env!("CARGO_PKG_VERSION")),
    )];
    checks.extend(machine());
    checks.extend(toolchain());
    match Project::metadata(&args.build, &user) {
        Ok(metadata) => checks.extend(project(&metadata, &user)),
        Err(error) => checks
            .push(Check::new(Health::Poor, "there is no project here").help(first_line(&error))),
    }
    for check in &checks {
        let label = status::label(check.health.word(), check.health.style());
        let mut text = format!("{label} {}\n", check.text);
        if let Some(help) = &check.help {
            text.push_str(&status::remark(help));
            text.push('\n');
        }
        write!(anstream::stdout(), "{text}").map_err(Error::Output)?;
    }
    Ok(if checks.iter().any(|check| check.health == Health::Bad) {
        Outcome::Internal
    } else {
        Outcome::Clean
    })
}

fn first_line(error: &dyn std::fmt::Display) -> String {
    let text = error.to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default().to_owned();
    lines
        .find(|line| line.starts_with("error"))
        .map_or(first, str::to_owned)
}

/// What a program says of its version, in one line.
fn version(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let first = text.lines().next()?.trim().to_owned();
    (output.status.success() && !first.is_empty()).then_some(first)
}

fn machine() -> Vec<Check> {
    let mut checks = Vec::new();
    let bits = std::fs::read_to_string("/proc/sys/vm/mmap_rnd_bits");
    checks.push(match bits {
        Ok(bits) => Check::new(
            Health::Good,
            format!("/proc, with {} bits of address randomisation", bits.trim()),
        ),
        Err(error) => Check::new(Health::Poor, format!("/proc cannot be read: {error}"))
            .help("the runtime reads where memory is mapped from /proc/self/maps"),
    });
    checks.push(match version("cc", &["--version"]) {
        Some(said) => Check::new(Health::Good, format!("linker: {said}")),
        None => Check::new(Health::Bad, "there is no `cc` to link programs with")
            .help("install gcc or clang"),
    });
    checks.push(match version("cargo", &["nextest", "--version"]) {
        Some(said) => Check::new(Health::Good, format!("`leakcheck nextest`: {said}")),
        None => Check::new(Health::Poor, "cargo-nextest is not installed")
            .help("only `leakcheck nextest` needs it: cargo install --locked cargo-nextest"),
    });
    checks
}

fn toolchain() -> Vec<Check> {
    let mut checks = Vec::new();
    let rustc = std::env::var_os("RUSTC").map_or_else(|| PathBuf::from("rustc"), PathBuf::from);
    let toolchain = match Toolchain::detect(&rustc) {
        Ok(toolchain) => toolchain,
        Err(error) => {
            checks.push(
                Check::new(Health::Bad, first_line(&error))
                    .help("install Rust from https://rustup.rs"),
            );
            return checks;
        }
    };
    let text = format!(
        "rustc {} with LLVM {} for {}",
        toolchain.release, toolchain.llvm_version, toolchain.host
    );
    checks.push(if toolchain.host == SUPPORTED_HOST {
        Check::new(Health::Good, text)
    } else {
        Check::new(Health::Bad, text).help(format!("only {SUPPORTED_HOST} is supported"))
    });
    let source = toolchain.sysroot.join("lib/rustlib/src/rust");
    checks.push(if source.is_dir() {
        Check::new(Health::Good, "source of the standard library, for reports")
    } else {
        Check::new(
            Health::Poor,
            "reports show no source of the standard library",
        )
        .help("rustup component add rust-src")
    });
    checks.push(match Cache::locate() {
        Ok(cache) => instrumented(&toolchain, &cache),
        Err(error) => Check::new(Health::Bad, first_line(&error)),
    });
    checks
}

/// Prepares the standard library, or finds out why that cannot be.
fn instrumented(toolchain: &Toolchain, cache: &Cache) -> Check {
    let runtime = crate::runtime::ensure(cache);
    match sysroot::ensure(toolchain, cache, &mut |_| ()).and(runtime) {
        Ok(_) => Check::new(
            Health::Good,
            format!("instrumented std and runtime in {}", cache.root().display()),
        ),
        Err(error) => Check::new(Health::Bad, "the standard library cannot be instrumented")
            .help(first_line(&error)),
    }
}

fn project(metadata_json: &str, user: &Environment) -> Vec<Check> {
    let metadata = match MetadataCommand::parse(metadata_json) {
        Ok(metadata) => metadata,
        Err(error) => return vec![Check::new(Health::Bad, first_line(&error))],
    };
    let mut checks = vec![Check::new(
        Health::Good,
        format!(
            "project {} with {}",
            metadata.workspace_root,
            status::plural(metadata.workspace_members.len() as u64, "package")
        ),
    )];
    checks.push(configuration(metadata_json, user));
    checks.extend(executors(&metadata));
    checks
}

fn configuration(metadata_json: &str, user: &Environment) -> Check {
    let gate = GateOptions {
        annotations: Annotations::None,
        ..GateOptions::default()
    };
    let detection = DetectionOptions {
        no_task_races: false,
        task_races: false,
        backtrace: crate::args::Backtrace::Short,
        grace: None,
        message_format: crate::args::MessageFormat::Human,
    };
    let options = Options {
        gate: &gate,
        detection: &detection,
        runner: None,
        filter: None,
    };
    match Gate::load(&options, user, metadata_json) {
        Ok(gate) => Check::new(Health::Good, gate.describe()),
        Err(error) => {
            Check::new(Health::Bad, "the configuration is broken").help(error.to_string())
        }
    }
}

/// Whether the tasks of each executor can be followed.
fn executors(metadata: &Metadata) -> Vec<Check> {
    let mut checks = Vec::new();
    for package in &metadata.packages {
        let Some(overlay) = overlay_of(&package.name) else {
            continue;
        };
        let name = format!("{} {}", package.name, package.version);
        let sources = package.manifest_path.parent().map(|dir| dir.join("src"));
        let read = |file: &str| {
            let path = sources.as_ref()?.join(file);
            std::fs::read_to_string(Path::new(path.as_str())).ok()
        };
        checks.push(match patch(overlay.edits, &read) {
            Ok(patched) if patched.unseen.is_empty() => {
                Check::new(Health::Good, format!("the tasks of {name} are followed"))
            }
            Ok(patched) => Check::new(
                Health::Poor,
                format!(
                    "the tasks of {name} are followed, but for {}",
                    patched.unseen.join(", ")
                ),
            ),
            Err(unfit) => Check::new(Health::Poor, format!("the tasks of {name} are not seen"))
                .help(format!("its source has not exactly one `{}`", unfit.anchor)),
        });
    }
    checks
}
