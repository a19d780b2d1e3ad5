//! What the sysroot is made of, and that it works.

use std::collections::BTreeSet;

use object::{Object as _, ObjectSymbol as _};

use super::super::{Cache, PASS_FLAGS, ensure, link_args};
use super::*;

fn toolchain() -> Toolchain {
    let rustc = std::env::var_os("RUSTC").map_or_else(|| PathBuf::from("rustc"), PathBuf::from);
    Toolchain::detect(&rustc).unwrap()
}

fn ignore(_: &str) {}

/// A directory that looks like a toolchain, with the given files in it.
fn imitation(files: &[&str]) -> (tempfile::TempDir, Toolchain) {
    let directory = tempfile::TempDir::new().unwrap();
    let toolchain = Toolchain {
        rustc: PathBuf::from("rustc"),
        sysroot: directory.path().to_owned(),
        host: SUPPORTED_HOST.to_owned(),
        release: "1.95.0".to_owned(),
        commit_hash: None,
        llvm_version: "22.1.2".to_owned(),
        verbose: "rustc 1.95.0\n".to_owned(),
    };
    for file in files {
        let path = toolchain.host_dir().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    (directory, toolchain)
}

fn refused(toolchain: &Toolchain) -> SysrootError {
    let directory = tempfile::TempDir::new().unwrap();
    let cache = Cache::at(directory.path().join("cache"));
    let error = ensure(toolchain, &cache, &mut ignore).unwrap_err();
    let left = walk(cache.root());
    assert!(
        left.iter().all(|path| path.ends_with(".lock")),
        "left behind: {left:?}"
    );
    error
}

/// All files below `directory`.
fn walk(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    entries
        .map(|entry| entry.unwrap().path())
        .flat_map(|path| {
            if path.is_dir() {
                walk(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[test]
fn crate_names_are_read_off_file_names() {
    let name = |file: &str| {
        let shipped = Shipped {
            name: file.to_owned(),
            path: PathBuf::new(),
            size: 0,
            modified: 0,
        };
        (shipped.crate_name().to_owned(), shipped.is_instrumented())
    };
    assert_eq!(
        name("libstd-d1237ef7159db0a2.rlib"),
        ("std".to_owned(), true)
    );
    assert_eq!(
        name("libcompiler_builtins-27cfc16bdf3bb694.rlib"),
        ("compiler_builtins".to_owned(), false)
    );
    assert_eq!(
        name("libstd-d1237ef7159db0a2.rmeta"),
        ("std".to_owned(), false)
    );
    assert_eq!(
        name("libstd-d1237ef7159db0a2.so"),
        ("std".to_owned(), false)
    );
}

#[test]
fn every_plain_crate_has_a_reason() {
    for (name, reason) in LEFT_PLAIN {
        assert!(!reason.is_empty(), "{name}");
        assert_eq!(left_plain(name), Some(*reason));
    }
    for name in ["std", "core", "alloc", "hashbrown", "test", "panic_unwind"] {
        assert_eq!(left_plain(name), None, "{name}");
    }
}

#[test]
fn another_host_is_refused() {
    let (_keep, mut toolchain) =
        imitation(&["bin/rust-lld", "bin/rust-objcopy", "lib/libstd-1.rlib"]);
    toolchain.host = "aarch64-apple-darwin".to_owned();
    let error = refused(&toolchain).to_string();
    assert!(
        error.starts_with("unsupported host `aarch64-apple-darwin`"),
        "{error}"
    );
}

#[test]
fn a_toolchain_without_linker_is_refused() {
    let (_keep, toolchain) = imitation(&["lib/libstd-1.rlib"]);
    let error = refused(&toolchain);
    assert!(matches!(error, SysrootError::NoTool { .. }), "{error}");
}

#[test]
fn a_toolchain_without_std_is_refused() {
    let (_keep, toolchain) = imitation(&[
        "bin/rust-lld",
        "bin/rust-objcopy",
        "lib/libcompiler_builtins-1.rlib",
    ]);
    let error = refused(&toolchain);
    assert!(matches!(error, SysrootError::NoStd { .. }), "{error}");
}

#[test]
fn a_damaged_rlib_is_refused_and_leaves_nothing() {
    let (_keep, toolchain) = imitation(&["bin/rust-lld", "bin/rust-objcopy", "lib/libstd-1.rlib"]);
    let error = refused(&toolchain);
    assert!(
        matches!(error, SysrootError::DamagedLibrary { .. }),
        "{error}"
    );
}

#[test]
fn the_key_knows_the_compiler_and_its_files() {
    let (keep, toolchain) = imitation(&["bin/rust-lld", "bin/rust-objcopy", "lib/libstd-1.rlib"]);
    let key = Inputs::survey(&toolchain).unwrap().key();
    assert_eq!(key, Inputs::survey(&toolchain).unwrap().key());

    let newer = Toolchain {
        verbose: "rustc 1.96.0\n".to_owned(),
        ..toolchain.clone()
    };
    assert_ne!(key, Inputs::survey(&newer).unwrap().key());

    let std = keep
        .path()
        .join("lib/rustlib/x86_64-unknown-linux-gnu/lib/libstd-1.rlib");
    fs::write(std, "more").unwrap();
    assert_ne!(key, Inputs::survey(&toolchain).unwrap().key());
}

/// Builds the real sysroot, then compiles, links and runs a program with it.
/// The program defines the few hooks it needs, so that no runtime is linked.
#[test]
fn a_program_built_with_the_sysroot_calls_hooks_from_std() {
    let directory = tempfile::TempDir::new().unwrap();
    let cache = Cache::at(directory.path().join("cache"));
    let toolchain = toolchain();
    let mut lines = Vec::new();
    let sysroot = ensure(&toolchain, &cache, &mut |line| lines.push(line.to_owned())).unwrap();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("instrumenting the standard library"));
    // The second time there is nothing to do, and nothing to say.
    let again = ensure(&toolchain, &cache, &mut |line| panic!("said: {line}")).unwrap();
    assert_eq!(sysroot, again);

    let source = directory.path().join("probe.rs");
    let object = directory.path().join("probe.o");
    fs::write(
        &source,
        "use std::sync::Mutex;\npub fn main() { let m = Mutex::new(vec![1]); std::thread::scope(|s| { s.spawn(|| m.lock().unwrap().push(2)); }); println!(\"{m:?}\"); }\n",
    )
    .unwrap();
    let compile = |extra: &[&str], output: &Path| {
        let output = Command::new(&toolchain.rustc)
            .args(["--edition=2024", "--crate-name=probe", "-O", "--sysroot"])
            .arg(&sysroot)
            .args(PASS_FLAGS)
            .args(extra)
            .arg("-o")
            .args([output, &source])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    compile(&["--emit=obj"], &object);
    assert!(hooks_of(&fs::read(&object).unwrap()).contains("__tsan_func_entry"));
    let std = fs::read_dir(
        sysroot
            .join("lib/rustlib")
            .join(&toolchain.host)
            .join("lib"),
    )
    .unwrap()
    .map(|entry| entry.unwrap().path())
    .find(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("libstd-") && name.ends_with(".rlib")
    })
    .unwrap();
    let mut hooks = BTreeSet::new();
    Rlib::read(&std)
        .unwrap()
        .each_object(|object| hooks.extend(hooks_of(object)));
    for hook in [
        "__tsan_func_entry",
        "__tsan_func_exit",
        "__tsan_read8",
        "__tsan_write8",
        "__tsan_atomic32_compare_exchange_val",
        "__tsan_atomic_thread_fence",
        "__tsan_memcpy",
    ] {
        assert!(hooks.contains(hook), "{hook} not among {hooks:?}");
    }

    // Linked against the runtime that the compiler ships, which knows all
    // hooks, it runs. What that runtime reports is beside the point here.
    let runtime = toolchain
        .host_dir()
        .join("lib/librustc-stable_rt.tsan.a")
        .display()
        .to_string();
    if !Path::new(&runtime).is_file() {
        return;
    }
    let runtime = [
        "-Clink-arg=-Wl,--whole-archive",
        &format!("-Clink-arg={runtime}"),
        "-Clink-arg=-Wl,--no-whole-archive",
    ];
    for linkage in ["-Cprefer-dynamic=no", "-Cprefer-dynamic=yes"] {
        let program = directory.path().join(linkage);
        let found = link_args(&sysroot).map(|arg| arg.into_string().unwrap());
        let mut arguments = vec![linkage];
        arguments.extend(runtime);
        arguments.extend(found.iter().map(String::as_str));
        compile(&arguments, &program);
        let run = Command::new("setarch")
            .arg("-R")
            .arg(&program)
            .env("TSAN_OPTIONS", "report_bugs=0")
            // Where cargo would point it, and where std has no hooks.
            .env("LD_LIBRARY_PATH", toolchain.host_dir().join("lib"))
            .env("LD_DEBUG", "files")
            .output()
            .unwrap();
        assert!(run.status.success(), "{run:?}");
        assert_eq!(
            String::from_utf8_lossy(&run.stdout).trim(),
            "Mutex { data: [1, 2], poisoned: false, .. }"
        );
        let loaded = String::from_utf8_lossy(&run.stderr);
        let initialised = |directory: &Path| {
            let library = format!("calling init: {}/libstd-", directory.display());
            loaded.contains(&library)
        };
        assert!(!initialised(&toolchain.host_dir().join("lib")));
        assert_eq!(
            initialised(
                &sysroot
                    .join("lib/rustlib")
                    .join(&toolchain.host)
                    .join("lib")
            ),
            linkage.ends_with("yes")
        );
    }
}

/// The names of the hooks that an object calls.
fn hooks_of(object: &[u8]) -> BTreeSet<String> {
    object::File::parse(object)
        .unwrap()
        .symbols()
        .filter(object::ObjectSymbol::is_undefined)
        .map(|symbol| symbol.name().unwrap().to_owned())
        .filter(|name| name.starts_with("__tsan_"))
        .collect()
}
