//! Builds the runtime that the command embeds: one relocatable object that
//! links into any instrumented program, whatever its toolchain.
//!
//! 1. `cargo rustc` builds `../detector` with the feature `abi` as a static
//!    library: our code, its dependencies and an *uninstrumented* std, so that
//!    nothing in the runtime calls back into the runtime.
//! 2. `rust-lld -r` makes one object of what the exported symbols need.
//! 3. `rust-objcopy` renames: the runtime's own references to an interposed
//!    function `NAME` go to `__lc_real_NAME`, and `__lc_interpose_NAME` gets
//!    the name `NAME`. Debug information goes too: it is not the user's code.
//! 4. `rust-lld -r` again, which joins `__lc_real_NAME` as referenced with
//!    `__lc_real_NAME` as defined.
//! 5. `rust-objcopy` makes every symbol local that `exports.txt` does not
//!    name, so that the runtime's std and the program's cannot meet. The
//!    interposed names become weak: a program that brings its own allocator
//!    still links.
//!
//! The last steps fail with a message if `exports.txt` and the runtime differ.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use object::read::archive::ArchiveFile;
use object::{Object as _, ObjectSymbol as _};
use sha2::{Digest as _, Sha256};

/// The one target that the runtime is written for.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Variables of the outer build that must not reach the inner one.
const LEAKING_PREFIXES: &[&str] = &[
    "CARGO_BIN_",
    "CARGO_BUILD_",
    "CARGO_CFG_",
    "CARGO_CRATE_",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_FEATURE_",
    "CARGO_INCREMENTAL",
    "CARGO_MANIFEST_",
    "CARGO_PKG_",
    "CARGO_PRIMARY_PACKAGE",
    "CARGO_PROFILE_",
    "CARGO_TARGET_DIR",
    "CARGO_TARGET_TMPDIR",
    "CLIPPY_",
    "LEAKCHECK_",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTDOCFLAGS",
    "RUSTFLAGS",
];

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            for line in message.lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Builds the object and tells the crate its name.
fn build() -> Result<(), String> {
    let out = PathBuf::from(variable("OUT_DIR")?);
    let detector = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("../detector");
    for input in [
        "src",
        "Cargo.toml",
        "exports.txt",
        "../Cargo.toml",
        "../Cargo.lock",
    ] {
        println!("cargo::rerun-if-changed={}", detector.join(input).display());
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=LEAKCHECK_RUNTIME_DEBUG");

    let object = out.join("runtime.o");
    if variable("TARGET")? == TARGET && variable("HOST")? == TARGET {
        let exports = Exports::read(&detector.join("exports.txt"))?;
        let archive = compile(&detector, &out)?;
        Tools::find()?.join(&archive, &exports, &out, &object)?;
    } else {
        // The command still builds, and says that the host is unsupported.
        fs::write(&object, "").map_err(failed("write", &object))?;
    }
    let digest = Sha256::digest(read(&object)?);
    let mut hash = String::new();
    for byte in digest.iter().take(8) {
        write!(hash, "{byte:02x}").expect("writing to a string cannot fail");
    }
    println!("cargo::rustc-env=LEAKCHECK_RUNTIME_HASH={hash}");
    Ok(())
}

/// What `exports.txt` says: a symbol or glob that stays global on each line,
/// or `interpose NAME`. `#` begins a comment.
struct Exports {
    globals: Vec<String>,
    interposed: Vec<String>,
}

impl Exports {
    fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(failed("read", path))?;
        let mut exports = Self {
            globals: Vec::new(),
            interposed: Vec::new(),
        };
        for (index, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default();
            let words: Vec<&str> = line.split_whitespace().collect();
            match *words {
                [] => {}
                ["interpose", name] => exports.interposed.push(name.to_owned()),
                [symbol] => exports.globals.push(symbol.to_owned()),
                _ => {
                    let number = index + 1;
                    let path = path.display();
                    return Err(format!(
                        "{path}:{number}: expected `SYMBOL` or `interpose NAME`, found `{line}`"
                    ));
                }
            }
        }
        Ok(exports)
    }

    /// Whether a symbol of the static library is to be seen by programs.
    fn wants(&self, symbol: &str) -> bool {
        if let Some(name) = symbol.strip_prefix("__lc_interpose_") {
            return self.interposed.iter().any(|wanted| wanted == name);
        }
        self.globals
            .iter()
            .any(|wanted| match wanted.strip_suffix('*') {
                Some(prefix) => symbol.starts_with(prefix),
                None => symbol == wanted,
            })
    }
}

/// Builds the static library and returns its path.
fn compile(detector: &Path, out: &Path) -> Result<PathBuf, String> {
    let target_dir = out.join("runtime");
    let mut cargo = Command::new(variable("CARGO")?);
    cargo
        .args(["rustc", "--quiet", "--lib", "--crate-type", "staticlib"])
        .args([
            "--profile",
            "runtime",
            "--no-default-features",
            "--features",
            "abi",
        ])
        .args(["--target", TARGET, "--manifest-path"])
        .arg(detector.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target_dir);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let leaks = LEAKING_PREFIXES
            .iter()
            .any(|prefix| text.starts_with(prefix))
            || (text.starts_with("CARGO_TARGET_") && text.ends_with("_RUSTFLAGS"));
        if leaks {
            cargo.env_remove(name);
        }
    }
    // Also keeps the user's rustflags away, from wherever they come: this
    // variable outranks them. `pie`, not `pic`: thread-locals become one
    // `%fs` operand.
    cargo.env(
        "CARGO_ENCODED_RUSTFLAGS",
        "-Crelocation-model=pie\u{1f}-Cforce-frame-pointers=yes",
    );
    run(cargo)?;
    let directory = target_dir.join(TARGET).join("runtime");
    Ok(directory.join("libleakcheck.a"))
}

/// The tools that come with the toolchain.
struct Tools {
    linker: PathBuf,
    objcopy: PathBuf,
    /// Where both find LLVM.
    libraries: PathBuf,
}

impl Tools {
    fn find() -> Result<Self, String> {
        let rustc = variable("RUSTC")?;
        let output = Command::new(&rustc)
            .arg("--print=sysroot")
            .output()
            .map_err(failed("run", Path::new(&rustc)))?;
        let sysroot = String::from_utf8_lossy(&output.stdout);
        let sysroot = Path::new(sysroot.trim_end());
        let bin = sysroot.join("lib/rustlib").join(TARGET).join("bin");
        let tool = |name: &str| {
            let path = bin.join(name);
            if path.is_file() {
                Ok(path)
            } else {
                Err(format!(
                    "no {name} in the toolchain (looked for `{}`)\nuse a toolchain installed by rustup: distribution packages leave {name} out",
                    path.display()
                ))
            }
        };
        Ok(Self {
            linker: tool("rust-lld")?,
            objcopy: tool("rust-objcopy")?,
            libraries: sysroot.join("lib"),
        })
    }

    fn command(&self, tool: &Path) -> Command {
        let mut command = Command::new(tool);
        command.env("LD_LIBRARY_PATH", &self.libraries);
        command
    }

    fn relocatable(&self) -> Command {
        let mut command = self.command(&self.linker);
        command.args(["-flavor", "gnu", "-r"]);
        command
    }

    /// Makes the object of the static library.
    fn join(
        &self,
        archive: &Path,
        exports: &Exports,
        out: &Path,
        object: &Path,
    ) -> Result<(), String> {
        let joined = out.join("joined.o");
        let mut command = self.relocatable();
        command.arg("--force-group-allocation");
        for symbol in archive_symbols(archive)? {
            if exports.wants(&symbol) {
                command.args(["-u", &symbol]);
            }
        }
        command.arg(archive).arg("-o").arg(&joined);
        run(command)?;

        let mut renames = String::new();
        for name in &exports.interposed {
            writeln!(
                renames,
                "{name} __lc_real_{name}\n__lc_interpose_{name} {name}"
            )
            .expect("writing to a string cannot fail");
        }
        let renames_file = write(out, "renames", &renames)?;
        let renamed = out.join("renamed.o");
        let mut command = self.command(&self.objcopy);
        command
            .arg(option("--redefine-syms=", &renames_file))
            .args(["--remove-section=.llvmbc", "--remove-section=.llvmcmd"]);
        if env::var_os("LEAKCHECK_RUNTIME_DEBUG").is_none() {
            command.arg("--strip-debug");
        }
        command.args([&joined, &renamed]);
        run(command)?;

        let resolved = out.join("resolved.o");
        let mut command = self.relocatable();
        command.arg(&renamed).arg("-o").arg(&resolved);
        run(command)?;
        check(&resolved, exports)?;

        let interposed = exports.interposed.join("\n");
        let globals = format!("{}\n{interposed}\n", exports.globals.join("\n"));
        let keep = write(out, "globals", &globals)?;
        let weaken = write(out, "weak", &interposed)?;
        let mut command = self.command(&self.objcopy);
        command
            .arg("--wildcard")
            .arg(option("--keep-global-symbols=", &keep))
            .arg(option("--weaken-symbols=", &weaken))
            .args([&resolved, object]);
        run(command)
    }
}

/// Compares the object with `exports.txt`.
fn check(object: &Path, exports: &Exports) -> Result<(), String> {
    let data = read(object)?;
    let file =
        object::File::parse(&*data).map_err(|error| format!("{}: {error}", object.display()))?;
    let mut defined = BTreeSet::new();
    let mut undefined = BTreeSet::new();
    for symbol in file.symbols().filter(|symbol| symbol.is_global()) {
        let name = symbol.name().unwrap_or_default();
        if symbol.is_undefined() {
            undefined.insert(name);
        } else {
            defined.insert(name);
        }
    }
    let mut faults = String::new();
    for name in &exports.interposed {
        if !defined.contains(&**name) {
            writeln!(
                faults,
                "exports.txt says `interpose {name}`, but the runtime defines no `__lc_interpose_{name}`"
            )
            .expect("writing to a string cannot fail");
        }
    }
    for name in undefined {
        if name.starts_with("__lc_") {
            writeln!(faults, "the runtime needs `{name}`, but does not define it")
                .expect("writing to a string cannot fail");
        }
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(faults)
    }
}

/// The symbols that the members of a static library define.
fn archive_symbols(path: &Path) -> Result<BTreeSet<String>, String> {
    let data = read(path)?;
    let damaged = |error: object::Error| format!("{}: {error}", path.display());
    let archive = ArchiveFile::parse(&*data).map_err(damaged)?;
    let mut names = BTreeSet::new();
    if let Some(symbols) = archive.symbols().map_err(damaged)? {
        for symbol in symbols {
            let symbol = symbol.map_err(damaged)?;
            names.insert(String::from_utf8_lossy(symbol.name()).into_owned());
        }
    }
    Ok(names)
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("failed to read the variable {name}: {error}"))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(failed("read", path))
}

fn write(directory: &Path, name: &str, content: &str) -> Result<PathBuf, String> {
    let path = directory.join(name);
    fs::write(&path, content).map_err(failed("write", &path))?;
    Ok(path)
}

fn failed(action: &str, path: &Path) -> impl FnOnce(std::io::Error) -> String {
    let object = format!("{action} `{}`", path.display());
    move |error| format!("failed to {object}: {error}")
}

/// `--option=path` as one argument.
fn option(name: &str, path: &Path) -> OsString {
    let mut option = OsString::from(name);
    option.push(path);
    option
}

/// Runs a command; an error shows what it wrote.
fn run(mut command: Command) -> Result<(), String> {
    let program = PathBuf::from(command.get_program());
    let output = command.output().map_err(failed("run", &program))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "{command:?} failed ({}):\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    ))
}
