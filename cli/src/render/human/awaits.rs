//! What a task awaits, as a tree in a note: outermost first, each call with the
//! place of its `.await` and how long the task has been there.

use super::HumanOptions;
use super::marks::seconds;
use super::stacks::push_stack;
use crate::model::{Await, Leg};

/// A call is padded up to here, so that places are in a column.
const MAX_COLUMN: usize = 64;

/// A line of the tree.
struct Row {
    call: String,
    place: Option<String>,
    time: Option<String>,
}

/// What the task awaits; all stacks, where those are asked for whole.
pub fn push_awaits(text: &mut String, leg: &Leg, awaits: &[Await], options: &HumanOptions) {
    if options.backtrace_full || awaits.is_empty() {
        push_stack(text, &leg.stack, false, options);
        for branch in leg.task.iter().flat_map(|task| &task.branches) {
            text.push_str("\nand at the same time:");
            push_stack(text, branch, false, options);
        }
        return;
    }
    let mut rows = Vec::new();
    for call in awaits {
        add(&mut rows, call, "", "");
    }
    let with_place = rows.iter().filter(|row| row.place.is_some());
    let widths = with_place.map(|row| row.call.chars().count());
    let column = widths.max().unwrap_or(0).min(MAX_COLUMN);
    for Row { call, place, time } in rows {
        text.push_str(&match place {
            Some(place) => format!("\n  {call:column$}  {place}"),
            None => format!("\n  {call}"),
        });
        text.extend(time);
    }
}

/// A call and what it awaits; `lead` stands before the call, `below` before what is
/// inside.
fn add(rows: &mut Vec<Row>, call: &Await, lead: &str, below: &str) {
    rows.push(Row {
        call: format!("{lead}{}", call.function),
        place: call.place.as_ref().map(|place| place.text()),
        time: call.for_ms.and_then(seconds),
    });
    for (at, inner) in call.inner.iter().enumerate() {
        let (mark, rest) = match at + 1 == call.inner.len() {
            true => ("└ ", "  "),
            false => ("├ ", "│ "),
        };
        add(
            rows,
            inner,
            &format!("{below}{mark}"),
            &format!("{below}{rest}"),
        );
    }
}
