//! The line at the bottom of a terminal that says how far a run is.
//!
//! It follows cargo's settings: `CARGO_TERM_PROGRESS_WHEN` (`auto`, `always`,
//! `never`) and `CARGO_TERM_PROGRESS_WIDTH`. By default it is there on a
//! terminal that can move its cursor, and not on a CI machine.

use std::io::{IsTerminal as _, Write};
use std::sync::{Mutex, PoisonError};

use super::env::Environment;
use super::status;
use crate::gate::load::flag;

/// Columns below which there is no room for it.
const NARROW: usize = 40;

/// Columns of the bar, between its ends.
const BAR: usize = 24;

/// There is one terminal, whatever writes to it.
static BOTTOM: Mutex<Option<Bottom>> = Mutex::new(None);

/// What stands at the bottom.
#[derive(Debug)]
struct Bottom {
    width: usize,
    done: usize,
    of: usize,
    failing: usize,
    name: String,
}

/// Columns for the line, if there is to be one.
fn wanted(user: &Environment) -> Option<usize> {
    let stderr = std::io::stderr();
    let variable = |name: &str| {
        user.get(name)
            .map(|value| value.to_string_lossy().into_owned())
    };
    let terminal = || terminal_size::terminal_size_of(&stderr).map(|(width, _)| width.0.into());
    let width = variable("CARGO_TERM_PROGRESS_WIDTH").and_then(|width| width.parse().ok());
    match variable("CARGO_TERM_PROGRESS_WHEN").as_deref() {
        Some("never") => None,
        Some("always") => width.or_else(terminal).or(Some(80)),
        Some(_) | None => {
            let dumb = variable("TERM").is_none_or(|term| term == "dumb");
            let ci = flag(user, "CI").unwrap_or(false);
            (stderr.is_terminal() && !dumb && !ci)
                .then(|| width.or_else(terminal))
                .flatten()
        }
    }
}

/// Begins a run of so many tests. It ends with the value.
#[must_use]
pub fn begin(user: &Environment, of: usize) -> Progress {
    let width = wanted(user).filter(|width| *width >= NARROW && of > 0);
    *lock() = width.map(|width| Bottom {
        width,
        done: 0,
        of,
        failing: 0,
        name: String::new(),
    });
    Progress(())
}

/// A run that goes on.
#[derive(Debug)]
pub struct Progress(());

impl Drop for Progress {
    fn drop(&mut self) {
        let mut bottom = lock();
        if bottom.take().is_some() {
            // Where nobody reads it, there is nothing to clear.
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

/// A test has ended.
pub fn step(name: &str, failed: bool) {
    let mut bottom = lock();
    if let Some(bottom) = bottom.as_mut() {
        bottom.done += 1;
        bottom.failing += usize::from(failed);
        name.clone_into(&mut bottom.name);
        let _ = write!(std::io::stderr(), "\r\x1b[K{}", bottom.text());
    }
}

/// Writes above the line.
///
/// # Errors
/// If standard error is closed.
pub fn above(write: impl FnOnce() -> std::io::Result<()>) -> std::io::Result<()> {
    let bottom = lock();
    match bottom.as_ref() {
        None => write(),
        Some(bottom) => {
            write!(std::io::stderr(), "\r\x1b[K")?;
            write()?;
            write!(std::io::stderr(), "{}", bottom.text())
        }
    }
}

fn lock() -> std::sync::MutexGuard<'static, Option<Bottom>> {
    BOTTOM.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Bottom {
    /// Never longer than the terminal is wide: a line that wraps cannot be
    /// taken back.
    fn text(&self) -> String {
        let filled = BAR * self.done / self.of.max(1);
        let bar: String = (0..BAR)
            .map(|at| match at.cmp(&filled) {
                std::cmp::Ordering::Less => '=',
                std::cmp::Ordering::Equal => '>',
                std::cmp::Ordering::Greater => ' ',
            })
            .collect();
        let mut rest = format!(" [{bar}] {}/{}", self.done, self.of);
        if self.failing > 0 {
            rest.push_str(&format!(", {} failing", self.failing));
        }
        if !self.name.is_empty() {
            rest.push_str(&format!(": {}", self.name));
        }
        let plain = status::label("Running", anstyle::Style::new());
        let room = self.width.saturating_sub(plain.chars().count() + 1);
        let rest: String = rest.chars().take(room).collect();
        let style = status::good();
        format!("{style}{plain}{style:#}{rest}")
    }
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::Bottom;

    #[test]
    fn it_fits_the_terminal() {
        let bottom = |width, done| {
            let bottom = Bottom {
                width,
                done,
                of: 12,
                failing: 2,
                name: "package::binary a_test_with_a_long_name".to_owned(),
            };
            strip_str(&bottom.text()).to_string()
        };
        assert_eq!(
            bottom(80, 6),
            "     Running [============>           ] 6/12, 2 failing: package::binary a_test"
        );
        assert_eq!(
            bottom(44, 12),
            "     Running [========================] 12/"
        );
        for width in 40..200 {
            assert!(bottom(width, 3).chars().count() < width);
        }
    }
}
