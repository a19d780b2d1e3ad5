//! The tables of cases: a CSV file beside each fixture, with a line for each
//! bug.

use std::error::Error;
use std::fs;

use crate::command::fixture;
use clap::ValueEnum;

/// What the test of a fixed twin is called, after its case.
pub const TWIN: &str = "_fixed";

/// The case that a test belongs to, and whether it is the twin.
#[must_use]
pub fn case_of(test: &str) -> (&str, bool) {
    let name = test.rsplit("::").next().unwrap_or(test);
    match name.strip_suffix(TWIN) {
        Some(name) => (name, true),
        None => (name, false),
    }
}

/// A fixture with a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// The kernels of GoKer
    Goker,
    /// Those of them that are tasks in asynchronous Rust, as such
    GokerTasks,
    /// The classic mistakes
    Lessons,
}

/// A bug, and what must be found.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its test's name, without the module.
    pub name: String,
    /// What kind of bug it is, in the words of its source.
    pub class: String,
    /// More of that.
    pub subclass: String,
    /// One of these kinds of finding must be found; `fail` if the program
    /// itself tells.
    pub expected: Vec<String>,
    /// It is seen in one schedule of many.
    pub rare: bool,
    /// What differs from the source, and why.
    pub note: String,
}

impl Suite {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Goker, Self::GokerTasks, Self::Lessons];

    /// The fixture.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Goker => "goker",
            Self::GokerTasks => "goker-tasks",
            Self::Lessons => "lessons",
        }
    }

    /// Its cases.
    ///
    /// # Errors
    /// If the table cannot be read, or a line of it.
    pub fn cases(self) -> Result<Vec<Case>, Box<dyn Error>> {
        let path = fixture(self.name()).join("cases.csv");
        let text = fs::read_to_string(&path)
            .map_err(|error| format!("failed to read {}: {error}", path.display()))?;
        parse(&text).map_err(|error| format!("{}: {error}", path.display()).into())
    }
}

/// The lines below the head, which names the columns. No field has a comma.
fn parse(text: &str) -> Result<Vec<Case>, String> {
    let mut lines = text.lines().enumerate();
    let head: Vec<&str> = lines
        .next()
        .map_or("", |(_, head)| head)
        .split(',')
        .collect();
    let cases = lines.map(|(number, line)| {
        let fields: Vec<&str> = line.split(',').collect();
        if fields.len() != head.len() {
            return Err(format!(
                "line {}: {} fields, not {}",
                number + 1,
                fields.len(),
                head.len()
            ));
        }
        let field = |name: &str| {
            let at = head.iter().position(|column| *column == name);
            at.map(|at| fields[at].to_owned())
                .ok_or_else(|| format!("no column `{name}`"))
        };
        Ok(Case {
            name: field("case")?,
            class: field("class")?,
            subclass: field("subclass")?,
            expected: field("expected")?.split('|').map(str::to_owned).collect(),
            rare: match &*field("schedule")? {
                "any" => false,
                "rare" => true,
                other => return Err(format!("line {}: no schedule `{other}`", number + 1)),
            },
            note: field("note")?,
        })
    });
    cases.collect()
}

#[cfg(test)]
mod tests {
    use super::{Suite, case_of, parse};

    #[test]
    fn columns_are_found_by_name() {
        let text = "class,case,note,subclass,schedule,expected\nC,one,,S,rare,deadlock|leak\n";
        let cases = parse(text).unwrap();
        assert_eq!(cases.len(), 1);
        assert_eq!((&*cases[0].name, &*cases[0].class), ("one", "C"));
        assert_eq!(cases[0].expected, ["deadlock", "leak"]);
        assert!(cases[0].rare);
    }

    #[test]
    fn a_line_that_is_short_is_refused() {
        let head = "case,class,subclass,expected,schedule,note";
        let error = parse(&format!("{head}\none,C\n")).unwrap_err();
        assert_eq!(error, "line 2: 2 fields, not 6");
        let error = parse(&format!("{head}\none,C,S,leak,often,\n")).unwrap_err();
        assert_eq!(error, "line 2: no schedule `often`");
    }

    #[test]
    fn a_twin_belongs_to_its_case() {
        assert_eq!(case_of("etcd::etcd_1"), ("etcd_1", false));
        assert_eq!(case_of("etcd::etcd_1_fixed"), ("etcd_1", true));
        assert_eq!(case_of("alone"), ("alone", false));
    }

    #[test]
    fn goker_has_68_blocking_and_35_other_kernels() {
        let cases = Suite::Goker.cases().unwrap();
        let blocking = |class: &str| class.ends_with("Deadlock");
        let count = cases.iter().filter(|case| blocking(&case.class)).count();
        assert_eq!((count, cases.len()), (68, 103));
    }
}
