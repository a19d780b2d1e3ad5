//! Which tests there are: from the calls that cargo would make, and from the
//! lists of the test binaries.

use std::path::Path;
use std::time::Duration;

use super::cargo::Origins;
use super::execute::{Conditions, execute};
use super::libtest::{BinaryArgs, Listing, Traits};
use super::process::Cause;
use super::record::{Call, What};
use crate::args::Partition;
use crate::error::Error;
use crate::filter::partition::part;
use crate::gate::Gate;
use crate::model::TestId;

/// A test binary.
#[derive(Debug)]
pub struct Binary {
    /// Its package.
    pub package: String,
    /// Its target.
    pub name: String,
    /// How cargo would call it.
    pub call: Call,
    /// What its symbols say.
    pub traits: Traits,
}

/// Index of a binary in [`Suite::binaries`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BinaryIndex(usize);

/// One process to run.
#[derive(Debug)]
pub struct Case {
    /// Its binary.
    pub binary: BinaryIndex,
    /// The test, or none for a binary without libtest.
    pub test: Option<String>,
    /// How long its threads may take to end, in milliseconds.
    pub grace: Option<u64>,
    /// How long it may take.
    pub limit: Option<Duration>,
}

/// All there is to run.
#[derive(Debug, Default)]
pub struct Suite {
    binaries: Vec<Binary>,
    /// In order.
    pub cases: Vec<Case>,
    /// Left out for `#[ignore]`.
    pub ignored: Vec<TestId>,
    /// The calls of rustdoc.
    pub doctests: Vec<Call>,
}

impl Suite {
    /// Looks at each binary and asks those with libtest for their tests.
    ///
    /// # Errors
    /// If a binary cannot be read or does not list its tests.
    pub fn list(
        calls: Vec<Call>,
        origins: &Origins,
        args: &BinaryArgs,
        scratch: &Path,
        conditions: &Conditions<'_>,
    ) -> Result<Self, Error> {
        let mut suite = Self::default();
        for call in calls {
            match call.what {
                What::Doctests => suite.doctests.push(call),
                What::Binary => suite.add(call, origins, args, scratch, conditions)?,
            }
        }
        Ok(suite)
    }

    /// Keeps the tests that the gate selects and, of them, the part that is
    /// to be run here, each with its own limits. Filtersets speak of tests in
    /// binaries: with one, and in all parts but the first, doctests are left
    /// out.
    pub fn select(&mut self, gate: &Gate, partition: Option<Partition>) {
        let mut cases = std::mem::take(&mut self.cases);
        if gate.filters() {
            cases.retain(|case| gate.selects(&self.id(case)));
            self.ignored.retain(|id| gate.selects(id));
            self.doctests.clear();
        }
        if let Some(partition) = partition {
            cases = part(cases, partition, |case| self.id(case).to_string());
            if partition.part > 1 {
                self.doctests.clear();
                self.ignored.clear();
            }
        }
        for case in &mut cases {
            let id = self.id(case);
            case.grace = gate.grace(&id);
            case.limit = gate.limit(&id);
        }
        self.cases = cases;
    }

    /// A binary.
    #[must_use]
    pub fn binary(&self, index: BinaryIndex) -> &Binary {
        &self.binaries[index.0]
    }

    /// All binaries.
    #[must_use]
    pub fn binaries(&self) -> &[Binary] {
        &self.binaries
    }

    /// The packages of all binaries, before any is left out.
    pub fn packages(&self) -> impl Iterator<Item = &str> {
        self.binaries.iter().map(|binary| binary.package.as_str())
    }

    /// The id of a case.
    #[must_use]
    pub fn id(&self, case: &Case) -> TestId {
        let binary = self.binary(case.binary);
        id(binary, case.test.as_deref().unwrap_or_default())
    }

    fn add(
        &mut self,
        call: Call,
        origins: &Origins,
        args: &BinaryArgs,
        scratch: &Path,
        conditions: &Conditions<'_>,
    ) -> Result<(), Error> {
        let traits = Traits::read(&call.program)?;
        let (package, name) = match origins.get(&call.program) {
            Some(origin) => (origin.package.clone(), origin.binary.clone()),
            None => (package_variable(&call), file_stem(&call)),
        };
        let index = BinaryIndex(self.binaries.len());
        let binary = Binary {
            package,
            name,
            call,
            traits,
        };
        if traits.libtest {
            let own = scratch.join(format!("list-{}", index.0));
            let all = list(&binary.call, args, false, &own.join("all"), conditions)?;
            let ignored = list(&binary.call, args, true, &own.join("ignored"), conditions)?;
            let listing = Listing::new(&all, &ignored, args.ignored);
            self.ignored
                .extend(listing.ignored.iter().map(|name| id(&binary, name)));
            self.cases.extend(listing.run.into_iter().map(|name| Case {
                binary: index,
                test: Some(name),
                grace: conditions.grace,
                limit: conditions.limit,
            }));
        } else {
            self.cases.push(Case {
                binary: index,
                test: None,
                grace: conditions.grace,
                limit: conditions.limit,
            });
        }
        self.binaries.push(binary);
        Ok(())
    }
}

fn id(binary: &Binary, name: &str) -> TestId {
    TestId {
        package: binary.package.clone(),
        binary: binary.name.clone(),
        name: name.to_owned(),
    }
}

fn list(
    call: &Call,
    args: &BinaryArgs,
    only_ignored: bool,
    own: &Path,
    conditions: &Conditions<'_>,
) -> Result<String, Error> {
    let executed = execute(
        call,
        &args.list_command(only_ignored),
        own,
        None,
        conditions,
        &|| (),
    )?;
    if executed.ended.cause == Cause::Itself && executed.ended.status.success() {
        Ok(executed.output)
    } else {
        Err(Error::List {
            binary: call.program.clone(),
            status: executed.ended.status,
            said: executed.output,
        })
    }
}

fn package_variable(call: &Call) -> String {
    call.environment
        .get("CARGO_PKG_NAME")
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// `name-0123456789abcdef` without the hash.
fn file_stem(call: &Call) -> String {
    let stem = call
        .program
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy();
    match stem.rsplit_once('-') {
        Some((name, hash)) if hash.len() == 16 => name.to_owned(),
        Some(_) | None => stem.into_owned(),
    }
}
