//! What the instrumentation costs where the user waits first: the compilation
//! of a project's tests, by cargo and by leakcheck.
//!
//! Both build everything anew in a target directory of their own, in turn; the
//! dependencies are fetched before, and the toolchain is set up. CPU time
//! counts all processes that cargo waited for.

use std::error::Error;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use wait4::Wait4 as _;

/// Of one compilation.
#[derive(Clone, Copy)]
struct Cost {
    cpu: f64,
    elapsed: f64,
}

/// Compiles the tests of the project with this manifest `rounds` times each
/// way, and prints medians and ratios.
pub fn report(manifest: &Path, leakcheck: &Path, rounds: u32) -> Result<(), Box<dyn Error>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let fetched = Command::new(&cargo)
        .args(["fetch", "--quiet", "--manifest-path"])
        .arg(manifest)
        .status()?;
    if !fetched.success() {
        return Err(format!("cargo fetch failed: {fetched}").into());
    }
    let (mut plain, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        plain.push(compile(&cargo, manifest)?);
        ours.push(compile(leakcheck.as_os_str(), manifest)?);
    }
    let row = |name: &str, of: fn(&Cost) -> f64| {
        let (plain, ours) = (median(&plain, of), median(&ours, of));
        println!(
            "{name:<8} {plain:>8.1} s {ours:>8.1} s {:>8.2}×",
            ours / plain
        );
    };
    println!("tests of {}", manifest.display());
    println!(
        "{:<8} {:>10} {:>10} {:>9}",
        "", "cargo", "leakcheck", "ratio"
    );
    row("CPU", |cost| cost.cpu);
    row("elapsed", |cost| cost.elapsed);
    println!();
    Ok(())
}

/// `test --no-run` in a fresh target directory.
fn compile(program: &OsStr, manifest: &Path) -> Result<Cost, Box<dyn Error>> {
    let target = tempfile::TempDir::new()?;
    let begun = Instant::now();
    let child = Command::new(program)
        .args(["test", "--no-run", "--quiet", "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(target.path())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let used = child.wait4()?;
    if !used.status.success() {
        let program = program.display();
        return Err(format!("`{program} test --no-run` failed: {}", used.status).into());
    }
    let cpu = used.rusage.utime + used.rusage.stime;
    Ok(Cost {
        cpu: cpu.as_secs_f64(),
        elapsed: begun.elapsed().as_secs_f64(),
    })
}

fn median(costs: &[Cost], of: impl Fn(&Cost) -> f64) -> f64 {
    let mut values: Vec<f64> = costs.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
