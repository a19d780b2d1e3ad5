//! How the costs grow: of an access, as threads become more and the heap
//! becomes larger, and of a thread, as there are more of them.

use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

use crate::compile::{Built, Kit, Variant};
use crate::measure::{Cost, Load, in_turn};
use crate::page::line_of;
use crate::programs::{Program, gathering, walk};

const THREADS: [u64; 7] = [1, 2, 4, 8, 16, 32, 64];
/// MiB.
const HEAPS: [u64; 6] = [10, 40, 160, 640, 2048, 4096];
/// MiB, while threads become more.
const HEAP: u64 = 10;
/// How often the threads meet.
const MEETINGS: u64 = 40;
/// The most memory that a variant takes, as a multiple of the program's.
const MEMORY: u64 = 4;

/// Measures the growth with the variants that run in the program itself; a
/// table of it.
pub fn measure(kit: &Kit<'_>, variants: &[Variant], rounds: u32) -> Result<String, Box<dyn Error>> {
    let variants: Vec<Variant> = variants
        .iter()
        .filter(|variant| !matches!(variant, Variant::Valgrind(_)))
        .cloned()
        .collect();
    let walk: Program = ("walk", walk::run);
    let built = kit.compile(walk, &variants)?;
    let mut table = Table::new(&variants, "ns an access");
    for threads in THREADS {
        let costs = run(walk, &built, rounds, threads, HEAP)?;
        let title = format!("{HEAP} MiB, {threads} threads");
        table.row(&title, &costs, |cost| cost.cpu * 1e9 / walk::STEPS as f64);
    }
    for heap in HEAPS {
        let title = format!("{heap} MiB, 2 threads");
        if memory() < heap * MEMORY {
            table.none(&title, "not enough memory");
            continue;
        }
        let costs = run(walk, &built, rounds, 2, heap)?;
        table.row(&title, &costs, |cost| cost.cpu * 1e9 / walk::STEPS as f64);
    }
    let gathering: Program = ("gathering", gathering::run);
    let built = kit.compile(gathering, &variants)?;
    let mut memory: Vec<(u64, Vec<Result<Cost, String>>)> = Vec::new();
    table.head("µs a thread");
    for threads in THREADS {
        let costs = run(gathering, &built, rounds, threads, MEETINGS)?;
        table.row(&format!("{threads} threads"), &costs, |cost| {
            cost.cpu * 1e6 / (threads * MEETINGS) as f64
        });
        memory.push((threads, costs));
    }
    table.head("MiB in all");
    for (threads, costs) in &memory {
        table.row(&format!("{threads} threads"), costs, |cost| {
            cost.peak / 1024.0
        });
    }
    Ok(table.0)
}

fn run(
    program: Program,
    built: &Built,
    rounds: u32,
    threads: u64,
    scale: u64,
) -> Result<Vec<Result<Cost, String>>, Box<dyn Error>> {
    let load = Load {
        rounds,
        threads,
        scale,
        limit: Duration::MAX,
    };
    in_turn(program, &built.binaries, &load)
}

/// MiB that are free for programs.
fn memory() -> u64 {
    line_of("/proc/meminfo", "MemAvailable")
        .and_then(|text| text.trim_end_matches(" kB").parse::<u64>().ok())
        .unwrap_or_default()
        / 1024
}

/// A row for each size, a column for each variant.
struct Table(String, Vec<&'static str>);

impl Table {
    fn new(variants: &[Variant], title: &str) -> Self {
        let names = variants.iter().map(Variant::name).collect();
        let mut table = Self(String::new(), names);
        table.head(title);
        table
    }

    fn head(&mut self, title: &str) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        self.0 += &format!("{title:22}");
        for name in &self.1 {
            self.0 += &format!(" {name:>10}");
        }
        self.0.push('\n');
    }

    fn row(&mut self, title: &str, costs: &[Result<Cost, String>], of: impl Fn(&Cost) -> f64) {
        self.0 += &format!("{title:22}");
        for cost in costs {
            self.0 += &match cost {
                Ok(cost) => format!(" {:>10.1}", of(cost)),
                Err(_) => format!(" {:>10}", "-"),
            };
        }
        self.0.push('\n');
        for (name, cost) in self.1.iter().zip(costs) {
            if let Err(reason) = cost {
                _ = writeln!(self.0, "  {name} failed: {reason}");
            }
        }
    }

    fn none(&mut self, title: &str, reason: &str) {
        _ = writeln!(self.0, "{title:22} {reason}");
    }
}

#[cfg(test)]
mod tests {
    use super::{Cost, Table, Variant};

    #[test]
    fn a_variant_that_fails_leaves_a_gap() {
        let mut table = Table::new(&[Variant::Plain, Variant::Llvm], "ns an access");
        let cost = Cost {
            cpu: 2.0,
            wall: 1.0,
            peak: 1.0,
        };
        table.row("1 thread", &[Ok(cost), Err("killed".into())], |cost| {
            cost.cpu
        });
        assert_eq!(
            table.0,
            "ns an access                plain       llvm\n\
             1 thread                      2.0          -\n  llvm failed: killed\n"
        );
    }
}
