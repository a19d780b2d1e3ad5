//! The conventions of libtest, the harness of `#[test]`: its command line, its
//! list of tests, and how to recognise a binary that has it.
//!
//! What it misses: a harness of one's own that imitates libtest's command line
//! is not recognised and runs as one test.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::File;
use std::path::Path;

use object::read::ReadCache;
use object::{Object as _, ObjectSymbol as _};

use crate::error::Error;

/// What the symbols of an executable say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traits {
    /// libtest's `main` is linked.
    pub libtest: bool,
    /// The detector's runtime is linked.
    pub instrumented: bool,
}

impl Traits {
    /// Reads the symbols of `exe`.
    ///
    /// # Errors
    /// If it cannot be opened or is no executable.
    pub fn read(exe: &Path) -> Result<Self, Error> {
        let file = File::open(exe).map_err(|source| Error::Read {
            path: exe.to_owned(),
            source,
        })?;
        let cache = ReadCache::new(file);
        let object = object::File::parse(&cache).map_err(|source| Error::Symbols {
            path: exe.to_owned(),
            source,
        })?;
        let mut traits = Self::default();
        for symbol in object.symbols().filter(|symbol| !symbol.is_undefined()) {
            let name = symbol.name_bytes().unwrap_or_default();
            // In both manglings, with a length before each word.
            traits.libtest |= contains(name, b"4test16test_main_static")
                || contains(name, b"4test22test_main_static_abort");
            traits.instrumented |= name == b"__tsan_func_entry";
        }
        Ok(traits)
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Which tests the user wants with regard to `#[ignore]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ignored {
    /// Those without.
    Skip,
    /// Only those with: `--ignored`.
    Only,
    /// All: `--include-ignored`.
    Include,
}

/// The arguments behind `--`, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BinaryArgs {
    /// For the listing: filters, `--skip`, `--exact`, and what is not known.
    pub listing: Vec<OsString>,
    /// For each test: what is not known.
    pub running: Vec<OsString>,
    /// `--ignored`, `--include-ignored`.
    pub ignored: Ignored,
    /// `--test-threads`.
    pub threads: Option<u32>,
    /// `--nocapture`, `--no-capture`.
    pub no_capture: bool,
    /// `--list` or `--help`: a question to the binary and not a run.
    pub question: bool,
}

impl BinaryArgs {
    /// Takes the filter and the arguments behind `--` apart.
    #[must_use]
    pub fn parse(filter: Option<&str>, args: &[OsString]) -> Self {
        let mut parsed = Self {
            listing: filter.map(OsString::from).into_iter().collect(),
            running: Vec::new(),
            ignored: Ignored::Skip,
            threads: None,
            no_capture: false,
            question: false,
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let text = arg.to_string_lossy();
            let (name, inline) = match text.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
                Some(_) | None => (&*text, None),
            };
            match name {
                "--ignored" => parsed.ignored = Ignored::Only,
                "--include-ignored" => parsed.ignored = Ignored::Include,
                "--nocapture" | "--no-capture" => parsed.no_capture = true,
                "--list" | "--help" | "-h" => parsed.question = true,
                // The runner decides how results are shown.
                "--show-output" | "--quiet" | "-q" | "--report-time" => {}
                "--color" | "--format" | "--logfile" if inline.is_none() => {
                    args.next();
                }
                "--color" | "--format" | "--logfile" => {}
                "--test-threads" => {
                    let value =
                        inline.or_else(|| args.next().map(|v| v.to_string_lossy().into_owned()));
                    parsed.threads = value.and_then(|v| v.parse().ok());
                }
                "--skip" => {
                    parsed.listing.push(arg.clone());
                    if inline.is_none() {
                        parsed.listing.extend(args.next().cloned());
                    }
                }
                "--exact" => parsed.listing.push(arg.clone()),
                "-Z" => {
                    let value = args.next();
                    for line in [&mut parsed.listing, &mut parsed.running] {
                        line.push(arg.clone());
                        line.extend(value.cloned());
                    }
                }
                _ if text.starts_with('-') => {
                    parsed.listing.push(arg.clone());
                    parsed.running.push(arg.clone());
                }
                _ => parsed.listing.push(arg.clone()),
            }
        }
        parsed
    }

    /// The command line that lists tests: all that match, or of those the
    /// ones with `#[ignore]`.
    #[must_use]
    pub fn list_command(&self, only_ignored: bool) -> Vec<OsString> {
        let mut line: Vec<OsString> = vec!["--list".into(), "--format=terse".into()];
        if only_ignored {
            line.push("--ignored".into());
        }
        line.extend(self.listing.iter().cloned());
        line
    }

    /// The command line that runs the one test `name` on the main thread.
    #[must_use]
    pub fn run_command(&self, name: &str) -> Vec<OsString> {
        let mut line: Vec<OsString> = vec![
            name.into(),
            "--exact".into(),
            "--nocapture".into(),
            "--test-threads=1".into(),
            "--include-ignored".into(),
        ];
        line.extend(self.running.iter().cloned());
        line
    }
}

/// The tests of one binary.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// To be run, in the binary's order.
    pub run: Vec<String>,
    /// Left out for `#[ignore]`.
    pub ignored: Vec<String>,
}

impl Listing {
    /// From the output of both [`BinaryArgs::list_command`]s.
    #[must_use]
    pub fn new(all: &str, only_ignored: &str, mode: Ignored) -> Self {
        let marked: HashSet<&str> = names(only_ignored).collect();
        let (ignored, plain): (Vec<&str>, Vec<&str>) =
            names(all).partition(|name| marked.contains(name));
        let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
        match mode {
            Ignored::Skip => Self {
                run: owned(plain),
                ignored: owned(ignored),
            },
            Ignored::Only => Self {
                run: owned(ignored),
                ignored: Vec::new(),
            },
            Ignored::Include => Self {
                run: owned(names(all).collect()),
                ignored: Vec::new(),
            },
        }
    }
}

/// Lines `NAME: test` and `NAME: benchmark`; all others are the program's own.
fn names(terse: &str) -> impl Iterator<Item = &str> {
    terse.lines().filter_map(|line| {
        let (name, kind) = line.rsplit_once(": ")?;
        matches!(kind, "test" | "benchmark").then_some(name)
    })
}

/// Whether libtest came to its end: it says so in a last line, which is
/// missing if a test ended the process.
#[must_use]
pub fn reached_its_end(output: &str) -> bool {
    output
        .lines()
        .rev()
        .any(|line| line.starts_with("test result: "))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::path::Path;

    use super::{BinaryArgs, Ignored, Listing, Traits, reached_its_end};

    fn parse(filter: Option<&str>, line: &str) -> BinaryArgs {
        let args: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        BinaryArgs::parse(filter, &args)
    }

    #[test]
    fn filters_select_and_are_not_run_with() {
        let args = parse(Some("a"), "b --skip c --skip=d --exact");
        assert_eq!(
            args.list_command(false),
            [
                "--list",
                "--format=terse",
                "a",
                "b",
                "--skip",
                "c",
                "--skip=d",
                "--exact"
            ]
        );
        assert_eq!(
            args.run_command("m::a"),
            [
                "m::a",
                "--exact",
                "--nocapture",
                "--test-threads=1",
                "--include-ignored"
            ]
        );
    }

    #[test]
    fn what_the_runner_decides_is_taken_out() {
        let args = parse(
            None,
            "--nocapture --test-threads 3 --format pretty --color=always -q --show-output",
        );
        assert!(args.no_capture && !args.question);
        assert_eq!((args.threads, args.ignored), (Some(3), Ignored::Skip));
        assert!(args.listing.is_empty() && args.running.is_empty());
        assert_eq!(parse(None, "--test-threads=7").threads, Some(7));
        assert!(parse(None, "--list").question);
    }

    #[test]
    fn what_is_not_known_goes_along() {
        let args = parse(None, "-Z unstable-options --bench");
        assert_eq!(args.listing, ["-Z", "unstable-options", "--bench"]);
        assert_eq!(args.running, args.listing);
    }

    #[test]
    fn ignored_tests() {
        let all = "a::one: test\nb: two: test\nc: benchmark\nnoise\n";
        let marked = "b: two: test\n";
        let listing = Listing::new(all, marked, parse(None, "").ignored);
        assert_eq!(
            (listing.run, listing.ignored),
            (
                vec!["a::one".to_owned(), "c".to_owned()],
                vec!["b: two".to_owned()],
            )
        );
        let listing = Listing::new(all, marked, parse(None, "--ignored").ignored);
        assert_eq!((listing.run.len(), listing.ignored.len()), (1, 0));
        let listing = Listing::new(all, marked, parse(None, "--include-ignored").ignored);
        assert_eq!((listing.run.len(), listing.ignored.len()), (3, 0));
    }

    #[test]
    fn the_last_line_tells_the_end() {
        assert!(reached_its_end(
            "running 1 test\n\ntest result: ok. 1 passed; 0 failed\n\n"
        ));
        assert!(!reached_its_end("running 1 test\nall is well\n"));
    }

    #[test]
    fn this_very_binary_has_libtest_and_no_detector() {
        let exe = std::env::current_exe().unwrap();
        assert_eq!(
            Traits::read(&exe).unwrap(),
            Traits {
                libtest: true,
                instrumented: false
            }
        );
        assert!(Traits::read(Path::new("/no/such/file")).is_err());
    }
}
