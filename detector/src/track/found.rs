//! From what was seen to a finding in words.

use std::collections::HashSet;
use std::sync::Mutex;

use super::context::ContextId;
use super::shadow::Record;
use super::sharded::lock;
use super::site::Site;
use super::units::{Leaked, Unit};
use crate::report::kind::{Certainty, Kind};
use crate::report::source::{Finding, Leg, Place};

/// A place of the source.
pub fn place(site: &Site) -> Place {
    Place {
        file: site.file.to_owned(),
        line: site.line,
        column: site.column,
        function: site.function.to_owned(),
        text: site.text.to_owned(),
    }
}

/// Findings that one process keeps.
const FINDINGS: usize = 200;

/// A race that was found, and the contexts of its legs.
struct Found {
    finding: Finding,
    contexts: [ContextId; 2],
}

/// The places of its legs, by which a race is told once.
type Places = [(&'static str, u32, u32); 2];

#[derive(Default)]
struct Races {
    found: Vec<Found>,
    told: HashSet<Places>,
}

static RACES: Mutex<Option<Races>> = Mutex::new(None);

/// Keeps a race, unless it is known or allowed.
pub fn tell_race(earlier: &Record, now: &Record, certain: bool) {
    let allowed = [earlier, now]
        .iter()
        .any(|record| record.site.item.allows("data_race").is_some());
    if allowed {
        return;
    }
    let mut places = [earlier.site, now.site].map(|site| (site.file, site.line, site.column));
    places.sort_unstable();
    let mut races = lock(&RACES);
    let races = races.get_or_insert_default();
    if races.found.len() < FINDINGS && races.told.insert(places) {
        races.found.push(Found {
            finding: race(earlier, now, certain),
            contexts: [earlier.context, now.context],
        });
    }
}

/// Takes the races of some contexts out.
pub fn take_races(belongs: impl Fn(ContextId) -> bool) -> Vec<Finding> {
    let mut races = lock(&RACES);
    let races = races.get_or_insert_default();
    let (taken, kept): (Vec<Found>, _) = std::mem::take(&mut races.found)
        .into_iter()
        .partition(|found| found.contexts.iter().any(|&context| belongs(context)));
    races.found = kept;
    taken.into_iter().map(|found| found.finding).collect()
}

fn thread(record: &Record) -> String {
    let named = record.who.spawned.and_then(|site| site.item.name);
    match named.or(record.who.name.as_deref()) {
        Some(name) => format!("thread `{name}`"),
        None => format!("thread {} (unnamed)", record.strand.id.0),
    }
}

/// Two accesses, of which nothing that was seen orders one before the other.
fn race(earlier: &Record, now: &Record, certain: bool) -> Finding {
    let who = [earlier, now].map(thread);
    let verb = |record: &Record| if record.writes { "write" } else { "read" };
    let variable = variable(earlier, now);
    let mut notes = Vec::new();
    for (index, record) in [earlier, now].into_iter().enumerate() {
        let number = index + 1;
        notes.push(format!("({number}) is in `{}`", record.site.function));
        if let Some(site) = record.who.spawned {
            notes.push(format!(
                "{} of ({number}) was spawned at {}",
                who[index],
                place(site)
            ));
        }
        for lock in &record.locks {
            notes.push(format!(
                "({number}) held the lock taken at {}: `{}`",
                place(lock),
                lock.text
            ));
        }
    }
    let (title, certainty, help) = if certain {
        (
            format!("data race on {variable}"),
            Certainty::Observed,
            "guard it by a lock, make it atomic, or hand it over by a channel or a join",
        )
    } else {
        (
            format!("possible data race on {variable}"),
            Certainty::Potential,
            "code that is not tracked ran in between and may have ordered the two: \
             `leakcheck test` sees all of the program and tells for sure",
        )
    };
    Finding {
        kind: Kind::DataRace,
        certainty,
        title,
        legs: vec![
            Leg {
                place: place(earlier.site),
                label: format!("(1) {} by {}", verb(earlier), who[0]),
            },
            Leg {
                place: place(now.site),
                label: format!("(2) {} by {}, not ordered after (1)", verb(now), who[1]),
            },
        ],
        notes,
        help: help.to_owned(),
    }
}

/// What is accessed, by its shortest expression, and its type.
fn variable(earlier: &Record, now: &Record) -> String {
    let shortest = [earlier, now]
        .into_iter()
        .min_by_key(|record| record.site.text.len())
        .unwrap_or(now);
    if let Some(name) = [earlier, now].iter().find_map(|it| it.site.item.variable) {
        return format!("`{name}: {}`", shortest.type_name);
    }
    let name = shortest.site.text;
    let name = name
        .split_once("+=")
        .or_else(|| name.split_once("-="))
        .or_else(|| name.split_once('='))
        .map_or(name, |(place, _)| {
            place.trim_end_matches(['*', '/', '|', '&', '^'])
        })
        .trim();
    format!("`{name}: {}`", shortest.type_name)
}

/// A task or thread that is still there, unless its item allows that.
pub fn leak_unless_allowed(leaked: &Leaked) -> Option<Finding> {
    let finding = leak(leaked);
    let name = finding.kind.info().name.replace('-', "_");
    let allowed = leaked.unit.site.item.allows(&name);
    allowed.is_none().then_some(finding)
}

fn leak(leaked: &Leaked) -> Finding {
    let Unit { site, name, .. } = &leaked.unit;
    let (kind, noun) = if leaked.is_task {
        (Kind::LeakedTask, "task")
    } else {
        (Kind::LeakedThread, "thread")
    };
    let called = match name {
        Some(name) => format!("{noun} `{name}`"),
        None => format!("{noun} {} (unnamed)", leaked.unit.number),
    };
    let waits = leaked.awaits.last();
    let title = match (waits, leaked.is_task) {
        (Some(at), _) => format!("{called} outlives its scope: it waits at `{}`", at.text),
        (None, true) if leaked.polls == 0 => {
            format!("{called} outlives its scope: it has not run yet")
        }
        (None, _) => format!("{called} outlives its scope"),
    };
    let mut legs = vec![Leg {
        place: place(site),
        label: "spawned here".to_owned(),
    }];
    for (depth, at) in leaked.awaits.iter().enumerate() {
        let label = if depth + 1 == leaked.awaits.len() {
            "it waits here"
        } else {
            "awaits the next"
        };
        legs.push(Leg {
            place: place(at),
            label: label.to_owned(),
        });
    }
    let mut notes = vec![format!("spawned in `{}`", site.function)];
    if let Some(parent) = &leaked.parent {
        notes.push(format!("spawned by {parent}"));
    }
    if leaked.is_task {
        let times = if leaked.polls == 1 { "time" } else { "times" };
        notes.push(format!("polled {} {times}", leaked.polls));
        if let Some(waker) = &leaked.woken_by {
            notes.push(format!("last woken by {waker}"));
        }
    }
    let certainty = if leaked.stuck {
        notes.push("proved: no waker of it is left, so it can never run again".to_owned());
        Certainty::Proved
    } else {
        Certainty::Observed
    };
    let help = if leaked.is_task {
        "let it end and await its handle, or abort it; a channel's receiver ends when every \
         sender is dropped; `#[track(daemon)]` if it is meant to stay"
    } else {
        "let it end and join it, or use `std::thread::scope`; `#[track(daemon)]` if it is meant \
         to stay"
    };
    Finding {
        kind,
        certainty,
        title,
        legs,
        notes,
        help: help.to_owned(),
    }
}
