//! What decides whether a finding counts, and where results are written.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};

/// Which findings count, and what is written about them.
#[derive(Debug, Clone, Default, Args, serde::Serialize, serde::Deserialize)]
#[command(next_help_heading = "Gate Options")]
pub struct GateOptions {
    /// Profile of `.config/leakcheck.toml` [default: `ci` on a CI machine if
    /// there is one, else `default`]
    #[arg(short = 'P', long, value_name = "NAME")]
    pub leakcheck_profile: Option<String>,
    /// Configuration file [default: `.config/leakcheck.toml` of the workspace]
    #[arg(long, value_name = "PATH", conflicts_with = "no_config")]
    pub config_file: Option<PathBuf>,
    /// Read no configuration file
    #[arg(long)]
    pub no_config: bool,
    /// Do not show findings of this code or kind (or `all`)
    #[arg(short = 'A', long, value_name = "CODE")]
    pub allow: Vec<String>,
    /// Show findings of this code or kind (or `all`) without failing
    #[arg(short = 'W', long, value_name = "CODE")]
    pub warn: Vec<String>,
    /// Fail on findings of this code or kind (or `all`)
    #[arg(short = 'D', long, value_name = "CODE")]
    pub deny: Vec<String>,
    /// Baseline file [default: `.config/leakcheck-baseline.toml`]
    #[arg(long, value_name = "PATH", conflicts_with = "no_baseline")]
    pub baseline: Option<PathBuf>,
    /// Read no baseline: everything counts
    #[arg(long)]
    pub no_baseline: bool,
    /// Fail if an entry of the baseline or a suppression matches nothing
    #[arg(long)]
    pub deny_stale: bool,
    /// Suppression file in the format of ThreadSanitizer
    #[arg(long, value_name = "PATH")]
    pub suppressions: Vec<PathBuf>,
    /// Write the results to a file besides: `json`, `sarif`, `junit`, `html`
    #[arg(long, value_name = "FORMAT=PATH")]
    pub output: Vec<OutputArg>,
    /// Annotations on GitHub Actions
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Annotations::Auto)]
    pub annotations: Annotations,
}

/// When annotations are written.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, serde::Serialize, serde::Deserialize,
)]
pub enum Annotations {
    /// On GitHub Actions.
    #[default]
    Auto,
    /// Always.
    Github,
    /// Never.
    None,
}

/// A file to write.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OutputArg {
    /// As what.
    pub format: OutputFormat,
    /// Where.
    pub path: PathBuf,
}

/// What a file can be written as.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    ValueEnum,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum OutputFormat {
    /// One JSON object a line; `leakcheck report` reads it.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// JUnit XML.
    Junit,
    /// One self-contained page.
    Html,
}

impl FromStr for OutputArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let formats = || {
            let names: Vec<String> = OutputFormat::value_variants()
                .iter()
                .filter_map(|format| Some(format.to_possible_value()?.get_name().to_owned()))
                .collect();
            names.join("`, `")
        };
        let (format, path) = text
            .split_once('=')
            .ok_or_else(|| format!("write FORMAT=PATH; formats are `{}`", formats()))?;
        if path.is_empty() {
            return Err("the path is empty".to_owned());
        }
        Ok(Self {
            format: OutputFormat::from_str(format, false)
                .map_err(|_| format!("no format `{format}`; there are `{}`", formats()))?,
            path: path.into(),
        })
    }
}

/// Which tests.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Test Selection")]
pub struct FilterOptions {
    /// Run tests that this filterset matches; several are joined by `or`. The
    /// language is that of cargo-nextest
    #[arg(short = 'E', long, value_name = "EXPR")]
    pub filterset: Vec<String>,
    /// Run one part of the tests: `slice:1/4`, `hash:1/4`
    #[arg(long, value_name = "PART")]
    pub partition: Option<Partition>,
}

/// One part of the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Partition {
    /// How tests are dealt out.
    pub by: PartitionBy,
    /// Which part, from 1.
    pub part: u64,
    /// Of how many.
    pub of: u64,
}

/// How tests are dealt out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PartitionBy {
    /// In turn, over all binaries together.
    Slice,
    /// By the hash of the test's name, so that a new test moves no other.
    Hash,
}

impl FromStr for Partition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = "write `slice:1/4` or `hash:1/4`";
        let (by, rest) = text.split_once(':').ok_or(form)?;
        let by = match by {
            "slice" | "count" => PartitionBy::Slice,
            "hash" => PartitionBy::Hash,
            _ => return Err(form.to_owned()),
        };
        let (part, of) = rest.split_once('/').ok_or(form)?;
        let number = |text: &str| text.parse::<u64>().map_err(|_| form.to_owned());
        let (part, of) = (number(part)?, number(of)?);
        if part == 0 || part > of {
            return Err(format!("there is no part {part} of {of}"));
        }
        Ok(Self { by, part, of })
    }
}

impl std::fmt::Display for Partition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let by = match self.by {
            PartitionBy::Slice => "slice",
            PartitionBy::Hash => "hash",
        };
        write!(f, "{by}:{}/{}", self.part, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::{OutputArg, OutputFormat, Partition, PartitionBy};

    #[test]
    fn outputs() {
        let arg: OutputArg = "sarif=a=b.sarif".parse().unwrap();
        assert_eq!(arg.format, OutputFormat::Sarif);
        assert_eq!(arg.path, std::path::Path::new("a=b.sarif"));
        for wrong in ["sarif", "sarif=", "pdf=x"] {
            assert!(wrong.parse::<OutputArg>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn partitions() {
        let part: Partition = "hash:2/3".parse().unwrap();
        assert_eq!((part.by, part.part, part.of), (PartitionBy::Hash, 2, 3));
        assert_eq!(part.to_string(), "hash:2/3");
        for wrong in [
            "hash",
            "hash:0/3",
            "hash:4/3",
            "hash:a/3",
            "other:1/2",
            "slice:1",
        ] {
            assert!(wrong.parse::<Partition>().is_err(), "{wrong}");
        }
    }
}
