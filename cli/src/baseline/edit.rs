//! Changes of the file that leave alone what people wrote: reasons, expiry
//! and comments of the entries that stay.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

use super::SCHEMA;
use crate::config::read::ConfigError;
use crate::document::FindingLine;

const HEAD: &str = "\
# Findings that leakcheck leaves alone: those that were there when it was
# turned on. `leakcheck baseline write` adds to this file, `prune` takes out
# what is gone. `reason` and `expires` are yours to fill in and are kept.
";

/// The text with these findings in it besides what it has.
///
/// # Errors
/// If the text is not TOML.
pub fn write<'a>(
    text: Option<&str>,
    path: &Path,
    findings: impl Iterator<Item = &'a FindingLine>,
) -> Result<String, ConfigError> {
    let mut document = parse(text, path)?;
    let mut entries = entries(&document);
    for finding in findings {
        let entry = entries
            .entry(finding.fingerprint.clone())
            .or_insert_with(|| new_entry(&finding.fingerprint));
        entry["code"] = value(&finding.code);
        // Which thread came first, and which test, is chance: what stands there
        // and is true stays, so that the file changes only with its findings.
        let stands = |key| entry.get(key).and_then(Item::as_str);
        let tested_by = |name| finding.tests.iter().any(|test| test.to_string() == name);
        let test_stands = stands("test").is_some_and(tested_by);
        if stands("summary").is_none_or(str::is_empty) {
            entry["summary"] = value(&finding.title);
        }
        if !test_stands && let Some(test) = finding.tests.iter().min() {
            entry["test"] = value(test.to_string());
        }
        if !entry.contains_key("reason") {
            entry["reason"] = value("");
        }
    }
    put(&mut document, entries);
    Ok(document.to_string())
}

/// The text without the entries of these fingerprints.
///
/// # Errors
/// If the text is not TOML.
pub fn prune(text: &str, path: &Path, gone: &BTreeSet<&str>) -> Result<String, ConfigError> {
    let mut document = parse(Some(text), path)?;
    let mut entries = entries(&document);
    entries.retain(|fingerprint, _| !gone.contains(fingerprint.as_str()));
    put(&mut document, entries);
    Ok(document.to_string())
}

fn parse(text: Option<&str>, path: &Path) -> Result<DocumentMut, ConfigError> {
    let new = || format!("{HEAD}schema = {SCHEMA}\n");
    let text = text.map_or_else(new, str::to_owned);
    text.parse()
        .map_err(|error: toml_edit::TomlError| ConfigError::Parse {
            path: path.to_owned(),
            reason: error.to_string(),
            suggestion: None,
        })
}

fn entries(document: &DocumentMut) -> BTreeMap<String, Table> {
    let tables = document.get("finding").and_then(Item::as_array_of_tables);
    tables
        .into_iter()
        .flat_map(ArrayOfTables::iter)
        .filter_map(|table| {
            let fingerprint = table.get("fingerprint")?.as_str()?.to_owned();
            Some((fingerprint, table.clone()))
        })
        .collect()
}

fn new_entry(fingerprint: &str) -> Table {
    let mut table = Table::new();
    table["fingerprint"] = value(fingerprint);
    table.decor_mut().set_prefix("\n");
    table
}

/// Sorted: a map is.
fn put(document: &mut DocumentMut, entries: BTreeMap<String, Table>) {
    document.remove("finding");
    if entries.is_empty() {
        return;
    }
    let mut tables = ArrayOfTables::new();
    for mut table in entries.into_values() {
        // Tables are written in the order of where they were read.
        table.set_position(None);
        tables.push(table);
    }
    document.insert("finding", Item::ArrayOfTables(tables));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use leakcheck::report::kind::{Certainty, Level};

    use super::{prune, write};
    use crate::baseline::Baseline;
    use crate::document::{FindingLine, SCHEMA, StateLine};
    use crate::model::TestId;

    fn finding(fingerprint: &str, tests: &[&str]) -> FindingLine {
        let test = |name: &&str| TestId {
            package: "bank".to_owned(),
            binary: "bank".to_owned(),
            name: (*name).to_owned(),
        };
        FindingLine {
            schema: SCHEMA,
            code: "LC0001".to_owned(),
            kind: "data-race".to_owned(),
            level: Level::Error,
            certainty: Certainty::Observed,
            title: "data race on static `TOTAL`".to_owned(),
            fingerprint: fingerprint.to_owned(),
            state: StateLine::New,
            excuse: None,
            test: tests.first().map(test),
            tests: tests.iter().map(test).collect(),
            count: 1,
            legs: Vec::new(),
            memory: None,
            said: None,
            reason: None,
            help: Vec::new(),
            at_us: None,
            snippets: Vec::new(),
            rendered: String::new(),
        }
    }

    const PATH: &str = "leakcheck-baseline.toml";

    #[test]
    fn a_new_file() {
        let findings = [finding("lc1:b", &["z", "a"]), finding("lc1:a", &["b"])];
        let text = write(None, Path::new(PATH), findings.iter()).unwrap();
        insta::assert_snapshot!(text);
        let baseline = Baseline::parse(&text, Path::new(PATH), PATH).unwrap();
        assert!(baseline.is_sorted());
        // Twice is the same.
        let again = write(Some(&text), Path::new(PATH), findings.iter()).unwrap();
        assert_eq!(again, text);
        // A title that names threads in another order, and another test that
        // was first: the same finding.
        let mut seen = finding("lc1:a", &["c", "b"]);
        seen.title = "data race on heap memory".to_owned();
        let again = write(Some(&text), Path::new(PATH), [seen].iter()).unwrap();
        assert_eq!(again, text);
        // That test is no more.
        let moved = [finding("lc1:a", &["c"])];
        let again = write(Some(&text), Path::new(PATH), moved.iter()).unwrap();
        assert_eq!(again, text.replace("bank b", "bank c"));
    }

    #[test]
    fn what_people_wrote_is_kept() {
        let text = "\
# Ours.
schema = 1

# Talk to the bank team first.
[[finding]]
fingerprint = \"lc1:b\"
summary = \"old title\"
reason = \"fixed in the rewrite\" # soon
expires = 2027-01-01
";
        let findings = [finding("lc1:a", &["t"]), finding("lc1:b", &["t"])];
        let written = write(Some(text), Path::new(PATH), findings.iter()).unwrap();
        insta::assert_snapshot!(written);
        let pruned = prune(&written, Path::new(PATH), &BTreeSet::from(["lc1:a"])).unwrap();
        insta::assert_snapshot!(pruned);
        let empty = prune(&pruned, Path::new(PATH), &BTreeSet::from(["lc1:b"])).unwrap();
        assert_eq!(empty, "# Ours.\nschema = 1\n");
    }
}
