//! The report of the source front end, for people, in the manner of rustc.
//!
//! What it misses: the lines around. A test does not know where the sources
//! lie that it was built from, so the expression itself is shown.

use std::fmt;

use super::kind::Level;
use super::source::{Finding, Leg};

/// Writes a finding, without a line break at its end.
pub fn write(finding: &Finding, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let severity = match finding.level() {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "note",
    };
    write!(
        f,
        "{severity}[{}]: {}",
        finding.kind.info().code,
        finding.title
    )?;
    let digits = |leg: &Leg| leg.place.line.to_string().len();
    let width = finding.legs.iter().map(digits).max().unwrap_or(1);
    for (index, leg) in finding.legs.iter().enumerate() {
        let arrow = if index == 0 { "-->" } else { ":::" };
        let Leg { place, label } = leg;
        let carets = place.text.chars().count().max(1);
        write!(
            f,
            "\n{:width$}{arrow} {place}\n\
             {:width$} |\n\
             {:>width$} | {}\n\
             {:width$} | {} {label}\n\
             {:width$} |",
            "",
            "",
            place.line,
            place.text,
            "",
            "^".repeat(carets),
            "",
        )?;
    }
    for note in &finding.notes {
        write!(f, "\n{:width$} = note: {note}", "")?;
    }
    write!(f, "\n{:width$} = help: {}", "", finding.help)
}

#[cfg(test)]
mod tests {
    use crate::report::kind::{Certainty, Kind};
    use crate::report::source::{Finding, Leg, Place};

    fn leg(line: u32, text: &str, label: &str) -> Leg {
        Leg {
            place: Place {
                file: "src/bank.rs".to_owned(),
                line,
                column: 14,
                function: "bank::deposit".to_owned(),
                text: text.to_owned(),
            },
            label: label.to_owned(),
        }
    }

    #[test]
    fn a_race_names_both_sides() {
        let finding = Finding {
            kind: Kind::DataRace,
            certainty: Certainty::Potential,
            title: "possible data race on `BALANCE: u64`".to_owned(),
            legs: vec![
                leg(9, "BALANCE += 1", "(1) write by thread `a`"),
                leg(
                    10,
                    "BALANCE",
                    "(2) read by thread `b`, not ordered after (1)",
                ),
            ],
            notes: vec!["(1) is in `bank::deposit`".to_owned()],
            help: "run `leakcheck test`, which sees it all".to_owned(),
        };
        insta::assert_snapshot!(finding, @r"
        warning[LC0001]: possible data race on `BALANCE: u64`
          --> src/bank.rs:9:14
           |
         9 | BALANCE += 1
           | ^^^^^^^^^^^^ (1) write by thread `a`
           |
          ::: src/bank.rs:10:14
           |
        10 | BALANCE
           | ^^^^^^^ (2) read by thread `b`, not ordered after (1)
           |
           = note: (1) is in `bank::deposit`
           = help: run `leakcheck test`, which sees it all
        ");
    }
}
