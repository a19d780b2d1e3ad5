//! The attribute from outside: what it refuses, and that whatever compiles
//! without it compiles with it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use leakcheck::report::kind::Kind;

mod generated;

/// Plain cargo, as in a shell.
fn cargo(arguments: &[&str]) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_") && text != "CARGO_HOME" {
            cargo.env_remove(&name);
        }
    }
    cargo.args(arguments).stdin(Stdio::null());
    cargo
}

/// What the compiler says of a project.
fn check(manifest: &Path) -> Output {
    compile("check", manifest, &[])
}

fn compile(command: &str, manifest: &Path, options: &[&str]) -> Output {
    cargo(&[command])
        .arg("--manifest-path")
        .arg(manifest)
        .arg("--target-dir")
        .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("target"))
        .args(options)
        .output()
        .expect("cargo runs")
}

#[test]
fn what_is_refused_is_refused_at_the_right_place() {
    trybuild::TestCases::new().compile_fail("tests/attribute/ui/*.rs");
}

/// What lints say that is not about the attribute is left out.
const FEW_LINTS: &str = "[lints.rust]\nunused = { level = \"allow\", priority = -1 }\n\
                         static_mut_refs = \"allow\"\ndangerous_implicit_autorefs = \"allow\"\n";

/// All they have to say, as warnings.
const ALL_LINTS: &str = "[lints.rust]\ndead_code = \"allow\"\nstatic_mut_refs = \"warn\"\n\
                         let_underscore_lock = \"warn\"\n\
                         [lints.clippy]\nall = \"warn\"\npedantic = \"warn\"\n";

/// A crate of its own with this library, in the directory of temporary files.
fn project(name: &str, edition: &str, lints: &str, library: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(directory.join("src")).expect("a directory can be made");
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"{edition}\"\n\n\
         [dependencies]\nleakcheck = {{ path = {:?} }}\n\n[workspace]\n\n{lints}",
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
        let output = check(&project(name, "2024", FEW_LINTS, &source));
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
    let output = check(&project("edition", "2015", FEW_LINTS, source));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
}

#[test]
fn every_code_can_be_allowed() {
    let codes: Vec<&str> = Kind::ALL.iter().map(|kind| kind.info().code).collect();
    let source = format!(
        "#[leakcheck::track(allow({}, reason = \"all of them\"))]\npub fn quiet() {{}}\n",
        codes.join(", ")
    );
    let output = check(&project("codes", "2024", FEW_LINTS, &source));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
}

/// Lints may say less of what was rewritten, and never more: neither the
/// compiler's nor clippy's, where it is installed.
#[test]
fn no_lint_says_more() {
    let has_clippy = cargo(&["clippy", "--version"]).output();
    let has_clippy = has_clippy.is_ok_and(|output| output.status.success());
    let command = if has_clippy { "clippy" } else { "check" };
    let said = |attribute: &str| -> BTreeSet<String> {
        let source = include_str!("linted.rs").replace("#[ATTRIBUTE]", attribute);
        let manifest = project("linted", "2024", ALL_LINTS, &source);
        let output = compile(command, &manifest, &["--message-format", "short"]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
        let about_it = text.lines().filter(|line| line.starts_with("src"));
        about_it.map(str::to_owned).collect()
    };
    let plain = said("");
    let tracked = said("#[leakcheck::track]");
    let more: Vec<&String> = tracked.difference(&plain).collect();
    assert!(more.is_empty(), "{more:#?}");
    for (lints, least) in [(&plain, 80), (&tracked, 50)] {
        assert!(lints.len() > least, "the lints are on: {lints:#?}");
    }
}
