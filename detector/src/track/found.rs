//! From what was seen to a finding in words.

use super::engine::{Engine, Record};
use super::site::Site;
use super::strand::StrandId;
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

fn thread(engine: &Engine, id: StrandId) -> String {
    let who = engine.who(id);
    let named = who.and_then(|who| who.spawned.and_then(|site| site.item.name));
    let own = who.and_then(|who| who.name.as_deref());
    match named.or(own) {
        Some(name) => format!("thread `{name}`"),
        None => format!("thread {} (unnamed)", id.0),
    }
}

/// Two accesses, of which nothing that was seen orders one before the other.
pub fn race(engine: &Engine, earlier: &Record, now: &Record, certain: bool) -> Finding {
    let who = [earlier, now].map(|record| thread(engine, record.strand));
    let verb = |record: &Record| if record.writes { "write" } else { "read" };
    let variable = variable(earlier, now);
    let mut notes = Vec::new();
    for (index, record) in [earlier, now].into_iter().enumerate() {
        let number = index + 1;
        notes.push(format!("({number}) is in `{}`", record.site.function));
        let spawned = engine.who(record.strand).and_then(|who| who.spawned);
        if let Some(site) = spawned {
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
    let name = shortest.site.item.name.unwrap_or(shortest.site.text);
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
