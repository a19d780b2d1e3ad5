//! The other tools, and what each of them finds of the lessons.
//!
//! LLVM's runtime gets the same instrumented objects as ours, std included.
//! helgrind and drd run the plain programs. Each test is a process of its own;
//! one that does not end in time is ended, which tells nobody anything. Several
//! run at once.

use std::error::Error;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::ops::AddAssign;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use leakcheck_cli::driver::process::{Cause, Group, Stop, supervise};
use leakcheck_tests::cases::{Case, Suite, case_of};
use leakcheck_tests::command::{Workshop, fixture};
use serde_json::Value;

use crate::compile::{Kit, Variant};

/// Status of a process in which a tool has found something.
pub const FOUND: i32 = 77;
/// How long a test may take: those that do not deadlock take a second or two,
/// or some under a tool of valgrind's.
pub const LIMIT: Duration = Duration::from_secs(20);
/// Tests that run at once: those that hang take no processor time.
const AT_ONCE: usize = 8;

/// A tool of valgrind's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Valgrind {
    /// Happens-before and lock order.
    Helgrind,
    /// Happens-before.
    Drd,
}

impl Valgrind {
    /// All of them, if valgrind is installed.
    pub fn installed() -> &'static [Self] {
        let there = Command::new("valgrind").arg("--version").output();
        match there {
            Ok(output) if output.status.success() => &[Self::Helgrind, Self::Drd],
            _ => &[],
        }
    }

    /// What valgrind calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Helgrind => "helgrind",
            Self::Drd => "drd",
        }
    }

    /// A program under the tool, which gets so much processor time.
    pub fn command(self, program: &Path, limit: Duration) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", "ulimit -t \"$0\"; exec \"$@\""])
            .arg(limit.as_secs().to_string())
            .arg("valgrind")
            .arg(format!("--tool={}", self.name()))
            .args(["--quiet", "--log-file=/dev/null"])
            .arg(format!("--error-exitcode={FOUND}"))
            .arg(program);
        command
    }
}

/// How often a tool was right.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Score {
    finds: u32,
    hangs: u32,
    misses: u32,
    alarms: u32,
}

/// What became of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Something,
    Nothing,
    /// It had to be ended.
    Hang,
}

impl Score {
    fn add(&mut self, is_twin: bool, told: Told) {
        match (is_twin, told) {
            (true, Told::Nothing) => {}
            (true, Told::Something | Told::Hang) => self.alarms += 1,
            (false, Told::Something) => self.finds += 1,
            (false, Told::Hang) => self.hangs += 1,
            (false, Told::Nothing) => self.misses += 1,
        }
    }
}

impl AddAssign for Score {
    fn add_assign(&mut self, other: Self) {
        self.finds += other.finds;
        self.hangs += other.hangs;
        self.misses += other.misses;
        self.alarms += other.alarms;
    }
}

/// Runs the lessons under each tool; a table of what each found.
pub fn verdicts(kit: &Kit<'_>, variants: &[Variant]) -> Result<String, Box<dyn Error>> {
    // What takes long is left out, as in any run of the tests.
    let cases = Suite::Lessons.cases()?;
    let mut table = format!(
        "{:12} {:>6} {:>6} {:>7} {:>13}\n",
        "lessons", "finds", "hangs", "misses", "false alarms"
    );
    let mut ours_is_done = false;
    for variant in variants {
        let score = match variant {
            Variant::Ours(_) if ours_is_done => continue,
            Variant::Ours(_) => {
                ours_is_done = true;
                ours(kit, &cases, &[])?
            }
            Variant::LeaksAlone(_) => ours(kit, &cases, &["--no-races"])?,
            // It reports nothing.
            Variant::Floor(_) => continue,
            Variant::Plain | Variant::Llvm | Variant::Valgrind(_) => theirs(kit, variant, &cases)?,
        };
        writeln!(
            table,
            "{:12} {:>6} {:>6} {:>7} {:>13}",
            variant.name(),
            score.finds,
            score.hangs,
            score.misses,
            score.alarms
        )?;
    }
    Ok(table)
}

fn ours(kit: &Kit<'_>, cases: &[Case], options: &[&str]) -> Result<Score, Box<dyn Error>> {
    let program = std::env::current_exe()?.with_file_name("leakcheck-under-test");
    let text = |path: &Path| path.to_str().map(str::to_owned).ok_or("not UTF-8");
    let workshop = Workshop::new(&text(&program)?, &text(&kit.directory.join("ours"))?);
    let options: Vec<&str> = ["--lib"].iter().chain(options).copied().collect();
    let ended = workshop.test(Suite::Lessons.name(), &options).run();
    if !matches!(ended.code, Some(0 | 66 | 100)) {
        return Err(format!("the lessons did not run:\n{}", ended.stderr).into());
    }
    let mut score = Score::default();
    for test in ended.tests() {
        let (name, is_twin) = case_of(&test.test.name);
        if test.outcome == "ignored" || !cases.iter().any(|case| case.name == name) {
            continue;
        }
        let told = match &*test.outcome {
            "pass" => Told::Nothing,
            "timeout" => Told::Hang,
            _ => Told::Something,
        };
        score.add(is_twin, told);
    }
    Ok(score)
}

fn theirs(kit: &Kit<'_>, variant: &Variant, cases: &[Case]) -> Result<Score, Box<dyn Error>> {
    let program = build(kit, variant)?;
    let listed = Command::new(&program)
        .args(["--list", "--format=terse"])
        .env("TSAN_OPTIONS", "report_bugs=0")
        .output()?;
    let ignored = Command::new(&program)
        .args(["--list", "--format=terse", "--ignored"])
        .env("TSAN_OPTIONS", "report_bugs=0")
        .output()?;
    let ignored = String::from_utf8(ignored.stdout)?;
    let listed = String::from_utf8(listed.stdout)?;
    let tests: Vec<&str> = listed
        .lines()
        .filter(|line| !ignored.lines().any(|other| other == *line))
        .filter_map(|line| line.strip_suffix(": test"))
        .filter(|test| cases.iter().any(|case| case.name == case_of(test).0))
        .collect();
    let next = AtomicUsize::new(0);
    let work = || -> Result<Score, String> {
        let mut score = Score::default();
        while let Some(test) = tests.get(next.fetch_add(1, Ordering::Relaxed)) {
            let told = run(variant, &program, test).map_err(|error| error.to_string())?;
            score.add(case_of(test).1, told);
        }
        Ok(score)
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        let mut all = Score::default();
        for worker in workers {
            all += worker.join().expect("a worker does not panic")?;
        }
        Ok(all)
    })
}

/// Runs one test.
fn run(variant: &Variant, program: &Path, test: &str) -> Result<Told, Box<dyn Error>> {
    let child = variant
        .command(program, LIMIT)
        .args([test, "--exact", "--test-threads=1"])
        .env("TSAN_OPTIONS", format!("symbolize=0 exitcode={FOUND}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    let ended = supervise(child, Group::Own, Some(LIMIT), &Stop::new(None)?, None)?;
    Ok(match (ended.cause, ended.status.code()) {
        (Cause::TimeLimit | Cause::Stopped(_), _) => Told::Hang,
        (Cause::Itself, Some(0)) => Told::Nothing,
        (Cause::Itself, _) => Told::Something,
    })
}

/// Builds the lessons for a variant.
fn build(kit: &Kit<'_>, variant: &Variant) -> Result<PathBuf, Box<dyn Error>> {
    let (name, flags) = match variant {
        Variant::Llvm => ("llvm", kit.llvm_flags()?),
        Variant::Plain
        | Variant::Ours(_)
        | Variant::LeaksAlone(_)
        | Variant::Floor(_)
        | Variant::Valgrind(_) => ("plain", Vec::new()),
    };
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args([
            "test",
            "--lib",
            "--no-run",
            "--message-format=json-render-diagnostics",
        ])
        // So that build scripts and macros are not instrumented.
        .args(["--target", &kit.toolchain.host])
        .arg("--target-dir")
        .arg(kit.directory.join(name))
        .current_dir(fixture(Suite::Lessons.name()))
        .env("CARGO_ENCODED_RUSTFLAGS", encoded(&flags))
        .stdin(Stdio::null());
    let output = command.output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("the lessons do not build for {}:\n{said}", variant.name()).into());
    }
    for line in String::from_utf8(output.stdout)?.lines() {
        let message: Value = serde_json::from_str(line)?;
        if let Some(program) = message["executable"].as_str() {
            return Ok(program.into());
        }
    }
    Err("cargo tells no test program of the lessons".into())
}

/// As cargo takes flags that may have spaces.
fn encoded(flags: &[String]) -> OsString {
    flags.join("\x1f").into()
}
