//! Makes one instrumented sysroot from one toolchain.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Instant, UNIX_EPOCH};

use super::bitcode::Rlib;
use super::cache::LockedSlot;
use super::toolchain::SUPPORTED_HOST;
use super::{SysrootError, Toolchain, dylib};

/// Part of the cache key: raise it when the layout or the way of building
/// changes.
const FORMAT: u32 = 2;

/// The linker's arguments that stand for [`super::PASS_FLAGS`]: it reads
/// bitcode, runs these passes instead of its own, and writes an object.
const LINKER_PASSES: &[&str] = &[
    "--lto-newpm-passes=forceattrs,tsan-module,function(dce,tsan)",
    "--lto-CGO3",
    "--threads=1",
    "-mllvm",
    "-force-attribute=sanitize_thread",
    "-mllvm",
    "-tsan-distinguish-volatile",
];

/// Crates that stay as shipped, each with its reason.
const LEFT_PLAIN: &[(&str, &str)] = &[
    (
        "compiler_builtins",
        "it is what instrumented code is lowered to, so its hooks would recurse",
    ),
    (
        "profiler_builtins",
        "it is C code without bitcode, and only -Cinstrument-coverage links it",
    ),
    (
        "proc_macro",
        "it works inside the compiler only, never in a tested process",
    ),
    (
        "addr2line",
        "backtraces run under one lock on private memory, and a panic must not get ten times slower",
    ),
    ("adler2", "as addr2line"),
    ("gimli", "as addr2line"),
    ("memchr", "as addr2line, which alone uses this copy"),
    ("miniz_oxide", "as addr2line"),
    ("object", "as addr2line"),
    ("rustc_demangle", "as addr2line"),
];

/// Modules, as mangled names have them, whose functions get no hooks at all,
/// each with its reason.
const UNSEEN_MODULES: &[(&str, &str)] = &[(
    "14stack_overflow",
    "each thread takes its locks when it starts and ends, which would order threads that have \
     nothing to do with each other",
)];

/// Whether the function of this mangled name gets no hooks.
fn is_unseen(function: &str) -> bool {
    UNSEEN_MODULES
        .iter()
        .any(|(module, _)| function.contains(module))
}

/// Why the crate of this name stays as shipped, if it does.
pub(super) fn left_plain(crate_name: &str) -> Option<&'static str> {
    LEFT_PLAIN
        .iter()
        .find(|(name, _)| *name == crate_name)
        .map(|(_, reason)| *reason)
}

/// A file of the shipped standard library.
struct Shipped {
    name: String,
    path: PathBuf,
    size: u64,
    /// Nanoseconds since the epoch; 0 if the file system keeps no times.
    modified: u128,
}

impl Shipped {
    fn survey(name: String, path: PathBuf) -> Result<Self, SysrootError> {
        let metadata = fs::metadata(&path).map_err(SysrootError::io("read", &path))?;
        let modified = metadata
            .modified()
            .ok()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
            .map_or(0, |age| age.as_nanos());
        Ok(Self {
            name,
            path,
            size: metadata.len(),
            modified,
        })
    }

    /// Whether this is an rlib to instrument.
    fn is_instrumented(&self) -> bool {
        self.name.ends_with(".rlib") && left_plain(self.crate_name()).is_none()
    }

    /// Whether this is the shared library of std.
    fn is_shared_std(&self) -> bool {
        self.name.ends_with(".so") && self.crate_name() == "std"
    }

    /// `std` of `libstd-d1237ef7159db0a2.rlib`.
    fn crate_name(&self) -> &str {
        let name = self.name.strip_prefix("lib").unwrap_or(&self.name);
        name.split(['-', '.']).next().unwrap_or(name)
    }
}

/// All that goes into a sysroot.
pub(super) struct Inputs {
    toolchain: Toolchain,
    linker: Shipped,
    objcopy: Shipped,
    library: Vec<Shipped>,
}

impl Inputs {
    /// Looks at the toolchain's files without reading them.
    pub(super) fn survey(toolchain: &Toolchain) -> Result<Self, SysrootError> {
        if toolchain.host != SUPPORTED_HOST {
            return Err(SysrootError::UnsupportedHost {
                host: toolchain.host.clone(),
            });
        }
        let tool = |name: &'static str| {
            let path = toolchain.host_dir().join("bin").join(name);
            if path.is_file() {
                Shipped::survey(name.to_owned(), path)
            } else {
                Err(SysrootError::NoTool {
                    tool: name,
                    sysroot: toolchain.sysroot.clone(),
                    expected: path,
                })
            }
        };
        let linker = tool("rust-lld")?;
        let objcopy = tool("rust-objcopy")?;
        let directory = toolchain.host_dir().join("lib");
        let no_std = || SysrootError::NoStd {
            host: toolchain.host.clone(),
            directory: directory.clone(),
        };
        let mut library = Vec::new();
        for entry in fs::read_dir(&directory).map_err(|_| no_std())? {
            let entry = entry.map_err(SysrootError::io("list", &directory))?;
            let path = entry.path();
            if path.is_file() {
                let name = entry.file_name().to_string_lossy().into_owned();
                library.push(Shipped::survey(name, path)?);
            }
        }
        if !library.iter().any(Shipped::is_instrumented) {
            return Err(no_std());
        }
        library.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(Self {
            toolchain: toolchain.clone(),
            linker,
            objcopy,
            library,
        })
    }

    /// A text that differs whenever the sysroot would.
    pub(super) fn key(&self) -> String {
        let mut key = format!(
            "format {FORMAT}\n{}sysroot {}\npasses {}\n",
            self.toolchain.verbose,
            self.toolchain.sysroot.display(),
            LINKER_PASSES.join(" "),
        );
        for (name, _) in LEFT_PLAIN {
            key += &format!("plain {name}\n");
        }
        for (module, _) in UNSEEN_MODULES {
            key += &format!("unseen {module}\n");
        }
        for file in self.library.iter().chain([&self.linker, &self.objcopy]) {
            writeln!(key, "{} {} {}", file.name, file.size, file.modified)
                .expect("writing to a string cannot fail");
        }
        key
    }
}

/// Builds the sysroot of `inputs` in its slot.
pub(super) fn build(
    inputs: &Inputs,
    slot: &LockedSlot,
    progress: &mut dyn FnMut(&str),
) -> Result<(), SysrootError> {
    let begun = Instant::now();
    let release = &inputs.toolchain.release;
    progress(&format!(
        "instrumenting the standard library of rustc {release} (once per toolchain)"
    ));
    let scratch = slot.scratch()?;
    let root = scratch.path();
    let host_dir = root.join("lib/rustlib").join(&inputs.toolchain.host);
    let library = host_dir.join("lib");
    fs::create_dir_all(&library).map_err(SysrootError::io("create", &library))?;

    let (instrumented, shipped): (Vec<&Shipped>, Vec<&Shipped>) = inputs
        .library
        .iter()
        .partition(|file| file.is_instrumented());
    let (shared, plain): (Vec<&Shipped>, Vec<&Shipped>) =
        shipped.into_iter().partition(|file| file.is_shared_std());
    for file in plain {
        link_or_copy(&file.path, &library.join(&file.name))?;
    }
    // The linker that rustc looks up in the sysroot, and the sources that its
    // diagnostics quote.
    symlink(
        &inputs.toolchain.host_dir().join("bin"),
        &host_dir.join("bin"),
    )?;
    let sources = inputs.toolchain.sysroot.join("lib/rustlib/src");
    if sources.is_dir() {
        symlink(&sources, &root.join("lib/rustlib/src"))?;
    }

    let work = root.join("work");
    fs::create_dir(&work).map_err(SysrootError::io("create", &work))?;
    instrument_all(inputs, instrumented, &work, &library)?;
    for file in shared {
        let kit = dylib::Kit {
            rustc: &inputs.toolchain.rustc,
            sysroot: root,
            objcopy: &inputs.objcopy.path,
            libraries: inputs.toolchain.library_dir(),
            work: &work,
        };
        kit.build(&file.path, &library.join(&file.name))?;
    }
    fs::remove_dir_all(&work).map_err(SysrootError::io("delete", &work))?;

    let key = root.join("key");
    fs::write(&key, inputs.key()).map_err(SysrootError::io("write", &key))?;
    slot.publish(scratch)?;
    progress(&format!(
        "instrumented the standard library of rustc {release} in {:.1} s",
        begun.elapsed().as_secs_f64()
    ));
    Ok(())
}

/// Instruments the rlibs on all cores, the largest first.
fn instrument_all(
    inputs: &Inputs,
    mut rlibs: Vec<&Shipped>,
    work: &Path,
    library: &Path,
) -> Result<(), SysrootError> {
    rlibs.sort_by_key(|file| std::cmp::Reverse(file.size));
    let queue = Mutex::new(VecDeque::from(rlibs));
    // Poisoned only by a panic between lock and unlock, and `pop_front` and
    // `clear` leave the queue whole.
    let next = || {
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.pop_front()
    };
    let give_up = || {
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.clear();
    };
    let worker = || -> Result<(), SysrootError> {
        while let Some(file) = next() {
            instrument_one(inputs, file, work, library).inspect_err(|_| give_up())?;
        }
        Ok(())
    };
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        let running: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        running
            .into_iter()
            .try_for_each(|handle| match handle.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            })
    })
}

/// Instruments one rlib.
fn instrument_one(
    inputs: &Inputs,
    file: &Shipped,
    work: &Path,
    library: &Path,
) -> Result<(), SysrootError> {
    let mut rlib = Rlib::read(&file.path)?;
    let bitcode_path = work.join(format!("{}.bc", file.name));
    let object_path = work.join(format!("{}.o", file.name));
    rlib.instrument(|bitcode, functions| {
        fs::write(&bitcode_path, bitcode).map_err(SysrootError::io("write", &bitcode_path))?;
        let unseen = functions.iter().filter(|name| is_unseen(name));
        let attributes: Vec<String> = unseen
            .map(|name| format!("-force-attribute={name}:disable_sanitizer_instrumentation"))
            .collect();
        run_linker(inputs, file, &attributes, &bitcode_path, &object_path)?;
        fs::read(&object_path).map_err(SysrootError::io("read", &object_path))
    })?;
    rlib.write(&library.join(&file.name))
}

/// Turns bitcode into an instrumented object.
fn run_linker(
    inputs: &Inputs,
    file: &Shipped,
    attributes: &[String],
    bitcode: &Path,
    object: &Path,
) -> Result<(), SysrootError> {
    let linker = &inputs.linker.path;
    let output = Command::new(linker)
        .args(["-flavor", "gnu", "-r"])
        .args(LINKER_PASSES)
        .args(attributes.iter().flat_map(|text| ["-mllvm", text.as_str()]))
        .arg("-o")
        .args([object, bitcode])
        .env("LD_LIBRARY_PATH", inputs.toolchain.library_dir())
        .stdin(Stdio::null())
        .output()
        .map_err(SysrootError::io("run", linker))?;
    if output.status.success() {
        return Ok(());
    }
    Err(SysrootError::tool_failed(linker, &file.path, &output))
}

/// Makes `to` the same file as `from`, or a copy on another file system.
fn link_or_copy(from: &Path, to: &Path) -> Result<(), SysrootError> {
    fs::hard_link(from, to)
        .or_else(|_| fs::copy(from, to).map(drop))
        .map_err(SysrootError::io("copy the standard library to", to))
}

#[cfg(unix)]
fn symlink(from: &Path, to: &Path) -> Result<(), SysrootError> {
    std::os::unix::fs::symlink(from, to).map_err(SysrootError::io("create the link", to))
}

#[cfg(test)]
mod tests;
