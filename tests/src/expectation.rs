//! What a fixture asks for: its tests, and the `//~` comments in them.
//!
//! A comment `//~ LC0001` stands on the line that a finding of that code must
//! name as the primary place of one of its legs; `//~ LC0001 | LC0005` takes
//! either code. A test without such comments must pass in silence. Each test
//! with one has a twin of the same name and `_fixed`, which has none.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use syn::spanned::Spanned as _;

/// A line that a finding must name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The file, relative to the fixture.
    pub file: PathBuf,
    /// Its line, from 1.
    pub line: usize,
    /// One of these codes.
    pub codes: Vec<String>,
}

/// A test of a fixture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// Its path in its test program.
    pub name: String,
    /// What must be found; empty: nothing may be.
    pub marks: Vec<Mark>,
}

/// The marks of a text, by line.
#[must_use]
pub fn marks(file: &Path, text: &str) -> Vec<Mark> {
    let mark = |(index, line): (usize, &str)| {
        let (code, codes) = line.split_once("//~ ")?;
        if code.contains("//") {
            return None; // It is told about, in a comment.
        }
        let codes = codes
            .split('|')
            .map(|code| code.trim().to_owned())
            .collect();
        Some(Mark {
            file: file.to_owned(),
            line: index + 1,
            codes,
        })
    };
    text.lines().enumerate().filter_map(mark).collect()
}

/// The tests of a fixture, by name.
///
/// # Panics
/// If a file cannot be read or parsed, or a mark is in no test.
#[must_use]
pub fn of_fixture(dir: &Path) -> BTreeMap<String, Expectation> {
    let mut tests = BTreeMap::new();
    for part in ["src", "tests"] {
        let Ok(entries) = fs::read_dir(dir.join(part)) else {
            continue;
        };
        for entry in entries {
            let path = entry.expect("the directory can be read").path();
            // What binaries of tests share has no tests of its own.
            if path.is_dir() {
                continue;
            }
            let stem = path
                .file_stem()
                .and_then(|stem| stem.to_str())
                .expect("a name in UTF-8");
            let module = if part == "tests" || stem == "lib" || stem == "main" {
                ""
            } else {
                stem
            };
            let text = fs::read_to_string(&path).expect("a source file in UTF-8");
            let file = path.strip_prefix(dir).expect("a file of the fixture");
            for test in of_source(module, file, &text) {
                tests.insert(test.name.clone(), test);
            }
        }
    }
    tests
}

/// The tests of a file, whose module path is given.
///
/// # Panics
/// If it cannot be parsed, or a mark is in no test.
#[must_use]
pub fn of_source(module: &str, file: &Path, text: &str) -> Vec<Expectation> {
    let parsed = syn::parse_file(text)
        .unwrap_or_else(|error| panic!("failed to parse {}: {error}", file.display()));
    let mut functions = Vec::new();
    collect(module, &parsed.items, &mut functions);
    let mut tests: Vec<_> = functions
        .iter()
        .map(|function| Expectation {
            name: function.name.clone(),
            marks: Vec::new(),
        })
        .collect();
    for mark in marks(file, text) {
        let inside = |function: &Function| function.lines.contains(&mark.line);
        match functions.iter().position(inside) {
            Some(index) => tests[index].marks.push(mark),
            None => panic!("{}:{}: the mark is in no test", file.display(), mark.line),
        }
    }
    tests
}

struct Function {
    name: String,
    lines: std::ops::RangeInclusive<usize>,
}

fn is_test(attribute: &syn::Attribute) -> bool {
    attribute
        .path()
        .segments
        .last()
        .is_some_and(|segment| segment.ident == "test")
}

fn collect(module: &str, items: &[syn::Item], functions: &mut Vec<Function>) {
    let path = |name: &syn::Ident| match module {
        "" => name.to_string(),
        module => format!("{module}::{name}"),
    };
    for item in items {
        match item {
            syn::Item::Fn(function) if function.attrs.iter().any(is_test) => {
                let span = function.span();
                functions.push(Function {
                    name: path(&function.sig.ident),
                    lines: span.start().line..=span.end().line,
                });
            }
            syn::Item::Mod(inner) => {
                if let Some((_, items)) = &inner.content {
                    collect(&path(&inner.ident), items, functions);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::of_source;

    #[test]
    fn marks_belong_to_the_test_around_them() {
        let text = "\
#[test]
fn races() {
    touch(); //~ LC0001
}
mod inner {
    #[tokio::test(flavor = \"x\")]
    async fn waits() {
        lock(); //~ LC0003 | LC0002
    }
}
#[test]
fn silent() {}
";
        let tests = of_source("top", Path::new("src/top.rs"), text);
        let found: Vec<_> = tests
            .iter()
            .flat_map(|test| {
                test.marks
                    .iter()
                    .map(|mark| (&*test.name, mark.line, &*mark.codes))
            })
            .collect();
        let codes = |codes: &[&str]| codes.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            found,
            [
                ("top::races", 3, &*codes(&["LC0001"])),
                ("top::inner::waits", 8, &*codes(&["LC0003", "LC0002"])),
            ]
        );
        assert_eq!(tests.len(), 3);
    }

    #[test]
    #[should_panic(expected = "src/lib.rs:1: the mark is in no test")]
    fn a_mark_outside_is_refused() {
        let text = "fn helper() {} //~ LC0001\n#[test]\nfn silent() {}\n";
        drop(of_source("", Path::new("src/lib.rs"), text));
    }
}
