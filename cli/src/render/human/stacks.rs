//! A call stack as lines of a note.

use super::HumanOptions;
use crate::model::frame::Line;
use crate::model::{Frame, Stack};

/// A function name is padded up to here, so that places are in a column.
const MAX_COLUMN: usize = 64;

/// Of a longer folded stack the first and last lines are shown.
const MAX_LINES: usize = 24;

/// Lines shown at the outer end of a long stack.
const LAST_LINES: usize = 6;

/// A line of a stack: function and place, or a remark.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    name: String,
    place: Option<String>,
}

impl Row {
    fn remark(count: usize, what: &str) -> Self {
        let s = if count == 1 { "" } else { "s" };
        Self {
            name: format!("… {count} {what}{s}"),
            place: None,
        }
    }
}

/// The frames, one a line, indented under the note's first line. `with_top`
/// keeps the dependency on top of a folded stack: for what was done in it, not
/// for where a thread waits.
pub fn push_stack(text: &mut String, stack: &Stack, with_top: bool, options: &HumanOptions) {
    let rows = if options.backtrace_full {
        let frames = stack.frames().iter();
        frames.map(|frame| row(frame, options)).collect()
    } else {
        shorten(without_repeats(folded(stack, with_top, options)))
    };
    let column = rows
        .iter()
        .filter(|row| row.place.is_some())
        .map(|row| row.name.chars().count())
        .max()
        .unwrap_or(0)
        .min(MAX_COLUMN);
    for Row { name, place } in rows {
        match place {
            Some(place) => text.push_str(&format!("\n  {name:column$}  {place}")),
            None => text.push_str(&format!("\n  {name}")),
        }
    }
}

fn folded(stack: &Stack, with_top: bool, options: &HumanOptions) -> Vec<Row> {
    stack
        .folded(with_top)
        .into_iter()
        .map(|line| match line {
            Line::Frame(frame) => row(frame, options),
            Line::Hidden(count) => Row::remark(count, "library frame"),
        })
        .collect()
}

fn row(frame: &Frame, options: &HumanOptions) -> Row {
    let inlined = if options.backtrace_full && frame.inlined {
        " (inlined)"
    } else {
        ""
    };
    let name = format!("{}{inlined}", frame.function.short());
    let place = frame.place.as_ref().map(|place| place.text());
    Row { name, place }
}

/// Recursion: a line that repeats is told once, with a count.
fn without_repeats(rows: Vec<Row>) -> Vec<Row> {
    let mut out: Vec<Row> = Vec::with_capacity(rows.len());
    let mut repeated = 0;
    let mut last: Option<Row> = None;
    for row in rows {
        if last.as_ref() == Some(&row) {
            repeated += 1;
            continue;
        }
        if repeated > 0 {
            out.push(Row::remark(repeated, "more call"));
            repeated = 0;
        }
        out.push(row.clone());
        last = Some(row);
    }
    if repeated > 0 {
        out.push(Row::remark(repeated, "more call"));
    }
    out
}

/// The inner and outer end of a long stack.
fn shorten(mut rows: Vec<Row>) -> Vec<Row> {
    if rows.len() > MAX_LINES {
        let tail = rows.split_off(rows.len() - LAST_LINES);
        let hidden = rows.len() - (MAX_LINES - LAST_LINES);
        rows.truncate(MAX_LINES - LAST_LINES);
        rows.push(Row::remark(hidden, "more frame"));
        rows.extend(tail);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(names: &[&str]) -> Vec<Row> {
        let row = |name: &&str| Row {
            name: (*name).to_owned(),
            place: None,
        };
        names.iter().map(row).collect()
    }

    fn names(rows: &[Row]) -> Vec<&str> {
        rows.iter().map(|row| row.name.as_str()).collect()
    }

    #[test]
    fn recursion_is_counted() {
        let folded = without_repeats(rows(&["a", "b", "b", "b", "c", "c"]));
        assert_eq!(
            names(&folded),
            ["a", "b", "… 2 more calls", "c", "… 1 more call"]
        );
        assert!(without_repeats(Vec::new()).is_empty());
    }

    #[test]
    fn a_long_stack_keeps_both_ends() {
        let all: Vec<String> = (0..40).map(|at| at.to_string()).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let short = shorten(rows(&all));
        let short = names(&short);
        assert_eq!(short.len(), MAX_LINES + 1);
        assert_eq!(short[0], "0");
        assert_eq!(short[MAX_LINES - LAST_LINES], "… 16 more frames");
        assert_eq!(short.last(), Some(&"39"));
        assert_eq!(shorten(rows(&all[..24])).len(), 24);
    }
}
