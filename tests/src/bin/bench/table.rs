//! The printed table.

use crate::compile::{Built, Variant};
use crate::measure::Cost;

/// One kind of cost, that is one row of each program.
#[derive(Clone, Copy)]
enum Kind {
    Cpu,
    Wall,
    Peak,
}

impl Kind {
    fn of(self, cost: &Cost) -> f64 {
        match self {
            Self::Cpu => cost.cpu,
            Self::Wall => cost.wall,
            Self::Peak => cost.peak / 1024.0,
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Cpu | Self::Wall => "s",
            Self::Peak => "M",
        }
    }
}

/// The ratios of one variant, a value for each program.
#[derive(Clone, Default)]
struct Ratios {
    cpu: Vec<f64>,
    wall: Vec<f64>,
    peak: Vec<f64>,
}

impl Ratios {
    fn of(&mut self, kind: Kind) -> &mut Vec<f64> {
        match kind {
            Kind::Cpu => &mut self.cpu,
            Kind::Wall => &mut self.wall,
            Kind::Peak => &mut self.peak,
        }
    }
}

/// Collects the rows and the means.
pub struct Table {
    /// What there is so far.
    text: String,
    /// For each variant, its ratios to plain.
    to_plain: Vec<Ratios>,
    /// For each of our runtimes, and the floor, its ratios to LLVM's.
    to_llvm: Vec<Ratios>,
    names: Vec<String>,
    compared: Vec<usize>,
    llvm: Option<usize>,
    compile: Vec<f64>,
}

impl Table {
    /// With the head.
    pub fn new(variants: &[Variant]) -> Self {
        let ours = |variant: &&Variant| matches!(variant, Variant::Ours(_));
        let several = variants.iter().filter(ours).count() > 1;
        let name = |variant: &Variant| match variant {
            Variant::Ours(path) if several => path
                .file_stem()
                .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned()),
            Variant::Ours(_) => "ours".to_owned(),
            Variant::Plain
            | Variant::LeaksAlone(_)
            | Variant::Floor(_)
            | Variant::Llvm
            | Variant::Valgrind(_) => variant.name().to_owned(),
        };
        let names: Vec<String> = variants.iter().map(name).collect();
        let compared: Vec<usize> = (0..variants.len())
            .filter(|&index| matches!(variants[index], Variant::Ours(_) | Variant::Floor(_)))
            .collect();
        let llvm = variants
            .iter()
            .position(|variant| matches!(variant, Variant::Llvm));
        let mut head = format!("{:16} {:>8}", "cpu, wall, peak", "plain");
        for name in &names[1..] {
            head += &format!(" {name:>8}");
        }
        for &index in &compared {
            if llvm.is_some() {
                head += &format!(" {:>12}", format!("{}/llvm", names[index]));
            }
        }
        Self {
            text: head + "\n",
            to_plain: vec![Ratios::default(); variants.len()],
            to_llvm: vec![Ratios::default(); variants.len()],
            names,
            compared,
            llvm,
            compile: Vec::new(),
        }
    }

    /// Adds one program's rows: CPU time, wall time, peak memory. Returns them.
    pub fn add(&mut self, program: &str, built: &Built, costs: &[Result<Cost, String>]) -> &str {
        let before = self.text.len();
        self.compile
            .push(built.instrumented.as_secs_f64() / built.plain.as_secs_f64());
        self.row(program, costs, Kind::Cpu);
        self.row("", costs, Kind::Wall);
        self.row("", costs, Kind::Peak);
        for (name, cost) in self.names.iter().zip(costs) {
            if let Err(reason) = cost {
                self.text += &format!("  {name} failed: {reason}\n");
            }
        }
        &self.text[before..]
    }

    fn row(&mut self, title: &str, costs: &[Result<Cost, String>], kind: Kind) {
        let unit = kind.unit();
        let values: Vec<Option<f64>> = costs
            .iter()
            .map(|cost| cost.as_ref().ok().map(|cost| kind.of(cost)))
            .collect();
        let mut line = format!("{title:16}");
        line += &match values[0] {
            Some(plain) => format!(" {plain:>7.2}{unit}"),
            None => format!(" {:>8}", "-"),
        };
        for (index, value) in values.iter().enumerate().skip(1) {
            line += &match (value, values[0]) {
                (Some(value), Some(plain)) => {
                    self.to_plain[index].of(kind).push(value / plain);
                    format!(" {:>7.2}x", value / plain)
                }
                _ => format!(" {:>8}", "-"),
            };
        }
        if let Some(llvm) = self.llvm {
            for &index in &self.compared {
                line += &match (values[index], values[llvm]) {
                    (Some(this), Some(llvm)) => {
                        self.to_llvm[index].of(kind).push(this / llvm);
                        format!(" {:>11.2}x", this / llvm)
                    }
                    _ => format!(" {:>12}", "-"),
                };
            }
        }
        self.text += &(line + "\n");
    }

    /// The head.
    pub fn head(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    /// Adds the geometric means. Returns them, and all there is.
    pub fn finish(mut self) -> (String, String) {
        let before = self.text.len();
        let means = [
            ("mean cpu", Kind::Cpu),
            ("mean wall", Kind::Wall),
            ("mean peak", Kind::Peak),
        ];
        for (title, kind) in means {
            let mut line = format!("{title:16} {:>8}", "");
            for ratios in &mut self.to_plain[1..] {
                line += &format!(" {:>7.2}x", geometric_mean(ratios.of(kind)));
            }
            if self.llvm.is_some() {
                for &index in &self.compared {
                    let mean = geometric_mean(self.to_llvm[index].of(kind));
                    line += &format!(" {mean:>11.2}x");
                }
            }
            self.text += &(line + "\n");
        }
        self.text += &format!(
            "\ncompile and link, cpu, instrumented to plain: {:.2}x\n",
            geometric_mean(&self.compile)
        );
        (self.text[before..].to_owned(), self.text)
    }
}

fn geometric_mean(ratios: &[f64]) -> f64 {
    if ratios.is_empty() {
        return f64::NAN;
    }
    let logarithms: f64 = ratios.iter().map(|ratio| ratio.ln()).sum();
    (logarithms / ratios.len() as f64).exp()
}

#[cfg(test)]
mod tests {
    use super::geometric_mean;

    #[test]
    fn the_geometric_mean_of_a_ratio_and_its_inverse_is_one() {
        assert!((geometric_mean(&[4.0, 0.25]) - 1.0).abs() < 1e-9);
    }
}
