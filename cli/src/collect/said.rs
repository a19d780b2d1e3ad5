//! What tracked code says of the memory of a race.
//!
//! The runtime knows the latest field that the thread told of; it counts if
//! the later access is where that was told. What it misses: an expression over
//! more than a few lines.

use leakcheck::report::wire;

use crate::model::{Leg, Said};

/// Lines that an expression may go on for.
const LINES: u32 = 3;

/// What is said, in words; `later` is the later access.
pub fn said(told: &wire::Said, later: Option<&Leg>) -> Option<Said> {
    match told {
        wire::Said::Variable { name } => Some(Said::Variable { name: name.clone() }),
        wire::Said::Field {
            owner,
            name,
            field,
            file,
            line,
        } => {
            let place = later?.primary()?.place.as_ref()?;
            let is_there = place.file.ends_with(file) || place.shown.ends_with(file.as_str());
            let lines = *line..=line.saturating_add(LINES);
            (is_there && lines.contains(&place.line)).then(|| Said::Field {
                owner: owner.clone(),
                name: name.clone(),
                field: field.clone(),
            })
        }
    }
}
