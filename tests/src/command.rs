//! Runs the real command on a fixture.
//!
//! All runs of one test program share a target directory and a cache below
//! cargo's directory for such things, so that each toolchain is prepared and
//! each crate compiled once. Nothing of the environment in which cargo runs
//! the tests reaches the command: it is that of a user's shell.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::messages::{Finding, Message, Summary, TestLine};

/// Top of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package
        .parent()
        .expect("the package is in the workspace")
        .to_owned()
}

/// Directory of a fixture.
#[must_use]
pub fn fixture(name: &str) -> PathBuf {
    repository().join("fixtures").join(name)
}

/// Where the runs keep what they build.
#[derive(Debug, Clone)]
pub struct Workshop {
    program: PathBuf,
    scratch: PathBuf,
}

/// A call that is being put together.
#[derive(Debug)]
pub struct Call {
    command: Command,
}

/// How a call ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// What it wrote for machines, or the program's own output.
    pub stdout: String,
    /// What it wrote for people.
    pub stderr: String,
}

/// Variables of the outer cargo and its test program. The rest of the
/// environment is the user's and stays.
fn is_of_outer_cargo(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else {
        return false;
    };
    let kept = ["CARGO_HOME", "CARGO_NET_OFFLINE"];
    !kept.contains(&name)
        && (name.starts_with("CARGO")
            || name.starts_with("LEAKCHECK")
            || name.starts_with("INSTA_")
            || name.starts_with("RUST_")
            || ["RUSTFLAGS", "RUSTDOCFLAGS", "LD_LIBRARY_PATH", "OUT_DIR"].contains(&name))
}

impl Workshop {
    /// For the program `CARGO_BIN_EXE_…` and the directory
    /// `CARGO_TARGET_TMPDIR` of the test program.
    #[must_use]
    pub fn new(program: &str, scratch: &str) -> Self {
        Self {
            program: program.into(),
            scratch: scratch.into(),
        }
    }

    /// The program that is tested.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The target directory that all calls share.
    #[must_use]
    pub fn target_dir(&self) -> PathBuf {
        self.scratch.join("fixtures")
    }

    /// The cache that all calls share.
    #[must_use]
    pub fn cache_dir(&self) -> PathBuf {
        self.scratch.join("cache")
    }

    /// A call with these arguments, in the directory of a fixture.
    #[must_use]
    pub fn call<A: AsRef<OsStr>>(&self, fixture_name: &str, args: &[A]) -> Call {
        self.call_in(&fixture(fixture_name), args)
    }

    /// A call with these arguments, in some directory.
    #[must_use]
    pub fn call_in<A: AsRef<OsStr>>(&self, dir: &Path, args: &[A]) -> Call {
        self.call_program(&self.program, dir, args)
    }

    /// A call of another program in the environment of a call.
    #[must_use]
    pub fn call_program<A: AsRef<OsStr>>(
        &self,
        program: impl AsRef<OsStr>,
        dir: &Path,
        args: &[A],
    ) -> Call {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if is_of_outer_cargo(&name) {
                command.env_remove(name);
            }
        }
        command
            .args(args)
            .current_dir(dir)
            .env("CARGO_TARGET_DIR", self.target_dir())
            .env("LEAKCHECK_CACHE_DIR", self.cache_dir())
            .env("CARGO_TERM_COLOR", "never")
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null());
        Call { command }
    }

    /// `leakcheck test --message-format json` on a fixture.
    #[must_use]
    pub fn test<A: AsRef<OsStr>>(&self, fixture_name: &str, args: &[A]) -> Call {
        let mut words: Vec<OsString> = ["test", "--message-format", "json"].map(Into::into).into();
        words.extend(args.iter().map(|arg| arg.as_ref().to_owned()));
        self.call(fixture_name, &words)
    }
}

impl Call {
    /// With a variable set.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// With a variable unset.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// The command itself, for what is not run to its end.
    #[must_use]
    pub fn into_command(self) -> Command {
        self.command
    }

    /// In a process group of its own, which is not the terminal's: as CI calls
    /// it.
    #[must_use]
    pub fn away_from_the_terminal(mut self) -> Self {
        self.command.process_group(0);
        self
    }

    /// Interrupts it (SIGINT, to it alone) once it has said a line to people
    /// that `is_time` knows, and waits for its end. What it says to machines
    /// is left aside, and so is what it said before.
    ///
    /// # Panics
    /// If it cannot be started or interrupted, ends early, or what it writes
    /// is not UTF-8.
    #[must_use]
    pub fn interrupt_after(mut self, is_time: impl Fn(&str) -> bool) -> Ended {
        let mut child = self
            .command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut line = String::new();
        while !is_time(&line) {
            line.clear();
            let length = stderr.read_line(&mut line).expect("it writes UTF-8");
            assert!(length > 0, "it ended early");
        }
        let interrupted = Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .expect("there is a `kill`");
        assert!(interrupted.success());
        let rest = std::io::read_to_string(stderr).expect("it writes UTF-8");
        Ended {
            code: child.wait().expect("it is our child").code(),
            stdout: String::new(),
            stderr: rest,
        }
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// If it cannot be started, or what it writes is not UTF-8.
    #[must_use]
    pub fn run(mut self) -> Ended {
        let output = self.command.output().unwrap_or_else(|error| {
            panic!(
                "failed to run {}: {error}",
                self.command.get_program().display()
            )
        });
        let text = |bytes| String::from_utf8(bytes).expect("the command writes UTF-8");
        Ended {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

impl Ended {
    /// What it said to machines.
    ///
    /// # Panics
    /// If a line is not a message of the documented form.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        let parse = |line| {
            Message::parse(line)
                .unwrap_or_else(|error| panic!("a line is no message: {error}\n{line}"))
        };
        self.stdout.lines().map(parse).collect()
    }

    /// Its findings.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let finding = |message| match message {
            Message::Finding(finding) => Some(*finding),
            Message::Test(_) | Message::Summary(_) => None,
        };
        self.messages().into_iter().filter_map(finding).collect()
    }

    /// The tests that it ran.
    #[must_use]
    pub fn tests(&self) -> Vec<TestLine> {
        let test = |message| match message {
            Message::Test(test) => Some(test),
            Message::Finding(_) | Message::Summary(_) => None,
        };
        self.messages().into_iter().filter_map(test).collect()
    }

    /// Its last line.
    ///
    /// # Panics
    /// If the last line is not a summary.
    #[must_use]
    pub fn summary(&self) -> Summary {
        match self.messages().pop() {
            Some(Message::Summary(summary)) => summary,
            other => panic!("the last line is no summary: {other:?}\n{}", self.stderr),
        }
    }

    /// Asserts the exit code, and shows all output if it is another.
    #[track_caller]
    pub fn assert_code(&self, code: i32) -> &Self {
        let (out, err) = (&self.stdout, &self.stderr);
        assert_eq!(
            self.code,
            Some(code),
            "exit code\n── stdout\n{out}\n── stderr\n{err}"
        );
        self
    }
}
