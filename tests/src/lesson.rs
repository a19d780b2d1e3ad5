//! The pages of the lessons: prose by hand, code and reports by themselves.
//!
//! A line `<!-- code: NAME -->` is followed by a block with an item of the
//! fixture, `<!-- report: NAME -->` by one with what leakcheck says of a test.
//! [`fill`] writes the blocks, and what it leaves as it was is true.

use syn::spanned::Spanned as _;

/// What is to be in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// An item, by its name.
    Code(String),
    /// The report of a test, by its name.
    Report(String),
}

impl Wanted {
    fn parse(line: &str) -> Option<Self> {
        let directive = line.strip_prefix("<!-- ")?.strip_suffix(" -->")?;
        let (what, name) = directive.split_once(": ")?;
        match what {
            "code" => Some(Self::Code(name.to_owned())),
            "report" => Some(Self::Report(name.to_owned())),
            _ => None,
        }
    }

    const fn language(&self) -> &'static str {
        match self {
            Self::Code(_) => "rust",
            Self::Report(_) => "text",
        }
    }
}

/// What a page asks for, in order.
#[must_use]
pub fn wanted(page: &str) -> Vec<Wanted> {
    page.lines().filter_map(Wanted::parse).collect()
}

/// The page with all of its blocks written anew. `content` gets what is wanted
/// and what the page has there now.
///
/// # Panics
/// If a block has no end.
pub fn fill(page: &str, mut content: impl FnMut(&Wanted, &str) -> String) -> String {
    let mut filled = String::new();
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        filled.push_str(line);
        filled.push('\n');
        let Some(wanted) = Wanted::parse(line) else {
            continue;
        };
        let mut now = String::new();
        if lines.next_if(|line| line.starts_with("```")).is_some() {
            loop {
                let line = lines.next().expect("a block has an end");
                if line == "```" {
                    break;
                }
                now.push_str(line);
                now.push('\n');
            }
        }
        let text = content(&wanted, &now);
        let language = wanted.language();
        filled.push_str(&format!("```{language}\n{}\n```\n", text.trim_end()));
    }
    filled
}

/// The text of an item of a source file: a function without its attributes, a
/// type, or with `impl NAME` the methods of one.
///
/// # Panics
/// If the file cannot be parsed, or has no such item.
#[must_use]
pub fn code(source: &str, name: &str) -> String {
    let parsed = syn::parse_file(source).expect("a fixture is Rust");
    let lines = |from: usize, to: usize| {
        let lines: Vec<&str> = source.lines().skip(from - 1).take(to + 1 - from).collect();
        lines.join("\n")
    };
    let of_type = |wanted: &str, ty: &syn::Type| match ty {
        syn::Type::Path(path) => path
            .path
            .segments
            .last()
            .is_some_and(|segment| segment.ident == wanted),
        _ => false,
    };
    for item in &parsed.items {
        let (from, to) = match item {
            syn::Item::Fn(item) if item.sig.ident == name => {
                (item.sig.span().start(), item.span().end())
            }
            syn::Item::Struct(item) if item.ident == name => {
                (item.struct_token.span.start(), item.span().end())
            }
            syn::Item::Impl(item)
                if item.trait_.is_none()
                    && name
                        .strip_prefix("impl ")
                        .is_some_and(|name| of_type(name, &item.self_ty)) =>
            {
                (item.impl_token.span.start(), item.span().end())
            }
            _ => continue,
        };
        return lines(from.line, to.line);
    }
    panic!("the fixture has no `{name}`")
}

#[cfg(test)]
mod tests {
    use super::{Wanted, code, fill, wanted};

    const SOURCE: &str = "\
//! A file.
struct Box2(u32);
impl Box2 {
    fn get(&self) -> u32 {
        self.0
    }
}
/// A test.
#[test]
fn one() {
    assert!(true);
}
";

    #[test]
    fn items_are_taken_as_they_are() {
        assert_eq!(code(SOURCE, "one"), "fn one() {\n    assert!(true);\n}");
        assert_eq!(code(SOURCE, "Box2"), "struct Box2(u32);");
        assert!(code(SOURCE, "impl Box2").starts_with("impl Box2 {\n    fn get"));
    }

    #[test]
    fn blocks_are_written_anew_and_the_rest_stays() {
        let page =
            "# Title\n\n<!-- code: one -->\n```rust\nold\n```\n\nText.\n<!-- report: one -->\n";
        assert_eq!(
            wanted(page),
            [
                Wanted::Code("one".to_owned()),
                Wanted::Report("one".to_owned())
            ]
        );
        let filled = fill(page, |wanted, now| format!("{wanted:?} was {now:?}"));
        assert_eq!(
            filled,
            "# Title\n\n<!-- code: one -->\n```rust\nCode(\"one\") was \"old\\n\"\n```\n\nText.\n\
             <!-- report: one -->\n```text\nReport(\"one\") was \"\"\n```\n"
        );
        assert_eq!(fill(&filled, |_, now| now.to_owned()), filled);
    }
}
