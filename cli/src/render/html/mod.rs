//! One self-contained page: nothing is loaded from anywhere, and its own
//! content policy says so.
//!
//! The document is put into the page as JSON, in which no tag can begin; the
//! script makes elements of it from text alone. So no name that a program
//! gives to a thread, and no line of source, is ever markup.
//!
//! - `dom.js`: elements, lists of which only the part in view is there;
//! - `source.js`: snippets; `timeline.js`: lanes on a canvas; `graph.js`: who
//!   waits for whom; `tree.js`: who spawned whom; `detail.js`: one finding;
//! - `app.js`: filters, keys, light and dark.

use base64::Engine as _;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::document::{Document, FindingLine, SummaryLine, TestLine};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("style.css");
const SCRIPT: [&str; 7] = [
    include_str!("dom.js"),
    include_str!("source.js"),
    include_str!("timeline.js"),
    include_str!("graph.js"),
    include_str!("tree.js"),
    include_str!("detail.js"),
    include_str!("app.js"),
];

/// What the script reads.
#[derive(Serialize)]
struct Data<'a> {
    tests: &'a [TestLine],
    findings: &'a [FindingLine],
    summary: &'a SummaryLine,
}

/// The page.
///
/// # Errors
/// Never for these types; serde's interface has the error.
pub fn render(document: &Document) -> Result<String, serde_json::Error> {
    let data = serde_json::to_string(&Data {
        tests: &document.tests,
        findings: &document.findings,
        summary: &document.summary,
    })?;
    let script = format!("\"use strict\";\n(() => {{\n{}}})();\n", SCRIPT.concat());
    Ok(fill(
        PAGE,
        &[
            ("style-hash", &hash(STYLE)),
            ("script-hash", &hash(&script)),
            ("style", STYLE),
            ("script", &script),
            ("data", &inert(&data)),
        ],
    ))
}

/// JSON that can stand in an element: no tag begins or ends in it.
fn inert(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' => text.push_str("\\u003c"),
            '>' => text.push_str("\\u003e"),
            '&' => text.push_str("\\u0026"),
            '\u{2028}' => text.push_str("\\u2028"),
            '\u{2029}' => text.push_str("\\u2029"),
            other => text.push(other),
        }
    }
    text
}

/// A source of a content policy.
fn hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let text = base64::engine::general_purpose::STANDARD.encode(digest);
    format!("sha256-{text}")
}

/// Fills the `{{name}}`s of a page, each in one pass: what is filled in is
/// not looked at again.
fn fill(page: &str, values: &[(&str, &str)]) -> String {
    let mut text = String::new();
    let mut rest = page;
    while let Some((before, after)) = rest.split_once("{{") {
        text.push_str(before);
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        if let Some((_, value)) = values.iter().find(|(known, _)| *known == name) {
            text.push_str(value);
        }
        rest = after;
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::{fill, inert};

    #[test]
    fn no_tag_can_begin_in_data() {
        let text = inert("\"</script><!--\u{2028}&\"");
        assert_eq!(text, "\"\\u003c/script\\u003e\\u003c!--\\u2028\\u0026\"");
        assert_eq!(
            serde_json::from_str::<String>(&text).unwrap(),
            "</script><!--\u{2028}&"
        );
    }

    #[test]
    fn values_are_not_filled_again() {
        let page = fill("a{{x}}b{{y}}c", &[("x", "{{y}}"), ("y", "1")]);
        assert_eq!(page, "a{{y}}b1c");
    }
}
