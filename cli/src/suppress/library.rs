//! Marks that a library ships for its own threads and tasks, in its
//! `Cargo.toml`:
//!
//! ```toml
//! [[package.metadata.leakcheck.daemon]]
//! thread = "my-lib-timer"
//! reason = "one timer for the process, by design"
//! ```
//!
//! A library can speak for itself alone: a mark matches leaked threads and
//! tasks that its own crate has spawned, be it by way of a crate that it depends
//! on, such as an executor or a pool, or, with `runs`, those that run a function of its, whoever has spawned them:
//!
//! ```toml
//! [[package.metadata.leakcheck.daemon]]
//! runs = "my_lib::Connection::drive"
//! reason = "lives as long as the connection; the user spawns it"
//! ```

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use cargo_metadata::{DependencyKind, Metadata, Node, NodeDep, Package, PackageId, Target};
use leakcheck::report::kind::Kind;
use serde::Deserialize;

use super::glob::Glob;
use super::rule::{Matcher, Owner, Rule};
use crate::config::Selector;
use crate::config::read::ConfigError;
use crate::model::{Gap, GapReason};

#[derive(Debug, Default, Deserialize)]
struct PackageMetadata {
    #[serde(default)]
    leakcheck: Option<Marks>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Marks {
    #[serde(default)]
    daemon: Vec<Daemon>,
}

/// A thread or task that stays by design.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Daemon {
    /// Its name; `*` matches anything.
    thread: Option<String>,
    /// A function on its stack or on that of its spawner.
    function: Option<String>,
    /// A function of the library that it runs, whoever has spawned it.
    runs: Option<String>,
    /// Why it stays.
    reason: String,
}

/// The rules of all packages, and what could not be read: what others ship
/// cannot be mended here, so it is told and left out.
///
/// # Errors
/// Names the manifest whose marks are not valid, if it is one of the
/// workspace.
pub fn rules(metadata: &Metadata) -> Result<Read, ConfigError> {
    let mut read = Read::default();
    for package in &metadata.packages {
        let own = metadata.workspace_members.contains(&package.id);
        match marks(package) {
            Ok(marks) => {
                if marks.daemon.is_empty() {
                    continue;
                }
                let name = crate_name(package);
                let helpers = helpers(metadata, &package.id);
                let rules = marks.daemon.into_iter();
                read.rules.extend(rules.map(|daemon| {
                    let owner = Owner {
                        name: name.clone(),
                        helpers: helpers.clone(),
                        runs: daemon.runs.as_deref().map(Glob::whole),
                    };
                    rule(package, owner, own, daemon)
                }));
            }
            Err(reason) if own => {
                return Err(ConfigError::Value {
                    path: Path::new(package.manifest_path.as_str()).to_owned(),
                    what: "[package.metadata.leakcheck]".to_owned(),
                    reason,
                });
            }
            Err(reason) => read.unreadable.push(Gap {
                reason: GapReason::UnreadableMarks,
                detail: Some(format!("{} {}: {reason}", package.name, package.version)),
                count: 1,
            }),
        }
    }
    Ok(read)
}

/// What [`rules`] has read.
#[derive(Debug, Default)]
pub struct Read {
    /// The rules.
    pub rules: Vec<Rule>,
    /// Packages whose marks could not be read.
    pub unreadable: Vec<Gap>,
}

/// The name of a package's library, as code has it.
fn crate_name(package: &Package) -> String {
    let is_library = |target: &&Target| target.is_lib() || target.is_rlib() || target.is_dylib();
    let library = package.targets.iter().find(is_library);
    let name = library.map_or(package.name.as_str(), |target| &target.name);
    name.replace('-', "_")
}

/// The crates that a package depends on, near and far.
fn helpers(metadata: &Metadata, package: &PackageId) -> BTreeSet<String> {
    let nodes: HashMap<&PackageId, &Node> = metadata
        .resolve
        .iter()
        .flat_map(|resolve| &resolve.nodes)
        .map(|node| (&node.id, node))
        .collect();
    let is_normal = |dep: &&NodeDep| {
        let mut kinds = dep.dep_kinds.iter();
        kinds.any(|kind| kind.kind == DependencyKind::Normal)
    };
    let mut seen: HashSet<&PackageId> = HashSet::new();
    let mut left = vec![package];
    while let Some(id) = left.pop() {
        let deps = nodes.get(id).into_iter().flat_map(|node| &node.deps);
        let new = deps.filter(is_normal).map(|dep| &dep.pkg);
        left.extend(new.filter(|id| seen.insert(id)));
    }
    seen.remove(package);
    let packages = metadata.packages.iter();
    packages
        .filter(|package| seen.contains(&package.id))
        .map(crate_name)
        .collect()
}

fn marks(package: &Package) -> Result<Marks, String> {
    let metadata: Option<PackageMetadata> =
        serde_json::from_value(package.metadata.clone()).map_err(|error| error.to_string())?;
    let marks = metadata.and_then(|metadata| metadata.leakcheck);
    let marks = marks.unwrap_or_default();
    for daemon in &marks.daemon {
        if daemon.thread.is_none() && daemon.function.is_none() && daemon.runs.is_none() {
            return Err("a `daemon` needs `thread`, `function` or `runs`".to_owned());
        }
        if daemon.reason.trim().is_empty() {
            return Err("the `reason` of a `daemon` is empty: say why".to_owned());
        }
    }
    Ok(marks)
}

fn rule(package: &Package, owner: Owner, own: bool, daemon: Daemon) -> Rule {
    let said = [
        ("thread", &daemon.thread),
        ("function", &daemon.function),
        ("runs", &daemon.runs),
    ];
    let said: Vec<String> = said
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name} = \"{}\"", value.as_ref()?)))
        .collect();
    Rule {
        source: format!("the manifest of {} {}", package.name, package.version),
        entry: format!("daemon {}", said.join(", ")),
        reason: daemon.reason,
        expires: None,
        // What a library ships to everybody need not match in each of them.
        told_when_unmatched: own,
        matcher: Matcher {
            kinds: Some(Kind::STAYS.map(Selector::Kind).to_vec()),
            thread: daemon.thread.as_deref().map(Glob::whole),
            function: daemon.function.as_deref().map(Glob::whole),
            owner: Some(owner),
            ..Matcher::default()
        },
    }
}
