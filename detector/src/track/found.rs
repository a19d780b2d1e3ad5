//! From what was seen to a finding in words.

use std::collections::HashMap;
use std::sync::Mutex;

use super::context::ContextId;
use super::shadow::Record;
use super::sharded::lock;
use super::site::Site;
use super::units::{Leaked, Unit};
use super::variable::{self, Variable};
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
    places: Places,
    finding: Finding,
    contexts: [ContextId; 2],
}

/// The places of its legs, by which a race is told once.
type Places = [(&'static str, u32, u32); 2];

#[derive(Default)]
struct Races {
    found: Vec<Found>,
    /// True if it was certain.
    told: HashMap<Places, bool>,
}

static RACES: Mutex<Option<Races>> = Mutex::new(None);

/// Keeps a race on the memory at `addr`, unless it is known or allowed.
pub fn tell_race(earlier: &Record, now: &Record, addr: usize, certain: bool) {
    let variable = variable::at(addr);
    let both = [earlier, now];
    let sites = both.iter().map(|record| record.site.item);
    let owners = both.iter().filter_map(|record| record.owner);
    let items = sites
        .chain(owners.map(|owner| owner.item))
        .chain(variable.map(|variable| variable.item));
    if items
        .into_iter()
        .any(|item| item.skip || item.allows(Kind::DataRace).is_some())
    {
        return;
    }
    let mut places = [earlier.site, now.site].map(|site| (site.file, site.line, site.column));
    places.sort_unstable();
    let mut races = lock(&RACES);
    let races = races.get_or_insert_default();
    let told = races.told.get(&places).copied();
    if told == Some(true) || told == Some(certain) {
        return;
    }
    let found = Found {
        places,
        finding: race(earlier, now, variable, certain),
        contexts: [earlier.context, now.context],
    };
    // What was possible is certain now.
    match races.found.iter().position(|known| known.places == places) {
        Some(possible) => races.found[possible] = found,
        None if races.found.len() < FINDINGS => races.found.push(found),
        None => return,
    }
    races.told.insert(places, certain);
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
fn race(earlier: &Record, now: &Record, known: Option<&Variable>, certain: bool) -> Finding {
    let who = [earlier, now].map(thread);
    let verb = |record: &Record| if record.writes { "write" } else { "read" };
    let variable = title_of(earlier, now, known);
    let mut notes = Vec::new();
    for (index, record) in [earlier, now].into_iter().enumerate() {
        let number = index + 1;
        notes.push(format!("({number}) is in `{}`", record.site.function));
        if let Some(owner) = record.owner {
            notes.push(format!("({number}) accesses {owner}"));
        }
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
    if let Some(variable) = known {
        notes.push(format!(
            "the memory is the static variable `{}`",
            variable.path
        ));
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

/// What is accessed, by the name that it was given or else its shortest
/// expression, and its type.
fn title_of(earlier: &Record, now: &Record, variable: Option<&Variable>) -> String {
    let both = [earlier, now];
    let shortest = both
        .into_iter()
        .min_by_key(|record| record.site.text.len())
        .unwrap_or(now);
    let type_name = shortest.type_name;
    if let Some(name) = variable.and_then(|variable| variable.item.name) {
        return format!("`{name}: {type_name}`");
    }
    let mut owners = both.iter().filter_map(|record| record.owner);
    let named = owners.find_map(|owner| Some((owner.item.name?, owner.field)));
    if let Some((name, field)) = named {
        return format!("`{name}.{field}: {type_name}`");
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
    format!("`{name}: {type_name}`")
}

/// A task or thread that is still there, unless its item allows that.
pub fn leak_unless_allowed(leaked: &Leaked) -> Option<Finding> {
    let finding = leak(leaked);
    let mut items = leaked.items();
    let is_allowed = items.any(|item| item.allows(finding.kind).is_some());
    (!is_allowed).then_some(finding)
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
