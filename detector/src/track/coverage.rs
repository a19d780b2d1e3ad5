//! Coverage: what tracked code left alone, because it could not be
//! instrumented without changing the program.
//!
//! A function tells it once it is entered, a place that only its types speak
//! against once it is reached. What it misses: code that did not run, and
//! `const fn`, which can call nothing that counts.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::sharded::lock;
use super::site::Site;
use super::{found, local};
use crate::report::source::Place;

/// Places that are left alone, as an expansion lists them.
#[derive(Debug)]
pub struct Left {
    places: &'static [(&'static Site, &'static str)],
    told: AtomicBool,
}

static LEFT: Mutex<Vec<&'static Left>> = Mutex::new(Vec::new());
/// Places that only the types there speak against.
static TYPED: Mutex<Vec<(&'static Site, &'static str)>> = Mutex::new(Vec::new());

/// The program has come to a place that a type there speaks against.
pub fn left_by_type(site: &'static Site, why: &'static str) {
    local::inside(|_| {
        let mut typed = lock(&TYPED);
        if !typed.iter().any(|(known, _)| std::ptr::eq(*known, site)) {
            typed.push((site, why));
        }
    });
}

impl Left {
    /// These, each with the reason.
    pub const fn new(places: &'static [(&'static Site, &'static str)]) -> Self {
        Self {
            places,
            told: AtomicBool::new(false),
        }
    }

    /// The program has come here.
    #[inline]
    pub fn here(&'static self) {
        if !self.told.load(Ordering::Relaxed) {
            self.tell();
        }
    }

    #[cold]
    fn tell(&'static self) {
        if !self.told.swap(true, Ordering::Relaxed) {
            local::inside(|_| lock(&LEFT).push(self));
        }
    }
}

/// Something in tracked code that is not instrumented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftAlone {
    /// Where.
    pub place: Place,
    /// Why.
    pub why: &'static str,
}

/// What tracked code left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// In the order of files and lines.
    pub left_alone: Vec<LeftAlone>,
}

/// What was left alone in the tracked code that this process has run, because
/// it could not be instrumented without changing the program: a race there is
/// not seen, a task that is spawned there has no name.
///
/// ```
/// println!("{}", leakcheck::coverage());
/// ```
#[must_use]
pub fn coverage() -> Coverage {
    let told: Vec<&'static Left> = lock(&LEFT).clone();
    let typed: Vec<(&'static Site, &'static str)> = lock(&TYPED).clone();
    let places = told.iter().flat_map(|left| left.places).chain(&typed);
    let mut left_alone: Vec<LeftAlone> = places
        .map(|(site, why)| LeftAlone {
            place: found::place(site),
            why,
        })
        .collect();
    let key = |left: &LeftAlone| (left.place.file.clone(), left.place.line, left.place.column);
    left_alone.sort_by_key(key);
    left_alone.dedup();
    Coverage { left_alone }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.left_alone.len();
        let places = if count == 1 { "place" } else { "places" };
        writeln!(f, "{count} {places} in tracked code left alone")?;
        for LeftAlone { place, why } in &self.left_alone {
            writeln!(f, "    `{}` at {place}: {why}", place.text)?;
        }
        Ok(())
    }
}
