//! What it costs to look for leaks alone (`--no-races`): messages between
//! tasks, the capture of what a task waits for, many live tasks; and what it costs
//! with races to take a lock that blocks while a task has one of tokio's.
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
        let plain = programs.run(Way::Plain, "tasks", number)?;
        let ours = programs.run(Way::LeaksAlone, "tasks", number)?;
        let [_, plain_bytes, plain_ms] = plain[..] else {
            return Err("three numbers are printed".into());
        };
        let [_, bytes, ms] = ours[..] else {
            return Err("three numbers are printed".into());
        };
        println!("{number:>10} {plain_bytes:>16} {bytes:>16} {plain_ms:>16} {ms:>16}");
    }
    println!("\n{:>10} {:>16}", "tasks", "listing in ms");
    for number in TASKS {
        let number = number / share;
        let listing = programs.median(Way::LeaksAlone, "listing", number, rounds)?;
        println!("{number:>10} {:>16.1}", listing / 1e6);
    }
    let number = 1_000_000 / share;
    let alone = programs.median(Way::WithRaces, "locks", number, rounds)?;
    let inside = programs.median(Way::WithRaces, "locks-in-turn", number, rounds)?;
    println!(
        "\na lock that blocks, with races: {:.0} ns, inside of one of tokio's {:.0} ns",
        alone / number as f64,
        inside / number as f64
    );
    Ok(())
}

/// How a program runs.
#[derive(Clone, Copy)]
enum Way {
    Plain,
    LeaksAlone,
    WithRaces,
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
            plain.push(self.run(Way::Plain, mode, number)?[0]);
            ours.push(self.run(Way::LeaksAlone, mode, number)?[0]);
        }
        Ok((median(plain), median(ours)))
    }

    /// The median of `rounds` runs.
    fn median(
        &self,
        way: Way,
        mode: &str,
        number: u64,
        rounds: u32,
    ) -> Result<f64, Box<dyn Error>> {
        let first = |_| Ok(self.run(way, mode, number)?[0]);
        let all: Result<Vec<u64>, Box<dyn Error>> = (0..rounds).map(first).collect();
        Ok(median(all?))
    }

    /// The numbers that one run prints.
    fn run(&self, way: Way, mode: &str, number: u64) -> Result<Vec<u64>, Box<dyn Error>> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let (program, options): (&OsStr, &[&str]) = match way {
            Way::Plain => (&cargo, &[]),
            Way::LeaksAlone => (self.leakcheck.as_os_str(), &["--no-races"]),
            Way::WithRaces => (self.leakcheck.as_os_str(), &[]),
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
