//! cargo's own options, taken under their own names and given back as they
//! were.

use std::path::PathBuf;

use clap::Args;

use super::{Color, Verbosity};

/// Which packages and targets: `cargo test`'s selection.
#[derive(Debug, Clone, Default, Args)]
pub struct TestSelection {
    /// Package to run tests for
    #[arg(short, long, value_name = "SPEC", help_heading = "Package Selection")]
    pub package: Vec<String>,
    /// Test all packages in the workspace
    #[arg(long, help_heading = "Package Selection")]
    pub workspace: bool,
    /// Exclude packages from the test
    #[arg(long, value_name = "SPEC", help_heading = "Package Selection")]
    pub exclude: Vec<String>,
    /// Alias for --workspace (deprecated)
    #[arg(long, help_heading = "Package Selection")]
    pub all: bool,

    /// Test only this package's library unit tests
    #[arg(long, help_heading = "Target Selection")]
    pub lib: bool,
    /// Test all binaries
    #[arg(long, help_heading = "Target Selection")]
    pub bins: bool,
    /// Test only the specified binary
    #[arg(long, value_name = "NAME", help_heading = "Target Selection")]
    pub bin: Vec<String>,
    /// Test all examples
    #[arg(long, help_heading = "Target Selection")]
    pub examples: bool,
    /// Test only the specified example
    #[arg(long, value_name = "NAME", help_heading = "Target Selection")]
    pub example: Vec<String>,
    /// Test all targets that have `test = true` set
    #[arg(long, help_heading = "Target Selection")]
    pub tests: bool,
    /// Test only the specified test target
    #[arg(long, value_name = "NAME", help_heading = "Target Selection")]
    pub test: Vec<String>,
    /// Test all targets that have `bench = true` set
    #[arg(long, help_heading = "Target Selection")]
    pub benches: bool,
    /// Test only the specified bench target
    #[arg(long, value_name = "NAME", help_heading = "Target Selection")]
    pub bench: Vec<String>,
    /// Test all targets (does not include doctests)
    #[arg(long, help_heading = "Target Selection")]
    pub all_targets: bool,
    /// Test only this library's documentation
    #[arg(long, help_heading = "Target Selection")]
    pub doc: bool,
}

impl TestSelection {
    /// As cargo takes it.
    #[must_use]
    pub fn to_cargo(&self) -> Vec<String> {
        let mut line = CargoLine::default();
        line.values("--package", &self.package);
        line.flag("--workspace", self.workspace);
        line.values("--exclude", &self.exclude);
        line.flag("--all", self.all);
        line.flag("--lib", self.lib);
        line.flag("--bins", self.bins);
        line.values("--bin", &self.bin);
        line.flag("--examples", self.examples);
        line.values("--example", &self.example);
        line.flag("--tests", self.tests);
        line.values("--test", &self.test);
        line.flag("--benches", self.benches);
        line.values("--bench", &self.bench);
        line.flag("--all-targets", self.all_targets);
        line.flag("--doc", self.doc);
        line.0
    }
}

/// How to build: the options that `cargo test` and `cargo run` share.
#[derive(Debug, Clone, Args)]
pub struct BuildOptions {
    /// Leave data races out: look for leaks and deadlocks alone
    ///
    /// Nothing is instrumented, neither the program nor the standard library,
    /// so that it runs about as fast as without leakcheck.
    #[arg(long, help_heading = "Detection and Report Options")]
    pub no_races: bool,

    /// Space or comma separated list of features to activate
    #[arg(
        short = 'F',
        long,
        value_name = "FEATURES",
        help_heading = "Feature Selection"
    )]
    pub features: Vec<String>,
    /// Activate all available features
    #[arg(long, help_heading = "Feature Selection")]
    pub all_features: bool,
    /// Do not activate the `default` feature
    #[arg(long, help_heading = "Feature Selection")]
    pub no_default_features: bool,

    /// Number of parallel build jobs, defaults to # of CPUs
    #[arg(
        short,
        long,
        value_name = "N",
        allow_hyphen_values = true,
        help_heading = "Compilation Options"
    )]
    pub jobs: Option<String>,
    /// Do not abort the build as soon as there is an error
    #[arg(long, help_heading = "Compilation Options")]
    pub keep_going: bool,
    /// Build artifacts in release mode, with optimizations
    #[arg(short, long, help_heading = "Compilation Options")]
    pub release: bool,
    /// Build artifacts with the specified profile
    #[arg(
        long,
        value_name = "PROFILE-NAME",
        help_heading = "Compilation Options"
    )]
    pub profile: Option<String>,
    /// Build for the target triple; only that of this machine can be run
    #[arg(long, value_name = "TRIPLE", help_heading = "Compilation Options")]
    pub target: Vec<String>,
    /// Directory for all generated artifacts; ours go to a directory inside
    #[arg(long, value_name = "DIRECTORY", help_heading = "Compilation Options")]
    pub target_dir: Option<PathBuf>,
    /// Timing output of cargo
    #[arg(long, help_heading = "Compilation Options")]
    pub timings: bool,

    /// Path to Cargo.toml
    #[arg(long, value_name = "PATH", help_heading = "Manifest Options")]
    pub manifest_path: Option<PathBuf>,
    /// Ignore `rust-version` specification in packages
    #[arg(long, help_heading = "Manifest Options")]
    pub ignore_rust_version: bool,
    /// Assert that `Cargo.lock` will remain unchanged
    #[arg(long, help_heading = "Manifest Options")]
    pub locked: bool,
    /// Run without accessing the network
    #[arg(long, help_heading = "Manifest Options")]
    pub offline: bool,
    /// Equivalent to specifying both --locked and --offline
    #[arg(long, help_heading = "Manifest Options")]
    pub frozen: bool,

    /// Override a configuration value
    #[arg(long, value_name = "KEY=VALUE|PATH", help_heading = "Cargo Options")]
    pub config: Vec<String>,
    /// Unstable (nightly-only) flags to cargo
    #[arg(short = 'Z', value_name = "FLAG", help_heading = "Cargo Options")]
    pub unstable: Vec<String>,
    /// Outputs a future incompatibility report at the end of the build
    #[arg(long, help_heading = "Cargo Options")]
    pub future_incompat_report: bool,
    /// Coloring
    #[arg(long, value_enum, value_name = "WHEN")]
    pub color: Option<Color>,
    /// How much cargo says.
    #[command(flatten)]
    pub verbosity: Verbosity,
}

impl BuildOptions {
    /// What cargo takes, but `--target` and `--target-dir`, which the plan
    /// decides.
    #[must_use]
    pub fn to_cargo(&self) -> Vec<String> {
        let mut line = CargoLine::default();
        line.values("--features", &self.features);
        line.flag("--all-features", self.all_features);
        line.flag("--no-default-features", self.no_default_features);
        line.values("--jobs", &self.jobs);
        line.flag("--keep-going", self.keep_going);
        line.flag("--release", self.release);
        line.values("--profile", &self.profile);
        line.flag("--timings", self.timings);
        line.flag("--ignore-rust-version", self.ignore_rust_version);
        line.flag("--future-incompat-report", self.future_incompat_report);
        for _ in 0..self.verbosity.verbose {
            line.flag("--verbose", true);
        }
        line.flag("--quiet", self.verbosity.quiet);
        line.0.extend(self.manifest_options());
        line.0
    }

    /// Those that say where and how the manifest is read: `cargo metadata`
    /// takes them too.
    #[must_use]
    pub fn manifest_options(&self) -> Vec<String> {
        let mut line = CargoLine::default();
        let manifest = self
            .manifest_path
            .as_ref()
            .map(|path| path.display().to_string());
        line.values("--manifest-path", &manifest);
        line.flag("--locked", self.locked);
        line.flag("--offline", self.offline);
        line.flag("--frozen", self.frozen);
        line.values("--config", &self.config);
        for flag in &self.unstable {
            line.0.push("-Z".to_owned());
            line.0.push(flag.clone());
        }
        let color = self.color.map(|color| {
            match color {
                Color::Auto => "auto",
                Color::Always => "always",
                Color::Never => "never",
            }
            .to_owned()
        });
        line.values("--color", &color);
        line.0
    }
}

#[derive(Default)]
struct CargoLine(Vec<String>);

impl CargoLine {
    fn flag(&mut self, name: &str, set: bool) {
        if set {
            self.0.push(name.to_owned());
        }
    }

    fn values<'a>(&mut self, name: &str, values: impl IntoIterator<Item = &'a String>) {
        // `--name=value`, so that a value that begins with `-` stays one.
        self.0
            .extend(values.into_iter().map(|value| format!("{name}={value}")));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::test_args;

    /// Every selection and build option that `cargo test` documents, but
    /// `--target` and `--target-dir`.
    #[test]
    fn options_reach_cargo_unchanged() {
        let line = "--package=a --package=b@1.0 --workspace --exclude=c --all --lib --bins \
            --bin=d --examples --example=e --tests --test=f --benches --bench=g --all-targets \
            --doc";
        let args = test_args(line);
        assert_eq!(
            args.selection.to_cargo(),
            line.split_whitespace().collect::<Vec<_>>()
        );

        let line = "--features=x,y --features=z --all-features --no-default-features --jobs=-1 \
            --keep-going --release --profile=ci --timings --ignore-rust-version \
            --future-incompat-report --verbose --verbose --manifest-path=d/Cargo.toml --locked \
            --offline --frozen --config=net.offline=true -Z unstable-options --color=never";
        let args = test_args(line);
        assert_eq!(
            args.build.to_cargo(),
            line.split_whitespace().collect::<Vec<_>>()
        );
    }

    #[test]
    fn short_forms() {
        let args = test_args("-p a -F x -j4 -r -q -Zfoo");
        assert_eq!(args.selection.to_cargo(), ["--package=a"]);
        assert_eq!(
            args.build.to_cargo(),
            [
                "--features=x",
                "--jobs=4",
                "--release",
                "--quiet",
                "-Z",
                "foo"
            ]
        );
    }
}
