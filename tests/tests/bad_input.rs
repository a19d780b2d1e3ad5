//! What leakcheck cannot work with, through the real command: a clear error
//! that names the object, an exit code of its own, and nothing half-written.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use leakcheck_tests::command::{Call, Ended, Workshop, fixture};
use tempfile::TempDir;

const HOST: &str = "x86_64-unknown-linux-gnu";

fn workshop() -> Workshop {
    static FETCHED: OnceLock<()> = OnceLock::new();
    FETCHED.get_or_init(fetch);
    Workshop::new(
        env!("CARGO_BIN_EXE_leakcheck-under-test"),
        env!("CARGO_TARGET_TMPDIR"),
    )
}

/// Has the sources of the fixtures' dependencies at hand: a limit that a test
/// sets is for leakcheck, not for cargo's downloads.
fn fetch() {
    let fetched = Command::new("cargo")
        .args(["fetch", "--locked", "--manifest-path"])
        .arg(fixture("gate").join("Cargo.toml"))
        .status()
        .expect("cargo runs");
    assert!(
        fetched.success(),
        "failed to fetch the fixtures' dependencies"
    );
}

/// `leakcheck test` on a fixture of one test, by a shell that has run `before`.
fn after(before: &str) -> Call {
    let program = workshop().program().display().to_string();
    let script = format!("{before}; exec '{program}' test --lib");
    workshop().call_program("sh", &fixture("gate"), &["-c", &script])
}

/// Asserts our own failure, and that all of these words were said.
#[track_caller]
fn assert_refused(ended: &Ended, words: &[&str]) {
    ended.assert_code(70);
    for word in words {
        assert!(
            ended.stderr.contains(word),
            "no `{word}` in {}",
            ended.stderr
        );
    }
}

/// All files below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    entries
        .flat_map(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

/// Asserts that the cache holds nothing but locks.
#[track_caller]
fn assert_empty(cache: &Path) {
    let left = files(cache);
    assert!(left.iter().all(|path| path.ends_with(".lock")), "{left:?}");
}

/// Files cannot grow, as on a full disk.
#[test]
fn a_full_disk() {
    let cache = TempDir::new().unwrap();
    let ended = after("trap '' XFSZ; ulimit -f 100")
        .env("LEAKCHECK_CACHE_DIR", cache.path())
        .run();
    let place = cache.path().display().to_string();
    assert_refused(&ended, &["failed to write", &place, "File too large"]);
    assert_empty(cache.path());
}

/// Nothing can be made in `/sys`, whoever asks.
#[test]
fn a_cache_that_cannot_be_written() {
    let ended = after(":")
        .env("LEAKCHECK_CACHE_DIR", "/sys/leakcheck")
        .run();
    assert_refused(&ended, &["/sys/leakcheck", "LEAKCHECK_CACHE_DIR"]);
}

/// There is no room for the shadow of the address space.
#[test]
fn a_limited_address_space() {
    let ended = after("ulimit -v 6000000").run();
    assert_refused(&ended, &["failed to reserve shadow memory", "ulimit -v"]);
}

/// A compiler that answers as the real one, but for its sysroot or its host.
fn compiler(dir: &Path, instead: &str) -> PathBuf {
    let path = dir.join("rustc");
    let real = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let script = format!("#!/bin/sh\ncase \"$*\" in\n{instead}\nesac\nexec '{real}' \"$@\"\n");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn refuse_toolchain(dir: &Path, instead: &str, words: &[&str]) {
    let cache = dir.join("cache");
    let ended = after(":")
        .env("RUSTC", compiler(dir, instead))
        .env("LEAKCHECK_CACHE_DIR", &cache)
        .run();
    assert_refused(&ended, words);
    assert_empty(&cache);
}

#[test]
fn another_platform() {
    let dir = TempDir::new().unwrap();
    let answer = "rustc 1.95.0\nbinary: rustc\ncommit-hash: unknown\ncommit-date: unknown\n\
                  host: aarch64-apple-darwin\nrelease: 1.95.0\nLLVM version: 22.1.2";
    let instead = format!("-vV) echo '{answer}'; exit;;");
    let ended = after(":")
        .env("RUSTC", compiler(dir.path(), &instead))
        .run();
    assert!(
        ended.stderr.contains("aarch64-apple-darwin") && ended.stderr.contains(HOST),
        "{}",
        ended.stderr
    );
    assert_ne!(ended.code, Some(0));
}

#[test]
fn a_toolchain_without_rust_lld() {
    let dir = TempDir::new().unwrap();
    let sysroot = dir.path().join("sysroot");
    fs::create_dir_all(sysroot.join("lib/rustlib").join(HOST).join("lib")).unwrap();
    let instead = format!("--print=sysroot) echo '{}'; exit;;", sysroot.display());
    refuse_toolchain(dir.path(), &instead, &["rust-lld", "rustup"]);
}

#[test]
fn a_toolchain_without_bitcode() {
    let dir = TempDir::new().unwrap();
    let sysroot = dir.path().join("sysroot");
    let ours = sysroot.join("lib/rustlib").join(HOST);
    fs::create_dir_all(ours.join("lib")).unwrap();
    let real = Command::new("rustc")
        .arg("--print=sysroot")
        .output()
        .unwrap();
    let real = PathBuf::from(String::from_utf8(real.stdout).unwrap().trim_end());
    let real = real.join("lib/rustlib").join(HOST);
    std::os::unix::fs::symlink(real.join("bin"), ours.join("bin")).unwrap();
    let source = dir.path().join("std.rs");
    fs::write(&source, "").unwrap();
    let built = Command::new("rustc")
        .args(["--crate-type=rlib", "-Cembed-bitcode=no", "-o"])
        .arg(ours.join("lib/libstd-0123456789abcdef.rlib"))
        .arg(&source)
        .status();
    assert!(built.unwrap().success());
    let instead = format!("--print=sysroot) echo '{}'; exit;;", sysroot.display());
    refuse_toolchain(
        dir.path(),
        &instead,
        &["bitcode", "libstd-0123456789abcdef.rlib"],
    );
}
