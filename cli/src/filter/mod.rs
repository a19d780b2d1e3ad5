//! Which tests are meant: filtersets in the language of cargo-nextest, by its
//! own crate.
//!
//! - [`partition`]: one part of the tests.

pub mod partition;

use std::fmt::Write as _;

use guppy::graph::cargo::BuildPlatform;
use guppy::graph::{BuildTargetId, BuildTargetKind, PackageGraph, PackageMetadata};
use miette::Diagnostic as _;
use nextest_filtering::errors::FiltersetParseErrors;
use nextest_filtering::{
    BinaryQuery, CompiledExpr, EvalContext, Filterset, FiltersetKind, KnownGroups, ParseContext,
    TestQuery,
};
use nextest_metadata::{RustBinaryId, RustTestBinaryKind, TestCaseName};

use crate::model::TestId;

/// Why a filterset cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// It is not one.
    #[error("failed to understand the filterset{}:\n{said}", of(origin))]
    Parse {
        /// Where it is written; empty for the command line.
        origin: String,
        /// What is wrong, with a mark.
        said: String,
    },
    /// The packages are not known.
    #[error("failed to understand the answer of `cargo metadata`: {0}")]
    Graph(#[source] Box<guppy::Error>),
}

fn of(origin: &str) -> String {
    if origin.is_empty() {
        String::new()
    } else {
        format!(" of {origin}")
    }
}

/// The packages that a filterset can speak of.
#[derive(Debug)]
pub struct Packages(PackageGraph);

impl Packages {
    /// From the answer of `cargo metadata`, with dependencies.
    ///
    /// # Errors
    /// If it is not one.
    pub fn parse(json: &str) -> Result<Self, FilterError> {
        let graph = guppy::CargoMetadata::parse_json(json)
            .and_then(guppy::CargoMetadata::build_graph)
            .map_err(|error| FilterError::Graph(Box::new(error)))?;
        Ok(Self(graph))
    }

    /// Compiles a filterset; `origin` says where it is written.
    ///
    /// # Errors
    /// If it is not one.
    pub fn filter(&self, text: &str, origin: &str) -> Result<Filter, FilterError> {
        let context = ParseContext::new(&self.0);
        let kind = FiltersetKind::OverrideFilter;
        Filterset::parse(text.to_owned(), &context, kind, &KnownGroups::Unavailable)
            .map(Filter)
            .map_err(|errors| FilterError::Parse {
                origin: origin.to_owned(),
                said: said(&errors),
            })
    }

    /// Whether a filter takes a test. What is no test of a package of the
    /// workspace (a doctest) is in no filterset's language and not taken.
    #[must_use]
    pub fn matches(&self, filter: &Filter, test: &TestId) -> bool {
        let Ok(package) = self.0.workspace().member_by_name(&test.package) else {
            return false;
        };
        let Some((kind, name)) = binary(&package, &test.binary) else {
            return false;
        };
        let id = RustBinaryId::from_parts(package.name(), &kind, name);
        let query = TestQuery {
            binary_query: BinaryQuery {
                package_id: package.id(),
                binary_id: &id,
                kind: &kind,
                binary_name: name,
                platform: BuildPlatform::Target,
            },
            test_name: &TestCaseName::new(&test.name),
        };
        let context = EvalContext {
            default_filter: &CompiledExpr::ALL,
        };
        filter.0.matches_test(&query, &context)
    }
}

/// A compiled filterset.
#[derive(Debug, Clone)]
pub struct Filter(Filterset);

/// The kind of a test binary, and its name without the kind.
fn binary<'a>(
    package: &PackageMetadata<'_>,
    name: &'a str,
) -> Option<(RustTestBinaryKind, &'a str)> {
    for (prefix, kind) in [
        ("bin/", RustTestBinaryKind::BIN),
        ("example/", RustTestBinaryKind::EXAMPLE),
        ("bench/", RustTestBinaryKind::BENCH),
    ] {
        if let Some(name) = name.strip_prefix(prefix) {
            return Some((kind, name));
        }
    }
    let target = package.build_targets().find(|target| match target.id() {
        BuildTargetId::Library => target.name() == name,
        BuildTargetId::Test(test) => test == name,
        _ => false,
    })?;
    let kind = match target.id() {
        BuildTargetId::Library if target.kind() == BuildTargetKind::ProcMacro => {
            RustTestBinaryKind::PROC_MACRO
        }
        BuildTargetId::Library => RustTestBinaryKind::LIB,
        _ => RustTestBinaryKind::TEST,
    };
    Some((kind, name))
}

/// Each error below the text that it is about.
fn said(errors: &FiltersetParseErrors) -> String {
    let mut text = format!("    {}\n", errors.input);
    for error in &errors.errors {
        let mut marked = false;
        for label in error.labels().into_iter().flatten() {
            let before = errors.input.get(..label.offset()).unwrap_or_default();
            let indent = before.chars().count();
            let what = label.label().filter(|label| !label.is_empty());
            let carets = "^".repeat(label.len().max(1));
            let message = what.map_or_else(|| error.to_string(), str::to_owned);
            let _ = writeln!(text, "    {:indent$}{carets} {message}", "");
            marked = true;
        }
        if !marked {
            let _ = writeln!(text, "    {error}");
        }
    }
    text.push_str("help: the language is that of https://nexte.st/docs/filtersets");
    text
}
