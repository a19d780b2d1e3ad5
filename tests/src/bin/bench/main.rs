//! The benchmark: what the runtime costs, beside the runtime that the
//! compiler ships and the uninstrumented program.
//!
//! Each program is compiled once with the instrumentation and once without.
//! The instrumented objects are linked with our runtime and with LLVM's, both
//! with reports and stack history on. The variants then run in turn, A B C A B
//! C, so that a slow moment of the machine hits all of them, and the table
//! shows medians of user and system time, peak memory, and their ratios.
//!
//! `--peers` adds leakcheck without races, hooks that check nothing and the tools of valgrind, `--verdicts` what each tool finds of the
//! known bugs of the lessons, `--growth` how the costs grow with the threads and
//! the heap, and `--page` writes it all down. The tools of valgrind are so slow
//! that they run each program once, up to `--limit`.
//!
//! `cargo run --release -p leakcheck-tests --bin bench -- --help`
//!
//! What it misses: time that threads spend waiting, and contention of more
//! threads than the machine has cores.

mod compile;
mod floor;
mod growth;
mod leaks;
mod measure;
mod page;
mod peers;
mod programs;
mod project;
mod table;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use leakcheck_cli::runtime;
use leakcheck_cli::sysroot::{self, Cache, Toolchain};

use compile::{Kit, Variant};

/// Measures the runtime against LLVM's and against no instrumentation.
#[derive(Parser)]
struct Arguments {
    /// Programs to run; all if none is named
    programs: Vec<String>,
    /// How often each variant runs
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Threads in each program
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
    threads: u64,
    /// Multiplies the work of each program
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    scale: u64,
    /// One round of little work, to see that everything runs
    #[arg(long)]
    quick: bool,
    /// Measure this runtime object instead of the embedded one; may be given
    /// several times, the ratios are those of the first
    #[arg(long, value_name = "OBJECT")]
    runtime: Vec<PathBuf>,
    /// Leave LLVM's runtime out
    #[arg(long)]
    no_llvm: bool,
    /// Keep the binaries in this directory, for a profiler
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Only measure how long the tests of this project take to compile, by
    /// cargo and by the leakcheck beside this program
    #[arg(long, value_name = "MANIFEST")]
    project: Option<PathBuf>,
    /// Only measure what it costs to look for leaks alone, by the leakcheck
    /// beside this program
    #[arg(long)]
    leaks: bool,
    /// Also run with hooks that check nothing, which no runtime can be faster
    /// than; part of --peers
    #[arg(long)]
    floor: bool,
    /// Also run with leakcheck's `--no-races`, and under the tools of valgrind, where it is installed; they are
    /// slow, so take a small --scale
    #[arg(long)]
    peers: bool,
    /// Also count what each tool finds of the known bugs, and where it is wrong
    #[arg(long)]
    verdicts: bool,
    /// Also measure how the costs grow with the threads and with the heap; it
    /// needs some GiB of memory
    #[arg(long)]
    growth: bool,
    /// Seconds of processor time that a program gets under a tool of valgrind's
    #[arg(long, value_name = "SECS", default_value_t = 60)]
    limit: u64,
    /// Write a page with all of it, and on which machine it was
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// Also measure setting a toolchain up, in a fresh cache
    #[arg(long)]
    setup: bool,
}

fn main() -> ExitCode {
    match bench(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench(mut arguments: Arguments) -> Result<(), Box<dyn Error>> {
    if arguments.quick {
        arguments.rounds = 1;
        arguments.scale = 1;
    }
    let chosen = choose(&arguments.programs)?;
    let rustc = std::env::var_os("RUSTC").map_or_else(|| PathBuf::from("rustc"), PathBuf::from);
    let toolchain = Toolchain::detect(&rustc)?;
    let cache = Cache::locate()?;
    let sysroot = sysroot::ensure(&toolchain, &cache, &mut |line| eprintln!("{line}"))?;
    if arguments.setup {
        report_setup(&toolchain)?;
    }
    if let Some(manifest) = &arguments.project {
        let leakcheck = std::env::current_exe()?.with_file_name("leakcheck");
        return project::report(manifest, &leakcheck, arguments.rounds);
    }

    if arguments.leaks {
        let leakcheck = std::env::current_exe()?.with_file_name("leakcheck");
        return leaks::report(&leakcheck, arguments.rounds, arguments.quick);
    }

    let mut variants = vec![Variant::Plain];
    if arguments.runtime.is_empty() {
        arguments.runtime.push(runtime::ensure(&cache)?);
    }
    variants.extend(arguments.runtime.iter().cloned().map(Variant::Ours));
    if arguments.peers {
        let object = runtime::ensure_without_races(&cache)?;
        variants.push(Variant::LeaksAlone(object));
    }
    let scratch = tempfile::TempDir::new()?;
    if arguments.peers || arguments.floor {
        let object = floor::object(&toolchain.rustc, scratch.path())?;
        variants.push(Variant::Floor(object));
    }
    if !arguments.no_llvm {
        variants.push(Variant::Llvm);
    }
    if arguments.peers {
        let tools = peers::Valgrind::installed();
        if tools.is_empty() {
            eprintln!("valgrind is not installed: helgrind and drd are left out");
        }
        variants.extend(tools.iter().copied().map(Variant::Valgrind));
    }

    let directory = arguments.keep.as_deref().unwrap_or(scratch.path());
    std::fs::create_dir_all(directory)?;
    let kit = Kit {
        toolchain: &toolchain,
        sysroot: &sysroot,
        directory,
    };
    let mut table = table::Table::new(&variants);
    println!("{}", table.head());
    for &program in &chosen {
        let built = kit.compile(program, &variants)?;
        let measured = measure::in_turn(program, &built.binaries, &arguments.load())?;
        print!("{}", table.add(program.0, &built, &measured));
    }
    let (means, costs) = table.finish();
    print!("{means}");
    let verdicts = if arguments.verdicts {
        let verdicts = peers::verdicts(&kit, &variants)?;
        print!("\n{verdicts}");
        Some(verdicts)
    } else {
        None
    };
    let growth = if arguments.growth {
        let growth = growth::measure(&kit, &variants, arguments.rounds)?;
        print!("\n{growth}");
        Some(growth)
    } else {
        None
    };
    if let Some(path) = &arguments.page {
        let machine = page::Machine::this(&toolchain.release);
        let sections = page::Sections {
            rounds: arguments.rounds,
            scale: arguments.scale,
            costs: &costs,
            growth: growth.as_deref(),
            verdicts: verdicts.as_deref(),
        };
        std::fs::write(path, page::page(&machine, &sections))?;
    }
    Ok(())
}

impl Arguments {
    fn load(&self) -> measure::Load {
        measure::Load {
            rounds: self.rounds,
            threads: self.threads,
            scale: self.scale,
            limit: Duration::from_secs(self.limit),
        }
    }
}

/// The programs of the given names, or all.
fn choose(names: &[String]) -> Result<Vec<programs::Program>, String> {
    if names.is_empty() {
        return Ok(programs::ALL.to_vec());
    }
    names
        .iter()
        .map(|wanted| {
            programs::ALL
                .iter()
                .find(|(name, _)| name == wanted)
                .copied()
                .ok_or_else(|| {
                    let all: Vec<&str> = programs::ALL.iter().map(|(name, _)| *name).collect();
                    format!("no program `{wanted}`; there are {}", all.join(", "))
                })
        })
        .collect()
}

/// Sets the toolchain up once more, in a cache of its own.
fn report_setup(toolchain: &Toolchain) -> Result<(), Box<dyn Error>> {
    let directory = tempfile::TempDir::new()?;
    let begun = Instant::now();
    sysroot::ensure(
        toolchain,
        &Cache::at(directory.path().to_owned()),
        &mut |_| (),
    )?;
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "set-up of rustc {} in a fresh cache: {seconds:.1} s\n",
        toolchain.release
    );
    Ok(())
}
