//! The command line resolved: which project, which toolchain, which
//! directories, and what of the user's own configuration is chained.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_config2::{Config, ResolveOptions};
use cargo_metadata::{Metadata, MetadataCommand};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::args::BuildOptions;
use crate::collect::CollectOptions;
use crate::driver::env::{self, Environment};
use crate::driver::flags::{FLAGS_VERSION, Instrumentation};
use crate::error::Error;
use crate::model::Gap;
use crate::overlay;
use crate::sysroot::{self, Cache, PASS_FLAGS, Toolchain};

mod config_arguments;
mod old_builds;
mod user_runner;

use config_arguments::ConfigArguments;
use user_runner::user_runner;

/// The one platform whose runtime there is.
pub const SUPPORTED_HOST: &str = "x86_64-unknown-linux-gnu";

/// Which source files are the project's own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SourceDirectories {
    /// Root of the workspace.
    pub workspace_root: PathBuf,
    /// Directories of its packages, and of those it depends on by path.
    pub package_dirs: Vec<PathBuf>,
    /// Directories of other packages, as far as a build has named them.
    pub dependency_dirs: Vec<PathBuf>,
    /// The source of the standard library, if it is installed.
    pub rust_src: Option<PathBuf>,
}

impl SourceDirectories {
    /// Adds a package that a build has named.
    pub fn add_package(&mut self, dir: PathBuf, by_path: bool) {
        let dirs = if by_path {
            &mut self.package_dirs
        } else {
            &mut self.dependency_dirs
        };
        if !dirs.contains(&dir) {
            dirs.push(dir);
        }
    }

    /// Leaves them for a target runner, which has no driver to ask.
    fn store(&self, path: &Path) -> Result<(), Error> {
        let text = serde_json::to_string(self).map_err(Error::Encode)?;
        let write = |source| Error::Write {
            path: path.to_owned(),
            source,
        };
        let temporary = path.with_extension(std::process::id().to_string());
        std::fs::write(&temporary, text)
            .and_then(|()| std::fs::rename(&temporary, path))
            .map_err(write)
    }

    /// As the driver left them.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read(path).map_err(|source| Error::Read {
            path: path.to_owned(),
            source,
        })?;
        serde_json::from_slice(&text).map_err(|source| Error::BadRecord {
            path: path.to_owned(),
            source,
        })
    }
}

impl From<SourceDirectories> for CollectOptions {
    fn from(sources: SourceDirectories) -> Self {
        Self {
            workspace_root: sources.workspace_root,
            package_dirs: sources.package_dirs,
            dependency_dirs: sources.dependency_dirs,
            rust_src: sources.rust_src,
        }
    }
}

/// Where the project is.
#[derive(Debug, Clone)]
pub struct Project {
    /// Its own source files.
    pub sources: SourceDirectories,
    /// cargo's target directory, with leakcheck's directory inside.
    pub target_dir: PathBuf,
    /// cargo's directory for intermediate artifacts, where it is another.
    pub build_dir: Option<PathBuf>,
}

impl Project {
    /// Asks cargo.
    ///
    /// # Errors
    /// If there is no project, or cargo cannot read it.
    pub fn find(build: &BuildOptions, user: &Environment) -> Result<Self, Error> {
        let answer = metadata(build, user, &["--no-deps"])?;
        let metadata = MetadataCommand::parse(answer).map_err(Error::MetadataAnswer)?;
        Self::of_metadata(&metadata, build)
    }

    /// What `cargo metadata` says with dependencies: what packages ship for
    /// leakcheck, and what filtersets speak of.
    ///
    /// # Errors
    /// If cargo cannot read the project.
    pub fn metadata(build: &BuildOptions, user: &Environment) -> Result<String, Error> {
        metadata(build, user, &["--filter-platform", SUPPORTED_HOST])
    }

    fn of_metadata(metadata: &Metadata, build: &BuildOptions) -> Result<Self, Error> {
        let here = std::env::current_dir().map_err(Error::CurrentDir)?;
        let target_dir = match &build.target_dir {
            Some(dir) => here.join(dir),
            None => metadata.target_directory.clone().into_std_path_buf(),
        };
        let build_dir = metadata
            .build_directory
            .as_ref()
            .filter(|dir| **dir != metadata.target_directory)
            .map(|dir| dir.clone().into_std_path_buf());
        let package_dirs = metadata
            .workspace_packages()
            .iter()
            .filter_map(|package| package.manifest_path.parent())
            .map(|dir| dir.to_owned().into_std_path_buf())
            .collect();
        Ok(Self {
            sources: SourceDirectories {
                workspace_root: metadata.workspace_root.clone().into_std_path_buf(),
                package_dirs,
                dependency_dirs: Vec::new(),
                rust_src: None,
            },
            target_dir,
            build_dir,
        })
    }

    /// All that leakcheck builds for the project.
    #[must_use]
    pub fn leakcheck_dir(&self) -> PathBuf {
        self.target_dir.join("leakcheck")
    }
}

/// Everything that is decided before cargo is called.
#[derive(Debug)]
pub struct Plan {
    /// The user's environment.
    pub user: Environment,
    /// The project.
    pub project: Project,
    /// Target triple.
    pub host: String,
    /// Our own target directory for this toolchain and these flags.
    pub target_dir: PathBuf,
    /// The user's own target runner: a program and its arguments.
    pub runner: Vec<String>,
    cargo: OsString,
    environment: Environment,
    overrides: Vec<String>,
}

impl Plan {
    /// Resolves the options; prepares the instrumented std if need be, and
    /// tells so through `progress`.
    ///
    /// # Errors
    /// If there is no project, the platform or target is not supported, or
    /// std or runtime cannot be prepared.
    pub fn resolve(build: &BuildOptions, progress: &mut dyn FnMut(&str)) -> Result<Self, Error> {
        let user = Environment::of_user()?;
        let mut project = Project::find(build, &user)?;

        let here = std::env::current_dir().map_err(Error::CurrentDir)?;
        let variables: Vec<(OsString, OsString)> = user
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let config = Config::load_with_options(&here, ResolveOptions::default().env(variables))
            .map_err(Error::Config)?;
        let arguments = ConfigArguments::parse(&build.config)?;

        let rustc = config
            .build
            .rustc
            .clone()
            .unwrap_or_else(|| PathBuf::from("rustc"));
        let toolchain = Toolchain::detect(&rustc)?;
        if toolchain.host != SUPPORTED_HOST {
            return Err(Error::UnsupportedHost {
                host: toolchain.host,
            });
        }
        check_targets(build, &config, &arguments, &toolchain.host)?;

        project.sources.rust_src =
            Some(toolchain.sysroot.join("lib/rustlib/src/rust")).filter(|source| source.is_dir());

        let cache = Cache::locate()?;
        let instrumentation = Instrumentation {
            sysroot: if build.no_races {
                None
            } else {
                Some(sysroot::ensure(&toolchain, &cache, progress)?)
            },
            runtime: if build.no_races {
                crate::runtime::ensure_without_races(&cache)?
            } else {
                crate::runtime::ensure(&cache)?
            },
        };
        let target_dir = project.leakcheck_dir().join(key(&instrumentation));
        old_builds::note_use(&project.leakcheck_dir(), &target_dir)?;

        let runner = user_runner(&arguments, &config, &here, &user, &toolchain.host)?;
        let wrapper = arguments
            .wrapper()
            .map(PathBuf::from)
            .or(config.build.rustc_wrapper.clone());
        let wrapper = wrapper.filter(|wrapper| !wrapper.as_os_str().is_empty());
        let rustdoc = match &config.build.rustdoc {
            Some(rustdoc) => rustdoc.clone(),
            None => Some(toolchain.sysroot.join("bin/rustdoc"))
                .filter(|rustdoc| rustdoc.exists())
                .unwrap_or_else(|| PathBuf::from("rustdoc")),
        };

        let mut environment = user.clone();
        environment.overlay(&variables_for_cargo(&Wiring {
            user: &user,
            instrumentation: &instrumentation,
            project: &project,
            host: &toolchain.host,
            target_dir: &target_dir,
            wrapper: wrapper.as_deref(),
            rustdoc: &rustdoc,
            runner: &runner,
        })?)?;
        let overrides = overrides(
            &arguments,
            &environment,
            &project,
            &toolchain.host,
            &target_dir,
        );
        Ok(Self {
            overrides,
            cargo: cargo(&user),
            user,
            project,
            host: toolchain.host,
            target_dir,
            runner,
            environment,
        })
    }

    /// A call of cargo with everything wired, but without arguments.
    #[must_use]
    pub fn cargo(&self) -> Command {
        let mut command = Command::new(&self.cargo);
        self.environment.apply(&mut command);
        command
    }

    /// The arguments that say for which target and where to build. They come
    /// last: of several `--config` the last one wins.
    #[must_use]
    pub fn target_args(&self) -> Vec<OsString> {
        let mut dir = OsString::from("--target-dir=");
        dir.push(&self.target_dir);
        let mut args = vec![format!("--target={}", self.host).into(), dir];
        args.extend(
            self.overrides
                .iter()
                .map(|key| format!("--config={key}").into()),
        );
        args
    }

    /// The environment for a shell in which plain cargo commands instrument.
    ///
    /// # Errors
    /// If a variable of the user's cannot be noted.
    pub fn shell_environment(&self) -> Result<Environment, Error> {
        let mut environment = self.environment.clone();
        environment.overlay(&[
            ("CARGO_BUILD_TARGET".to_owned(), self.host.clone().into()),
            (
                "CARGO_TARGET_DIR".to_owned(),
                self.target_dir.clone().into(),
            ),
        ])?;
        Ok(environment)
    }

    /// What goes unseen of a crate that was built, because it is an executor
    /// that could not be patched.
    #[must_use]
    pub fn unseen(&self, package: &str, version: &str) -> Vec<String> {
        overlay::notes::read(&overlays(&self.target_dir), package, version)
    }

    /// As [`Plan::unseen`], of all executors that the project's lock file has.
    #[must_use]
    pub fn unseen_of_project(&self) -> Vec<Gap> {
        let root = &self.project.sources.workspace_root;
        overlay::notes::of_project(&overlays(&self.target_dir), root)
    }

    /// The whole environment for cargo.
    #[must_use]
    pub const fn environment(&self) -> &Environment {
        &self.environment
    }
}

/// What the environment says and a `--config` argument would win over.
fn overrides(
    arguments: &ConfigArguments,
    environment: &Environment,
    project: &Project,
    host: &str,
    target_dir: &Path,
) -> Vec<String> {
    let runner = environment
        .get(&env::runner_variable(host))
        .map(OsStr::to_string_lossy);
    let runner = runner.and_then(|runner| arguments.replace_runner(host, &runner));
    let build_dir = project.build_dir.as_ref().map(|_| {
        let dir = toml::Value::String(target_dir.display().to_string());
        format!("build.build-dir={dir}")
    });
    runner.into_iter().chain(build_dir).collect()
}

/// What `cargo metadata` says when it is asked so.
fn metadata(build: &BuildOptions, user: &Environment, asked: &[&str]) -> Result<String, Error> {
    let cargo = cargo(user);
    let mut command = Command::new(&cargo);
    user.apply(&mut command);
    command.args(["metadata", "--format-version=1"]).args(asked);
    command.args(build.manifest_options());
    let output = command.output().map_err(|source| Error::Spawn {
        program: cargo.into(),
        source,
    })?;
    if !output.status.success() {
        return Err(Error::Metadata {
            said: String::from_utf8_lossy(&output.stderr).into_owned(),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn cargo(user: &Environment) -> OsString {
    user.get("CARGO")
        .map_or_else(|| OsString::from("cargo"), OsStr::to_owned)
}

fn check_targets(
    build: &BuildOptions,
    config: &Config,
    arguments: &ConfigArguments,
    host: &str,
) -> Result<(), Error> {
    let from_command_line = !build.target.is_empty();
    let targets = match arguments.targets() {
        Some(targets) if !from_command_line => targets,
        Some(_) | None => config
            .build_target_for_cli(&build.target)
            .map_err(Error::Config)?,
    };
    match targets
        .into_iter()
        .find(|target| target != host && target != "host-tuple")
    {
        None => Ok(()),
        Some(target) => Err(Error::UnsupportedTarget {
            target,
            host: host.to_owned(),
            from_command_line,
        }),
    }
}

/// Artifacts made with other flags, another std or another runtime must not
/// mix, and cargo's fingerprints do not see what a wrapper adds.
fn key(instrumentation: &Instrumentation) -> String {
    let mut hash = Sha256::new();
    hash.update(FLAGS_VERSION.to_le_bytes());
    for flag in PASS_FLAGS {
        hash.update(flag.as_bytes());
        hash.update([0]);
    }
    if let Some(sysroot) = &instrumentation.sysroot {
        hash.update(sysroot.as_os_str().as_encoded_bytes());
    }
    hash.update([0]);
    hash.update(instrumentation.runtime.as_os_str().as_encoded_bytes());
    hash.update([0]);
    hash.update(overlay::key());
    digits(&hash.finalize())
}

/// Where patched copies of executors are.
fn overlays(target_dir: &Path) -> PathBuf {
    target_dir.join("overlays")
}

/// The first digits of a hash.
fn digits(hash: &[u8]) -> String {
    hash.iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

struct Wiring<'a> {
    user: &'a Environment,
    instrumentation: &'a Instrumentation,
    project: &'a Project,
    host: &'a str,
    target_dir: &'a Path,
    wrapper: Option<&'a Path>,
    rustdoc: &'a Path,
    runner: &'a [String],
}

fn variables_for_cargo(wiring: &Wiring<'_>) -> Result<Vec<(String, OsString)>, Error> {
    let own = std::env::current_exe().map_err(Error::OwnExecutable)?;
    let bin = wiring.target_dir.join("bin");
    std::fs::create_dir_all(&bin).map_err(|source| Error::Write {
        path: bin.clone(),
        source,
    })?;
    let rustc = link(&own, &bin.join(env::RUSTC_ROLE))?;
    let rustdoc = link(&own, &bin.join(env::RUSTDOC_ROLE))?;
    let runner = link(&own, &bin.join(env::RUNNER_ROLE))?;
    let root = wiring.project.sources.workspace_root.as_os_str();
    let project = bin.with_file_name(format!(
        "project-{}.json",
        digits(&Sha256::digest(root.as_encoded_bytes()))
    ));
    wiring.project.sources.store(&project)?;

    let mut variables: Vec<(&str, OsString)> = vec![
        (env::ACTIVE, "1".into()),
        ("RUSTC_WRAPPER", rustc.into()),
        ("RUSTDOC", rustdoc.into()),
        (env::RUNTIME, wiring.instrumentation.runtime.clone().into()),
        (env::OVERLAYS, overlays(wiring.target_dir).into()),
        (env::CHAINED_RUSTDOC, wiring.rustdoc.into()),
        (
            env::CHAINED_RUNNER,
            serde_json::to_string(wiring.runner)
                .map_err(Error::Encode)?
                .into(),
        ),
        (env::PROJECT, project.into()),
    ];
    match &wiring.instrumentation.sysroot {
        Some(sysroot) => variables.push((env::SYSROOT, sysroot.into())),
        None => variables.push((env::NO_RACES, "1".into())),
    }
    if let Some(wrapper) = wiring.wrapper {
        variables.push((env::CHAINED_WRAPPER, wrapper.into()));
    }
    if wiring.project.build_dir.is_some() {
        variables.push(("CARGO_BUILD_BUILD_DIR", wiring.target_dir.into()));
    }
    let mut variables: Vec<(String, OsString)> = variables
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    // cargo splits the variable at spaces: where the path has one, the name is
    // looked up in PATH.
    let runner = if runner.to_string_lossy().contains(char::is_whitespace) {
        let mut path = bin.into_os_string();
        if let Some(old) = wiring.user.get("PATH") {
            path.push(":");
            path.push(old);
        }
        variables.push(("PATH".to_owned(), path));
        env::RUNNER_ROLE.into()
    } else {
        runner.into_os_string()
    };
    variables.push((env::runner_variable(wiring.host), runner));
    Ok(variables)
}

/// Makes `path` a symbolic link to `own`, at no time missing or half-made.
fn link(own: &Path, path: &Path) -> Result<PathBuf, Error> {
    if std::fs::read_link(path).is_ok_and(|target| target == own) {
        return Ok(path.to_owned());
    }
    let temporary = path.with_extension(std::process::id().to_string());
    symlink(own, &temporary)
        .and_then(|()| std::fs::rename(&temporary, path))
        .map_err(|source| Error::Write {
            path: path.to_owned(),
            source,
        })?;
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Instrumentation, key, link};

    #[test]
    fn the_key_depends_on_sysroot_and_runtime() {
        let of = |sysroot: &str, runtime: &str| {
            key(&Instrumentation {
                sysroot: (!sysroot.is_empty()).then(|| sysroot.into()),
                runtime: runtime.into(),
            })
        };
        assert_eq!(of("/a", "/b"), of("/a", "/b"));
        assert_ne!(of("/a", "/b"), of("/a", "/c"));
        assert_ne!(of("/a", "/b"), of("/c", "/b"));
        assert_ne!(of("/a", "/b"), of("/a/b", ""));
        assert_ne!(of("/a", "/b"), of("", "/b"));
    }

    #[test]
    fn links_are_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("leakcheck-rustc");
        for own in ["/first", "/second", "/second"] {
            link(own.as_ref(), &path).unwrap();
            assert_eq!(
                std::fs::read_link(&path).unwrap(),
                std::path::Path::new(own)
            );
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
