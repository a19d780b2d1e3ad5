//! The source around each place of a finding, so that a report can be read
//! where the source is not.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{Finding, Place};
use crate::render::human::marks;
use crate::render::human::snippet::{Mark, Texts};

/// Lines shown around a mark.
const AROUND: u32 = 3;

/// Bytes of a line that are kept.
const LONG_LINE: usize = 400;

/// Some lines of a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SnippetLine {
    /// The file, relative to the workspace.
    pub file: String,
    /// Number of the first line, from 1.
    pub first: u32,
    /// The lines.
    pub lines: Vec<String>,
    /// What happened where in them.
    pub marks: Vec<MarkLine>,
}

/// What happened at a place in a snippet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MarkLine {
    /// Number of the line, from 1.
    pub line: u32,
    /// First character of the mark in its line, in UTF-16 units from 0.
    pub start: usize,
    /// One past its last.
    pub end: usize,
    /// What.
    pub label: String,
    /// True for what the finding is about.
    pub primary: bool,
}

/// The source of a finding.
pub fn snippets(finding: &Finding) -> Vec<SnippetLine> {
    let mut marks = marks::marks(finding);
    for (at, leg) in finding.legs.iter().enumerate() {
        let step = leg.thread.spawned.first();
        let place = step.and_then(|step| step.at.primary()?.place.clone());
        if let (Some(place), Some(step)) = (place, step)
            && marks.iter().all(|mark| mark.place != place)
        {
            let number = marks::number(finding, at);
            marks.push(Mark {
                place,
                label: format!("({number}) spawned here by {}", step.by.text()),
                primary: false,
            });
        }
    }
    let texts = Texts::read(&marks);
    let mut files: BTreeMap<(bool, usize), Vec<&Mark>> = BTreeMap::new();
    for mark in &marks {
        let same = |other: &Mark| other.place.file == mark.place.file;
        let first = marks.iter().position(same).unwrap_or_default();
        let primary = marks.iter().any(|other| same(other) && other.primary);
        files.entry((!primary, first)).or_default().push(mark);
    }
    files
        .into_values()
        .flat_map(|marks| of_file(&marks, &texts))
        .collect()
}

fn of_file(marks: &[&Mark], texts: &Texts) -> Vec<SnippetLine> {
    let Some(text) = marks.first().and_then(|mark| texts.get(&mark.place.file)) else {
        return Vec::new();
    };
    let lines: Vec<&str> = text.lines().collect();
    let mut sorted: Vec<(&Mark, MarkLine)> = marks
        .iter()
        .filter_map(|mark| Some((*mark, mark_line(mark, texts, text, &lines)?)))
        .collect();
    sorted.sort_by_key(|(mark, _)| (mark.place.line, mark.place.column));
    let last = u32::try_from(lines.len()).unwrap_or(u32::MAX);
    let mut snippets: Vec<SnippetLine> = Vec::new();
    for (mark, line) in sorted {
        let from = line.line.saturating_sub(AROUND).max(1);
        let to = line.line.saturating_add(AROUND).min(last);
        let end = |snippet: &SnippetLine| snippet.first + snippet.lines.len() as u32;
        match snippets.last_mut().filter(|known| from <= end(known)) {
            Some(known) => {
                known.lines.extend(cut(&lines, end(known), to));
                known.marks.push(line);
            }
            None => snippets.push(SnippetLine {
                file: mark.place.shown.clone(),
                first: from,
                lines: cut(&lines, from, to),
                marks: vec![line],
            }),
        }
    }
    snippets
}

fn cut(lines: &[&str], from: u32, to: u32) -> Vec<String> {
    (from..=to)
        .filter_map(|number| lines.get(number as usize - 1))
        .map(
            |line| match line.char_indices().find(|(at, _)| *at >= LONG_LINE) {
                Some((at, _)) => format!("{}…", &line[..at]),
                None => (*line).to_owned(),
            },
        )
        .collect()
}

fn mark_line(mark: &Mark, texts: &Texts, text: &str, lines: &[&str]) -> Option<MarkLine> {
    let Place { line, .. } = &mark.place;
    let span = texts.span(&mark.place)?;
    let content = lines.get(*line as usize - 1)?;
    let begin = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
    let units = |end: usize| {
        content
            .get(..end - begin)
            .map(|part| part.encode_utf16().count())
    };
    Some(MarkLine {
        line: *line,
        start: units(span.start)?,
        end: units(span.end)?,
        label: mark.label.clone(),
        primary: mark.primary,
    })
}
