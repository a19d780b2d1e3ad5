//! Frames of a doctest, at the lines of the file that has its text.
//!
//! rustdoc compiles the text in a program of its own, with lines of its own
//! before it. It puts it into a function, unless the text has a `main`:
//!
//! | edition | function | begins |
//! |---|---|---|
//! | 2021 | `rust_out::main::_doctest_main_src_lib_rs_57_0` | at the fence |
//! | 2024 | `doctest_bundle_2024::__doctest_4::main` | at the fence, or where the text has `fn main` |
//!
//! So the line where that function begins, which the debug information has,
//! tells how far the program's lines are from the file's. rustdoc moves inner
//! attributes and `extern crate` to the top: then no line can be told.
//!
//! What it misses: before the edition of 2024, a doctest with a `main` of its
//! own has no name in its program.

use std::path::PathBuf;

use crate::model::TestId;
use crate::symbolize::RawFrame;
use crate::symbolize::function::FunctionName;

/// Binary of the tests that rustdoc runs.
pub const BINARY: &str = "doctest";

/// What the function with the text is called in reports: what rustdoc calls it
/// has a number or a line in it, which no fingerprint may have.
const SHOWN: &str = "doctest::main";

/// A doctest, and where its text is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doctest {
    /// The file, as rustdoc names it.
    pub file: PathBuf,
    /// Line of the fence, from 1.
    fence: u32,
}

/// The text of a doctest in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Line of the fence.
    fence: u32,
    /// Line of its `fn main`, if it has one.
    main: Option<u32>,
    /// rustdoc moves some of its lines.
    moved: bool,
    /// For each line behind the fence, how many columns there are before what
    /// rustdoc takes.
    margins: Vec<u32>,
}

/// What rustdoc made of a text: the function that has it, or its module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapper {
    /// Path of the function whose first line is known in both places.
    pub function: String,
    /// Path that stands for the doctest in reports: of that function, or of its
    /// module where other functions are beside it.
    whole: String,
}

impl Doctest {
    /// The one that a test is.
    pub fn of(test: &TestId) -> Option<Self> {
        (test.binary == BINARY).then(|| Self::named(&test.name))?
    }

    /// From a name such as `src/lib.rs - Queue::push (line 57)`.
    pub fn named(name: &str) -> Option<Self> {
        let (file, rest) = name.split_once(" - ")?;
        let (_, line) = rest.rsplit_once("(line ")?;
        let fence = line.split_once(')')?.0.parse().ok()?;
        let file = PathBuf::from(file);
        Some(Self { file, fence })
    }

    /// How the name of its function begins where it has a program of its own:
    /// `_doctest_main_src_lib_rs_57_`.
    pub fn symbol_prefix(&self) -> String {
        let file = self.file.to_string_lossy();
        let file = file.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        format!("_doctest_main_{file}_{}_", self.fence)
    }

    /// Finds its text in the file.
    pub fn text(&self, file: &str) -> Option<Text> {
        let mut text = Text {
            fence: self.fence,
            main: None,
            moved: false,
            margins: Vec::new(),
        };
        for (at, line) in (1..).zip(file.lines()).skip(self.fence as usize) {
            let margin = margin(line);
            let line = line[margin..].trim_start();
            if line.starts_with("```") {
                return Some(text);
            }
            if line.starts_with("fn main(") || line.contains(" fn main(") {
                text.main.get_or_insert(at);
            }
            text.moved |= line.starts_with("#![") || line.starts_with("extern crate ");
            text.margins.push(u32::try_from(margin).unwrap_or(0));
        }
        None
    }
}

/// How long the marks of a comment are at the beginning of a line, and that of
/// a hidden line.
fn margin(line: &str) -> usize {
    let rest = line.trim_start();
    let marks = ["/// ", "//! ", "///", "//!"];
    let said = marks.iter().find_map(|mark| rest.strip_prefix(mark));
    let said = said.unwrap_or(line);
    let hidden = said.trim_start().strip_prefix("# ");
    line.len() - hidden.unwrap_or(said).len()
}

impl Wrapper {
    /// Of the doctest that a function is in.
    pub fn of(function: &str) -> Option<Self> {
        let segments: Vec<&str> = function.split("::").collect();
        let path = match segments[..] {
            ["rust_out", "main", inner, ..] if inner.starts_with("_doctest_main_") => {
                format!("rust_out::main::{inner}")
            }
            [bundle, module, ..]
                if bundle.starts_with("doctest_bundle_") && module.starts_with("__doctest_") =>
            {
                format!("{bundle}::{module}::main")
            }
            _ => return None,
        };
        let in_it = function == path || function.starts_with(&format!("{path}::"));
        let module = path.strip_suffix("::main").filter(|_| !in_it);
        let whole = module.unwrap_or(&path).to_owned();
        Some(Self {
            function: path,
            whole,
        })
    }

    /// What a function of it is called in a report.
    fn shown(&self, function: &str) -> String {
        let rest = function.strip_prefix(&self.whole).unwrap_or(function);
        if self.whole == self.function {
            format!("{SHOWN}{rest}")
        } else {
            let (krate, _) = SHOWN.split_once("::").unwrap_or((SHOWN, ""));
            format!("{krate}{rest}")
        }
    }
}

/// What a function or variable of a doctest is called in a report.
pub fn shown(path: &str) -> String {
    Wrapper::of(path).map_or_else(|| path.to_owned(), |wrapper| wrapper.shown(path))
}

/// True for what rustdoc adds to a program around its doctests.
pub fn is_harness(function: &FunctionName) -> bool {
    let path = function.path();
    path == "rust_out::main" || path.ends_with("::__main_fn") || path.starts_with("doctest_runner_")
}

/// Puts a frame where the file has it; `begins` is the line of the program at
/// which the wrapper's function begins.
pub fn place(
    frame: &mut RawFrame,
    doctest: &Doctest,
    text: Option<&Text>,
    wrapper: &Wrapper,
    begins: Option<u32>,
) {
    let found = text.zip(begins).filter(|(text, _)| !text.moved);
    let found = found.and_then(|(text, begins)| {
        let line = (text.main.unwrap_or(text.fence) + frame.line).checked_sub(begins)?;
        let index = line.checked_sub(text.fence + 1)?;
        Some((line, *text.margins.get(index as usize)?))
    });
    frame.function = FunctionName::from_demangled(&wrapper.shown(frame.function.path()));
    match found {
        Some((line, margin)) => {
            frame.file = Some(doctest.file.clone());
            frame.line = line;
            frame.column += if frame.column > 0 { margin } else { 0 };
        }
        None => forget_place(frame),
    }
}

/// The frame is in no file that a reader has.
pub fn forget_place(frame: &mut RawFrame) {
    frame.file = None;
    frame.line = 0;
    frame.column = 0;
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
//! A crate.

/// ```
/// let x = 1;
/// # hidden();
/// ```
pub fn f() {}

    /// ```rust
    /// fn helper() {}
    ///
    /// fn main() {
    ///     helper();
    /// }
    /// ```
    pub fn g() {}

/// ```
/// #![no_std]
/// f();
/// ```
";

    fn doctest(name: &str) -> Option<Doctest> {
        Doctest::of(&TestId {
            package: "p".to_owned(),
            binary: BINARY.to_owned(),
            name: name.to_owned(),
        })
    }

    /// File, line and column of line `line` of a program, and the function's name.
    #[track_caller]
    fn placed(name: &str, function: &str, begins: Option<u32>, line: u32) -> (String, String) {
        let doctest = doctest(name).expect("a doctest");
        let wrapper = Wrapper::of(function).expect("of a doctest");
        let mut frame = RawFrame {
            function: FunctionName::from_demangled(function),
            file: Some(PathBuf::from("generated.rs")),
            line,
            column: 1,
            inlined: false,
        };
        place(
            &mut frame,
            &doctest,
            doctest.text(FILE).as_ref(),
            &wrapper,
            begins,
        );
        let place = frame.file.map_or_else(
            || "-".to_owned(),
            |file| format!("{}:{}:{}", file.display(), frame.line, frame.column),
        );
        (place, frame.function.full().to_owned())
    }

    #[track_caller]
    fn check(given: (&str, &str, Option<u32>, u32), place: &str, function: &str) {
        let (name, within, begins, line) = given;
        assert_eq!(
            placed(name, within, begins, line),
            (place.to_owned(), function.to_owned())
        );
    }

    #[test]
    fn lines_follow_the_fence() {
        let old = "rust_out::main::_doctest_main_src_lib_rs_3_0";
        let f = "src/lib.rs - f (line 3)";
        check((f, old, Some(3), 4), "src/lib.rs:4:5", "doctest::main");
        let closure = format!("{old}::{{closure}}");
        check(
            (f, &closure, Some(3), 5),
            "src/lib.rs:5:7",
            "doctest::main::{closure}",
        );
        let new = "doctest_bundle_2024::__doctest_4::main";
        check((f, new, Some(40), 41), "src/lib.rs:4:5", "doctest::main");
    }

    #[test]
    fn lines_follow_a_main_of_its_own() {
        let g = "src/lib.rs - g (line 9)";
        let helper = "doctest_bundle_2024::__doctest_0::helper";
        check(
            (g, helper, Some(7), 5),
            "src/lib.rs:10:9",
            "doctest::helper",
        );
        let main = "doctest_bundle_2024::__doctest_0::main";
        check((g, main, Some(7), 8), "src/lib.rs:13:9", "doctest::main");
    }

    #[test]
    fn what_cannot_be_told_is_not() {
        let old = "rust_out::main::_doctest_main_src_lib_rs_3_0";
        let f = "src/lib.rs - f (line 3)";
        for (name, begins, line) in [
            (f, None, 4),
            (f, Some(3), 3),
            (f, Some(3), 6),
            (f, Some(9), 4),
            ("src/lib.rs - h (line 18)", Some(3), 4),
        ] {
            check((name, old, begins, line), "-", "doctest::main");
        }
        assert_eq!(doctest("(merged doctests)"), None);
        assert_eq!(Wrapper::of("bank::main"), None);
        assert_eq!(shown("bank::SUM"), "bank::SUM");
        assert_eq!(
            shown("rust_out::main::_doctest_main_a_3_0::SUM"),
            "doctest::main::SUM"
        );
    }

    #[test]
    fn symbols_of_names() {
        let prefix = |name: &str| Doctest::named(name).map(|it| it.symbol_prefix());
        for (name, expected) in [
            ("src/lib.rs - f (line 3)", "_doctest_main_src_lib_rs_3_"),
            (
                "a-b/src/x.md - (line 10) - should panic",
                "_doctest_main_a_b_src_x_md_10_",
            ),
        ] {
            assert_eq!(prefix(name).as_deref(), Some(expected));
        }
        assert_eq!(prefix("nonsense"), None);
    }

    #[test]
    fn the_harness_is_known() {
        for (function, is) in [
            ("rust_out::main", true),
            ("doctest_bundle_2024::__doctest_4::__main_fn", true),
            ("doctest_runner_2024::main", true),
            ("bank::main", false),
        ] {
            assert_eq!(is_harness(&FunctionName::from_demangled(function)), is);
        }
    }
}
