//! What it costs to look for leaks alone (`--no-races`): messages between
//! tasks, the capture of what a task waits for, many live tasks.
//!
//! The programs are those of the fixture `live`, in release. Each prints the CPU
//! time that it took itself, so that neither cargo nor the start of a process
//! counts; plain and followed runs take turns.

use std::error::Error;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Numbers of tasks that live at once.
const TASKS: [u64; 3] = [25_000, 50_000, 100_000];

/// Prints all figures.
pub fn report(leakcheck: &Path, rounds: u32, quick: bool) -> Result<(), Box<dyn Error>> {
    let programs = Programs::new(leakcheck);
    let share = if quick { 20 } else { 1 };
    println!(
        "{:<34} {:>10} {:>12} {:>8}",
        "CPU of", "plain", "leakcheck", "ratio"
    );
    for (name, mode, number) in [
        ("ping-pong, two workers", "ping-pong", 200_000),
        ("ping-pong, one thread", "ping-pong-alone", 500_000),
    ] {
        let number = number / share;
        let (plain, ours) = programs.in_turn(mode, number, rounds)?;
        println!(
            "{name:<34} {:>7.0} ns {:>9.0} ns {:>7.2}×",
            plain / number as f64,
            ours / number as f64,
            ours / plain
        );
    }
    let number = 1_000_000 / share;
    let (plain, ours) = programs.in_turn("registrations", number, rounds)?;
    println!(
        "\nwhat a task waits for: {:.0} ns for each registration of its waker",
        (ours - plain) / number as f64
    );
    println!(
        "\n{:>10} {:>16} {:>16} {:>16} {:>16}",
        "tasks", "bytes, plain", "leakcheck", "end in ms, plain", "leakcheck"
    );
    for number in TASKS {
        let number = number / share;
        let plain = programs.run(false, "tasks", number)?;
        let ours = programs.run(true, "tasks", number)?;
        let [_, plain_bytes, plain_ms] = plain[..] else {
            return Err("three numbers are printed".into());
        };
        let [_, bytes, ms] = ours[..] else {
            return Err("three numbers are printed".into());
        };
        println!("{number:>10} {plain_bytes:>16} {bytes:>16} {plain_ms:>16} {ms:>16}");
    }
    Ok(())
}

/// The fixture, by cargo and by leakcheck.
struct Programs<'a> {
    leakcheck: &'a Path,
    manifest: PathBuf,
}

impl<'a> Programs<'a> {
    fn new(leakcheck: &'a Path) -> Self {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        Self {
            leakcheck,
            manifest: package.join("../fixtures/live/Cargo.toml"),
        }
    }

    /// The medians of `rounds` runs each way.
    fn in_turn(&self, mode: &str, number: u64, rounds: u32) -> Result<(f64, f64), Box<dyn Error>> {
        let (mut plain, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            plain.push(self.run(false, mode, number)?[0]);
            ours.push(self.run(true, mode, number)?[0]);
        }
        Ok((median(plain), median(ours)))
    }

    /// The numbers that one run prints.
    fn run(&self, followed: bool, mode: &str, number: u64) -> Result<Vec<u64>, Box<dyn Error>> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let (program, options): (&OsStr, &[&str]) = if followed {
            (self.leakcheck.as_os_str(), &["--no-races"])
        } else {
            (&cargo, &[])
        };
        let output = Command::new(program)
            .args(["run", "--release", "--quiet", "--manifest-path"])
            .arg(&self.manifest)
            .args(options)
            .args(["--", mode, &number.to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()?;
        // Findings are what some of the programs are for.
        let text = String::from_utf8(output.stdout)?;
        let line = text.lines().next().ok_or_else(|| {
            format!(
                "`{} run … {mode}` printed nothing: {}",
                program.display(),
                output.status
            )
        })?;
        let numbers = line.split_whitespace().map(str::parse);
        Ok(numbers.collect::<Result<_, _>>()?)
    }
}

fn median(mut values: Vec<u64>) -> f64 {
    values.sort_unstable();
    values[values.len() / 2] as f64
}
