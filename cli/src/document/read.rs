//! A document from a file, as an earlier run or another shard wrote it.

use std::path::{Path, PathBuf};

use super::{Document, Line, SCHEMA};

/// Why a file is not a document.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("failed to read the report `{path}`: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line is not what it should be.
    #[error(
        "line {line} of the report `{path}` is not a line of leakcheck's JSON output: {source}\n\
         help: give the file that `--output json=PATH` wrote"
    )]
    Line {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// Another version wrote it.
    #[error(
        "the report `{path}` has schema {found}, this leakcheck reads {SCHEMA}\n\
         help: use one version of leakcheck in all jobs"
    )]
    Schema {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: u64,
    },
    /// It ends too early.
    #[error(
        "the report `{path}` has no summary: it is cut off, or its run did not come to an end\n\
         help: run that shard again"
    )]
    Truncated {
        /// The file.
        path: PathBuf,
    },
}

impl Document {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, or is not a whole document of this schema.
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        let text = std::fs::read_to_string(path).map_err(|source| ReadError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text, path)
    }

    /// Reads text; `path` names it in errors.
    ///
    /// # Errors
    /// If it is not a whole document of this schema.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ReadError> {
        let (mut tests, mut findings, mut summary) = (Vec::new(), Vec::new(), None);
        for (number, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let bad = |source| ReadError::Line {
                path: path.to_owned(),
                line: number + 1,
                source,
            };
            let value: serde_json::Value = serde_json::from_str(line).map_err(bad)?;
            if let Some(found) = value.get("schema").and_then(serde_json::Value::as_u64)
                && found != u64::from(SCHEMA)
            {
                return Err(ReadError::Schema {
                    path: path.to_owned(),
                    found,
                });
            }
            match serde_json::from_value(value).map_err(bad)? {
                Line::Test(test) => tests.push(*test),
                Line::Finding(finding) => findings.push(*finding),
                Line::Summary(last) => summary = Some(*last),
            }
        }
        let summary = summary.ok_or_else(|| ReadError::Truncated {
            path: path.to_owned(),
        })?;
        Ok(Self {
            tests,
            findings,
            summary,
        })
    }
}
