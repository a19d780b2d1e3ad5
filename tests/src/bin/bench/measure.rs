//! Runs the variants of a program in turn.

use std::error::Error;
use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use wait4::Wait4 as _;

use crate::compile::Variant;
use crate::peers::FOUND;
use crate::programs::Program;

/// How much is run.
pub struct Load {
    /// How often each variant runs.
    pub rounds: u32,
    /// Threads in each program.
    pub threads: u64,
    /// Multiplies the work.
    pub scale: u64,
    /// Processor time that a run under a tool of valgrind's gets.
    pub limit: Duration,
}

/// Medians of one variant.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// User and system time in seconds.
    pub cpu: f64,
    /// From the start to the end, in seconds.
    pub wall: f64,
    /// Peak resident memory in KiB.
    pub peak: f64,
}

/// Runs all binaries `rounds` times, one after the other, and returns what
/// each cost, in their order. The first failure of a variant ends its part. The
/// tools of valgrind, which are slow, run once.
pub fn in_turn(
    (name, work): Program,
    binaries: &[(Variant, PathBuf)],
    load: &Load,
) -> Result<Vec<Result<Cost, String>>, Box<dyn Error>> {
    let expected = work(load.threads, load.scale).to_string();
    let mut runs: Vec<Result<Vec<Cost>, String>> = vec![Ok(Vec::new()); binaries.len()];
    let shows_progress = std::io::stderr().is_terminal();
    for round in 1..=load.rounds {
        if shows_progress {
            eprint!("\r{name}: round {round} of {} ", load.rounds);
        }
        for ((variant, binary), runs) in binaries.iter().zip(&mut runs) {
            let Ok(costs) = runs else { continue };
            if round > 1 && matches!(variant, Variant::Valgrind(_)) {
                continue;
            }
            match run(variant, binary, &expected, load) {
                Ok(cost) => costs.push(cost),
                Err(reason) => *runs = Err(reason.to_string()),
            }
        }
    }
    if shows_progress {
        eprint!("\r{:40}\r", "");
    }
    Ok(runs
        .into_iter()
        .map(|costs| {
            let costs = costs?;
            Ok(Cost {
                cpu: median(costs.iter().map(|cost| cost.cpu)),
                wall: median(costs.iter().map(|cost| cost.wall)),
                peak: median(costs.iter().map(|cost| cost.peak)),
            })
        })
        .collect())
}

/// Runs one binary and checks that it did its work.
fn run(
    variant: &Variant,
    binary: &Path,
    expected: &str,
    load: &Load,
) -> Result<Cost, Box<dyn Error>> {
    let begun = Instant::now();
    let mut child = variant
        .command(binary, load.limit)
        .arg(load.threads.to_string())
        .arg(load.scale.to_string())
        // Reports and history stay on, which is the default. Ours are
        // symbolised later by another process, so LLVM's need not be either.
        .env("TSAN_OPTIONS", "symbolize=0 exitcode=0 atexit_sleep_ms=0")
        .env_remove("LEAKCHECK_WIRE_DIR")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut output = String::new();
    if let Some(stdout) = &mut child.stdout {
        stdout.read_to_string(&mut output)?;
    }
    let used = child.wait4()?;
    let wall = begun.elapsed();
    let mut lines = output.lines();
    let checksum = lines.next().unwrap_or_default();
    // What a tool finds in a correct program is counted elsewhere.
    let found = matches!(variant, Variant::Valgrind(_)) && used.status.code() == Some(FOUND);
    if !used.status.success() && !found {
        return Err(format!("{}", used.status).into());
    }
    if checksum != expected {
        return Err(format!("wrong result `{checksum}`, expected `{expected}`").into());
    }
    let cpu: Duration = used.rusage.utime + used.rusage.stime;
    Ok(Cost {
        cpu: cpu.as_secs_f64(),
        wall: wall.as_secs_f64(),
        peak: lines.next().unwrap_or_default().parse()?,
    })
}

/// The middle value, or the mean of the two in the middle.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), 2.5);
    }
}
