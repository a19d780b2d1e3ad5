//! The attribute from outside: what it refuses, and that whatever compiles
//! without it compiles with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

mod generated;

/// Plain cargo, as in a shell.
fn cargo(manifest: &Path) -> Output {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_") && text != "CARGO_HOME" {
            cargo.env_remove(&name);
        }
    }
    cargo
        .args(["check", "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("target"))
        .stdin(Stdio::null())
        .output()
        .expect("cargo runs")
}

#[test]
fn what_is_refused_is_refused_at_the_right_place() {
    trybuild::TestCases::new().compile_fail("tests/attribute/ui/*.rs");
}

/// A crate of its own with this library, in the directory of temporary files.
fn project(name: &str, edition: &str, library: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(directory.join("src")).expect("a directory can be made");
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"{edition}\"\n\n\
         [dependencies]\nleakcheck = {{ path = {:?} }}\n\n[workspace]\n\n\
         [lints.rust]\nunused = {{ level = \"allow\", priority = -1 }}\n\
         static_mut_refs = \"allow\"\ndangerous_implicit_autorefs = \"allow\"\n",
        env!("CARGO_MANIFEST_DIR")
    );
    fs::write(directory.join("Cargo.toml"), manifest).expect("a file can be written");
    fs::write(directory.join("src/lib.rs"), library).expect("a file can be written");
    directory.join("Cargo.toml")
}

/// Whatever compiles without the attribute compiles with it, and no lint has
/// anything to say.
#[test]
fn generated_code_compiles() {
    let library = generated::library(150);
    for (name, attribute) in [("plain", ""), ("tracked", "#[leakcheck::track]")] {
        let source = library.replace("#[ATTRIBUTE]", attribute);
        let output = cargo(&project(name, "2024", &source));
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {text}");
        assert!(!text.contains("warning: "), "{name}: {text}");
    }
}

/// There, `::core` is a name at the root of the crate, and most crates have
/// none.
#[test]
fn the_edition_2015_needs_the_library_alone() {
    let source = r#"
#![deny(warnings)]
extern crate leakcheck;

use std::sync::Mutex;
use std::thread;

#[leakcheck::track(name = "hits")]
pub static mut HITS: u32 = 0;

#[leakcheck::track(name = "worker")]
pub fn work(lock: &'static Mutex<u32>, text: String) -> u32 {
    let handle = thread::spawn(move || *lock.lock().unwrap() += 1);
    let held = lock.try_lock().map(|guard| *guard);
    let other = lock.lock().unwrap();
    drop(other);
    drop(text);
    let _ = handle.join();
    held.unwrap_or(unsafe { HITS })
}
"#;
    let output = cargo(&project("edition", "2015", source));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
}
