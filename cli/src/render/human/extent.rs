//! How far a caret goes: from the column that debug information gives to the
//! end of the expression that starts there.
//!
//! Debug information has the start of an expression only. A call is marked up
//! to its closing parenthesis, anything else up to the end of its statement or
//! argument; what does not end on the line is marked up to its opening
//! bracket.
//!
//! What it misses: it reads characters, not syntax; the mark of an operand can
//! take in the rest of its expression.

use std::ops::Range;

/// The bytes of `line` to mark, from `column` (in bytes, from 1; 0 marks the
/// whole line).
pub fn extent(line: &str, column: u32) -> Range<usize> {
    let whole = trimmed(line);
    let Some(start) = usize::try_from(column)
        .ok()
        .and_then(|column| column.checked_sub(1))
    else {
        return whole;
    };
    if start >= whole.end || !line.is_char_boundary(start) {
        return whole;
    }
    let rest = &line[start..];
    if rest.starts_with(char::is_whitespace) {
        return whole;
    }
    let len = call(rest).unwrap_or_else(|| expression(rest));
    start..start + len.max(rest.chars().next().map_or(1, char::len_utf8))
}

/// The line without the spaces around it.
fn trimmed(line: &str) -> Range<usize> {
    let end = line.trim_end().len();
    let start = line.len() - line.trim_start().len();
    start.min(end)..end
}

/// Length of a call `path::name::<T>(…)` or `name!(…)` at the start of `text`.
fn call(text: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        let word = text[at..]
            .find(|c: char| !(c.is_alphanumeric() || c == '_'))
            .unwrap_or(text.len() - at);
        if word == 0 {
            return None;
        }
        at += word;
        if !text[at..].starts_with("::") {
            break;
        }
        at += 2;
        if text[at..].starts_with('<') {
            at += text[at..].find('>')? + 1;
            break;
        }
    }
    if text[at..].starts_with('!') {
        at += 1;
    }
    if !text[at..].starts_with(['(', '[']) {
        return None;
    }
    match closing(text, at) {
        Some(end) => Some(end),
        None => Some(at),
    }
}

/// Byte after the bracket that closes the one at `open`, if it is on the line.
fn closing(text: &str, open: usize) -> Option<usize> {
    let mut depth = 0usize;
    let mut scanner = Scanner::new(text, open);
    while let Some((at, c)) = scanner.next_code() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + c.len_utf8());
                }
            }
            _ => {}
        }
    }
    None
}

/// Length of the expression at the start of `text`.
fn expression(text: &str) -> usize {
    let mut scanner = Scanner::new(text, 0);
    let mut end = text.len();
    let mut open: Vec<usize> = Vec::new();
    while let Some((at, c)) = scanner.next_code() {
        match c {
            '(' | '[' => open.push(at),
            '{' if open.is_empty() => {
                end = at;
                break;
            }
            '{' => open.push(at),
            ')' | ']' | '}' if open.pop().is_none() => {
                end = at;
                break;
            }
            ';' | ',' if open.is_empty() => {
                end = at;
                break;
            }
            '=' if open.is_empty() && text[at..].starts_with("=>") => {
                end = at;
                break;
            }
            _ => {}
        }
        end = at + c.len_utf8();
    }
    let end = open.first().copied().unwrap_or(end);
    text[..end].trim_end().len()
}

/// The characters of a line that are code: not inside of a string, a
/// character or a comment.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    const fn new(text: &'a str, at: usize) -> Self {
        Self { text, at }
    }

    fn next_code(&mut self) -> Option<(usize, char)> {
        let at = self.at;
        let c = self.text[at..].chars().next()?;
        if self.text[at..].starts_with("//") {
            return None;
        }
        self.at += match c {
            '"' => quoted(&self.text[at..], '"'),
            '\'' => character(&self.text[at..]),
            other => other.len_utf8(),
        };
        Some((at, c))
    }
}

/// Length of a string literal at the start of `text`.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Length of a character literal, or of the quote of a lifetime.
fn character(text: &str) -> usize {
    let mut inside = text[1..].char_indices();
    match inside.next() {
        Some((_, '\\')) => quoted(text, '\''),
        Some(_) => match inside.next() {
            Some((at, '\'')) => at + 2,
            _ => 1,
        },
        None => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line with `^` under the column; marks what must be marked with `~`.
    #[track_caller]
    fn check(line: &str, column: u32, marked: &str) {
        assert_eq!(&line[extent(line, column)], marked);
    }

    #[test]
    fn statements_and_operands() {
        check("    TOTAL += 1;", 5, "TOTAL += 1");
        check("    let v = *slot.get();", 13, "*slot.get()");
        check("    *c.0 = 64; // done", 5, "*c.0 = 64");
        check("    match x => *p,", 16, "*p");
        check("    while *flag.get() {", 11, "*flag.get()");
        check("    (a, *b)", 9, "*b");
        check("    Some(_) => x = 1,", 16, "x = 1");
    }

    #[test]
    fn calls_end_at_their_parenthesis() {
        check("    let g = self.lock.lock().unwrap();", 23, "lock()");
        check(
            "    std::thread::spawn(f).join();",
            5,
            "std::thread::spawn(f)",
        );
        check(
            "    x.fetch_add(f(1), Relaxed);",
            7,
            "fetch_add(f(1), Relaxed)",
        );
        check("    assert_eq!(a, \")\");", 5, "assert_eq!(a, \")\")");
    }

    #[test]
    fn what_goes_on_below_is_marked_to_its_bracket() {
        check("    thread::spawn(move || {", 5, "thread::spawn");
        check("    let x = unsafe { *p };", 13, "unsafe");
        check("    *x = f(a,", 5, "*x = f");
    }

    #[test]
    fn odd_columns_mark_the_whole_line() {
        check("    a;  ", 0, "a;");
        check("    a;", 99, "a;");
        check("    a;", 1, "a;");
        check("é = 1;", 2, "é = 1;");
        assert_eq!(extent("", 1), 0..0);
    }

    #[test]
    fn literals_are_not_code() {
        check("    f(';', 'a, \"x;\\\"\"); b", 5, "f(';', 'a, \"x;\\\"\")");
        check("    x = '\\''; y", 5, "x = '\\''");
    }
}
