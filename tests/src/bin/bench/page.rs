//! A page of the documentation with what was measured, and where.

use std::process::Command;

/// Where it was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    /// The processor.
    pub processor: String,
    /// Cores.
    pub cores: usize,
    /// Memory in GiB.
    pub memory: u64,
    /// Threads that run or could, a mean.
    pub load: f64,
    /// The kernel.
    pub kernel: String,
    /// The compiler.
    pub rustc: String,
    /// Valgrind, if it is there.
    pub valgrind: Option<String>,
}

/// The value of a line `NAME: VALUE` of a file of the kernel's.
pub fn line_of(file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

impl Machine {
    /// This one.
    pub fn this(rustc: &str) -> Self {
        let memory = line_of("/proc/meminfo", "MemTotal");
        let kilobytes = memory.and_then(|text| text.trim_end_matches(" kB").parse::<u64>().ok());
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease");
        let valgrind = Command::new("valgrind").arg("--version").output();
        Self {
            processor: line_of("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".into()),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            memory: kilobytes.unwrap_or_default() / (1 << 20),
            load: std::fs::read_to_string("/proc/loadavg")
                .ok()
                .and_then(|text| text.split(' ').next()?.parse().ok())
                .unwrap_or(f64::NAN),
            kernel: kernel.map_or_else(|_| "unknown".into(), |text| text.trim().to_owned()),
            rustc: rustc.to_owned(),
            valgrind: valgrind
                .ok()
                .filter(|output| output.status.success())
                .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        }
    }
}

/// What was measured.
#[derive(Debug, Clone, Copy)]
pub struct Sections<'a> {
    /// Rounds that the medians are of.
    pub rounds: u32,
    /// What the work is multiplied by.
    pub scale: u64,
    /// Of the programs.
    pub costs: &'a str,
    /// How they grow.
    pub growth: Option<&'a str>,
    /// What each tool says.
    pub verdicts: Option<&'a str>,
}

/// The page.
pub fn page(machine: &Machine, sections: &Sections<'_>) -> String {
    let Machine {
        processor,
        cores,
        memory,
        load,
        kernel,
        rustc,
        valgrind,
    } = machine;
    let &Sections {
        rounds,
        scale,
        costs,
        growth,
        verdicts,
    } = sections;
    let valgrind = valgrind.as_deref().unwrap_or("no valgrind");
    let mut page = format!(
        "# leakcheck beside other tools\n\n\
         Written by `cargo run --release -p leakcheck-tests --bin bench -- --rounds {rounds} \
         --scale {scale} --peers --verdicts --growth --page docs/peers.md`; all of it is from one run, on one machine:\n\n\
         - {processor}, {cores} cores, {memory} GiB\n\
         - Linux {kernel}, rustc {rustc}, {valgrind}\n\
         - at the end, {load:.1} threads were waiting to run or running (mean of a minute): beside \
         a load of other programs, wall time tells little\n\n\
         ## Cost\n\n\
         Programs that are correct. The column `plain` is the program without any tool, in \
         seconds and MiB; the others are times that. `ours` and `llvm` are linked from the same \
         instrumented objects, the standard library included; `no-races` is leakcheck with that \
         option, in a program that is not instrumented; `floor` has hooks that check nothing, which no runtime for these objects can be faster than; `helgrind` and `drd` run the plain program. Medians of {rounds} rounds; `helgrind` and `drd` run once.\n\n\
         ```text\n{}\n```\n",
        costs.trim_end()
    );
    if let Some(growth) = growth {
        page += &format!(
            "\n## Growth\n\n\
             Processor time of a change of one word at a place that no cache foresees, as there \
             are more threads and as the heap grows, all of which is used; then of a thread that \
             begins, meets the others at a barrier and ends, and the peak of memory \
             meanwhile.\n\n```text\n{}\n```\n",
            growth.trim_end()
        );
    }
    if let Some(verdicts) = verdicts {
        page += &format!(
            "\n## Verdicts\n\n\
             What each tool says of the [lessons](lessons/README.md), one process for each test. \
             A *find* is a report, or a test that fails, where there is a bug; a *hang* is a test \
             that had to be ended after {} seconds, which tells that something is wrong but not \
             what; a *false alarm* is a report on a fixed twin, or a twin that had to be ended. A tool \
             that reports every program finds nothing by it. Leaked threads and deadlocks are \
             not what the other tools look for.\n\n```text\n{}\n```\n",
            crate::peers::LIMIT.as_secs(),
            verdicts.trim_end()
        );
    }
    page
}

#[cfg(test)]
mod tests {
    use super::{Machine, Sections, page};

    #[test]
    fn the_page_says_on_which_machine() {
        let machine = Machine {
            processor: "A Processor".into(),
            cores: 2,
            memory: 23,
            load: 1.26,
            kernel: "6.1".into(),
            rustc: "1.95.0".into(),
            valgrind: None,
        };
        let sections = Sections {
            rounds: 3,
            scale: 2,
            costs: "costs\n\n",
            growth: None,
            verdicts: Some("verdicts\n"),
        };
        let text = page(&machine, &sections);
        assert!(text.contains(
            "- A Processor, 2 cores, 23 GiB\n- Linux 6.1, rustc 1.95.0, no valgrind\n- at the end, 1.3 "
        ));
        assert!(text.contains("-- --rounds 3 --scale 2 --peers"));
        assert!(text.contains("```text\ncosts\n```"));
        assert!(text.ends_with("```text\nverdicts\n```\n"));
        assert!(!text.contains("Growth"));
        let only_costs = Sections {
            verdicts: None,
            ..sections
        };
        assert!(!page(&machine, &only_costs).contains("Verdicts"));
    }
}
