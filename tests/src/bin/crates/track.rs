//! Applies `#[track]` to every function, `impl` block and inline module of a
//! crate's sources and runs its own tests, by plain cargo: the attribute must
//! not change what a program is.
//!
//! Compared with the untouched crate: what compiled compiles, without a new
//! warning, and what passed passes. A report of the attribute's is told apart
//! from a failure of the test's own.
//!
//! What it misses: doctests, and code that other macros make. Tests that
//! measure time may fail where they are slowed down.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use syn::spanned::Spanned as _;
use syn::{Attribute, Item, ItemMod};

use crate::list::{OUR_OWN, Suite};

/// Tests that the attribute must make fail: crate, test and why.
const KNOWN: [(&str, &str, &str); 1] = [(
    "crossbeam-channel",
    "select2::main",
    "it counts what the whole process allocates, and so the library's tables",
)];

/// How the tests of a crate ended, with and without the attribute.
pub struct Tracked {
    /// Items that have the attribute.
    pub items: usize,
    /// Tests that passed without it.
    pub passed: usize,
    /// What is different with it.
    pub differences: Vec<String>,
}

/// Runs the tests of one crate, untouched and tracked.
pub fn test(
    suite: &Suite,
    source: &Path,
    work: &Path,
    limit: Duration,
) -> Result<Tracked, Box<dyn Error>> {
    let copy = work
        .join("tracked")
        .join(source.file_name().ok_or("a source has no name")?);
    if copy.exists() {
        fs::remove_dir_all(&copy)?;
    }
    let manifest = fs::read_to_string(source.join("Cargo.toml"))?;
    let items = copy_tracked(source, &copy, Directory::Top, is_of_2015(&manifest))?;
    let manifest = copy.join("Cargo.toml");
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../detector");
    // As the README advises where there are many threads.
    let text = fs::read_to_string(&manifest)?
        + &format!(
            "\n[dependencies.leakcheck]\npath = {:?}\n\
             \n[profile.dev.package.leakcheck]\nopt-level = 3\n",
            library.canonicalize()?
        );
    fs::write(&manifest, text)?;
    // It holds versions that the library does not take.
    let lock = copy.join("Cargo.lock");
    if lock.exists() {
        fs::remove_file(lock)?;
    }
    let logs = work.join("reports");
    fs::create_dir_all(&logs)?;
    let log = |kind: &str| logs.join(suite.name).with_extension(kind);
    let before = Run::of(suite, source, work, &log("untracked.out"), limit)?;
    let after = Run::of(suite, &copy, work, &log("tracked.out"), limit)?;
    if !before.compiled {
        return Err(format!("{} does not compile:\n{}", suite.name, before.output).into());
    }
    let mut differences = Vec::new();
    if after.is_cut_off && !before.is_cut_off {
        differences.push(format!("does not end in {} s", limit.as_secs()));
    }
    if !after.compiled {
        differences.push("does not compile any more".to_owned());
    }
    let lost: Vec<&String> = before.passed.difference(&after.passed).collect();
    if after.compiled {
        let is_known = |test: &str| {
            let mut known = KNOWN.iter();
            known.any(|(of, name, _)| *of == suite.name && *name == test)
        };
        let news = lost.into_iter().filter(|test| !is_known(test));
        differences.extend(news.map(|test| format!("fails: {test}")));
    }
    if after.warnings > before.warnings {
        let new = after.warnings - before.warnings;
        differences.push(format!("{new} new warnings"));
    }
    differences.extend(
        after
            .reports
            .iter()
            .map(|report| format!("reports: {report}")),
    );
    Ok(Tracked {
        items,
        passed: before.passed.len(),
        differences,
    })
}

/// One run of cargo.
struct Run {
    compiled: bool,
    /// It was ended from outside.
    is_cut_off: bool,
    passed: BTreeSet<String>,
    warnings: usize,
    reports: Vec<String>,
    output: String,
}

impl Run {
    fn of(
        suite: &Suite,
        source: &Path,
        work: &Path,
        log: &Path,
        limit: Duration,
    ) -> Result<Self, Box<dyn Error>> {
        eprintln!("testing {}", source.display());
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let features: Vec<&str> = suite
            .arguments
            .iter()
            .copied()
            .take_while(|argument| *argument != "--")
            .filter(|argument| !OUR_OWN.contains(argument))
            .collect();
        let options: Vec<&str> = suite
            .arguments
            .iter()
            .copied()
            .skip_while(|argument| *argument != "--")
            .skip(1)
            .collect();
        let messages = log.with_extension("err");
        let mut child = Command::new(cargo)
            .args(["test", "--no-fail-fast", "--manifest-path"])
            .arg(source.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(work.join("target-tracked"))
            .args(features)
            .arg("--")
            .args(options)
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stderr(File::create(&messages)?)
            .stdout(File::create(log)?)
            .process_group(0)
            .spawn()?;
        let begun = Instant::now();
        let is_cut_off = loop {
            if child.try_wait()?.is_some() {
                break false;
            }
            if begun.elapsed() > limit {
                Command::new("kill")
                    .args(["-KILL", "--", &format!("-{}", child.id())])
                    .status()?;
                child.wait()?;
                break true;
            }
            thread::sleep(Duration::from_millis(100));
        };
        let text = String::from_utf8_lossy(&fs::read(messages)?).into_owned()
            + &String::from_utf8_lossy(&fs::read(log)?);
        Ok(Self::read(text, is_cut_off))
    }

    fn read(output: String, is_cut_off: bool) -> Self {
        let mut run = Self {
            is_cut_off,
            compiled: output.contains("\nrunning ") && !output.contains("could not compile"),
            passed: BTreeSet::new(),
            warnings: 0,
            reports: Vec::new(),
            output: String::new(),
        };
        for line in output.lines() {
            if let Some(name) = line
                .strip_prefix("test ")
                .and_then(|line| line.strip_suffix(" ... ok"))
            {
                run.passed.insert(name.to_owned());
            } else if line.starts_with("warning: ") && !line.contains(" generated ") {
                run.warnings += 1;
            } else if line.starts_with("error[LC") {
                run.reports.push(line.to_owned());
            }
        }
        run.output = output;
        run
    }
}

/// Where in a crate a directory is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Directory {
    /// The crate's.
    Top,
    /// `src` or `tests`, with roots of crates in it.
    Roots,
    /// In another.
    Inner,
}

/// In the edition 2015 `::leakcheck` is a name at the root of the crate.
fn is_of_2015(manifest: &str) -> bool {
    let mut lines = manifest.lines();
    lines.all(|line| !line.starts_with("edition = ") || line == "edition = \"2015\"")
}

/// Copies a crate; the number of attributes that its Rust files got.
fn copy_tracked(
    from: &Path,
    to: &Path,
    directory: Directory,
    named_at_root: bool,
) -> Result<usize, Box<dyn Error>> {
    fs::create_dir_all(to)?;
    let mut items = 0;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let name = entry.file_name();
        if entry.file_type()?.is_dir() {
            let inner = match directory {
                Directory::Top if name == "target" || name == "benches" || name == "examples" => {
                    continue;
                }
                Directory::Top if name == "src" || name == "tests" => Directory::Roots,
                Directory::Top | Directory::Roots | Directory::Inner => Directory::Inner,
            };
            items += copy_tracked(&path, &target, inner, named_at_root)?;
        } else if path.extension().is_some_and(|extension| extension == "rs")
            // Beside the manifest: of the build script, which has other dependencies.
            && directory != Directory::Top
        {
            let text = fs::read_to_string(&path)?;
            let is_root = directory == Directory::Roots
                && (name == "lib.rs" || name == "main.rs" || from.ends_with("tests"));
            let (text, count) = track(&text, named_at_root && is_root);
            fs::write(&target, text)?;
            items += count;
        } else {
            fs::copy(&path, &target)?;
        }
    }
    Ok(items)
}

/// A file with the attribute on all its items that can have it, and how many;
/// with the library named at its top, if it is `named`.
fn track(text: &str, named: bool) -> (String, usize) {
    let Ok(file) = syn::parse_file(text) else {
        return (text.to_owned(), 0);
    };
    let mut places = Vec::new();
    places_in(&file.items, &mut places);
    let mut inserts: Vec<((usize, usize), &str)> = places
        .into_iter()
        .map(|place| (place, "#[::leakcheck::track] "))
        .collect();
    let count = inserts.len();
    if named && let Some(first) = file.items.first() {
        inserts.insert(0, (start(first), "extern crate leakcheck; "));
    }
    inserts.sort_by_key(|(place, _)| *place);
    let mut tracked = String::with_capacity(text.len());
    let mut rest = inserts.iter().peekable();
    for (index, line) in text.split_inclusive('\n').enumerate() {
        for (column, character) in line.chars().enumerate() {
            while let Some((_, insert)) = rest.next_if(|(place, _)| *place == (index + 1, column)) {
                tracked.push_str(insert);
            }
            tracked.push(character);
        }
    }
    (tracked, count)
}

/// Line and column at which an item begins, with its attributes.
fn start(item: &Item) -> (usize, usize) {
    let start = item.span().start();
    (start.line, start.column)
}

/// Where the attribute goes in a file, or in what a macro such as `cfg_rt!` makes
/// of items: those, with conditions before them.
fn places_in(items: &[Item], places: &mut Vec<(usize, usize)>) {
    for item in items {
        if let Item::Macro(called) = item {
            let name = called.mac.path.segments.last();
            if name.is_some_and(|name| name.ident.to_string().starts_with("cfg_"))
                && let Ok(inner) = called.mac.parse_body::<syn::File>()
            {
                places_in(&inner.items, places);
            }
        }
        places.extend(place(item));
    }
}

/// Line and column of an item that the attribute may sit on.
fn place(item: &Item) -> Option<(usize, usize)> {
    let attributes: &[Attribute] = match item {
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) if is_whole(item) => &item.attrs,
        _ => return None,
    };
    // `#![…]` of a module are inside.
    let outer = attributes
        .iter()
        .find(|attribute| matches!(attribute.style, syn::AttrStyle::Outer));
    let start = match outer {
        Some(first) => first.span().start(),
        None => item.span().start(),
    };
    Some((start.line, start.column))
}

/// True for a module that is here with all that is in it: no attribute may sit
/// on what is in another file.
fn is_whole(module: &ItemMod) -> bool {
    module.content.as_ref().is_some_and(|(_, items)| {
        let mut inner = items.iter();
        inner.all(|item| !matches!(item, Item::Mod(inner) if !is_whole(inner)))
    })
}

/// Runs all suites; true if nothing is different.
pub fn run(
    suites: &[&Suite],
    sources: &[PathBuf],
    work: &Path,
    limit: Duration,
) -> Result<bool, Box<dyn Error>> {
    println!("{:<20} {:>6} {:>6}", "crate", "items", "tests");
    let mut same = true;
    for (suite, source) in suites.iter().zip(sources) {
        let tracked = test(suite, source, work, limit)?;
        println!(
            "{:<20} {:>6} {:>6}",
            suite.name, tracked.items, tracked.passed
        );
        for difference in &tracked.differences {
            println!("    {difference}");
        }
        for (_, test, why) in KNOWN.iter().filter(|(of, ..)| *of == suite.name) {
            println!("    known: {test}: {why}");
        }
        same &= tracked.differences.is_empty();
    }
    Ok(same)
}

#[cfg(test)]
mod tests {
    use super::track;

    #[test]
    fn every_item_gets_the_attribute_before_its_own() {
        let text = "use a::b;\n/// Doc.\n#[test]\nfn f() {}\nmod m;\nmod n {\n    fn g() {}\n}\n";
        let (tracked, count) = track(text, false);
        assert_eq!(count, 2);
        assert_eq!(
            tracked,
            "use a::b;\n#[::leakcheck::track] /// Doc.\n#[test]\nfn f() {}\nmod m;\n\
             #[::leakcheck::track] mod n {\n    fn g() {}\n}\n"
        );
        let (named, _) = track("//! Doc.\nfn f() {}\n", true);
        assert_eq!(
            named,
            "//! Doc.\nextern crate leakcheck; #[::leakcheck::track] fn f() {}\n"
        );
    }
    #[test]
    fn items_under_a_condition_get_it_too() {
        let text = "cfg_rt! {\n    fn f() {}\n}\ncfg_if! { if #[cfg(a)] { fn g() {} } }\n";
        let (tracked, count) = track(text, false);
        assert_eq!(count, 1);
        assert_eq!(tracked, text.replace("fn f", "#[::leakcheck::track] fn f"));
    }
}
