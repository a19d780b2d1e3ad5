//! Marks in source files: which bytes, in which file, in which order.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{Annotation, AnnotationKind, Snippet};

use super::extent::extent;
use crate::model::Place;

/// A place to mark with what happened there.
#[derive(Debug, Clone)]
pub struct Mark {
    /// Where.
    pub place: Place,
    /// What.
    pub label: String,
    /// True for what the finding is about, false for what explains it.
    pub primary: bool,
}

/// The text of source files, each read once.
#[derive(Debug, Default)]
pub struct Texts(HashMap<PathBuf, Option<String>>);

impl Texts {
    /// Reads the files of these marks.
    pub fn read(marks: &[Mark]) -> Self {
        let mut texts = HashMap::new();
        for mark in marks {
            let file = &mark.place.file;
            texts
                .entry(file.clone())
                .or_insert_with(|| std::fs::read_to_string(file).ok());
        }
        Self(texts)
    }

    /// The text of a file, if it can be read.
    pub fn get(&self, file: &Path) -> Option<&str> {
        self.0.get(file)?.as_deref()
    }

    /// The bytes that a mark covers in its file; none if the file cannot be
    /// read or is no longer the one that was compiled.
    pub fn span(&self, place: &Place) -> Option<Range<usize>> {
        let text = self.get(&place.file)?;
        let line = usize::try_from(place.line).ok()?.checked_sub(1)?;
        let mut start = 0;
        for (at, content) in text.split_inclusive('\n').enumerate() {
            if at == line {
                let content = content.trim_end_matches(['\n', '\r']);
                let inside = extent(content, place.column);
                return (!inside.is_empty()).then(|| start + inside.start..start + inside.end);
            }
            start += content.len();
        }
        None
    }
}

/// One snippet a file, those with a primary mark first, else in the order of
/// the marks; marks that cannot be shown are returned too.
pub fn snippets<'a>(
    marks: &'a [Mark],
    texts: &'a Texts,
) -> (Vec<Snippet<'a, Annotation<'a>>>, Vec<&'a Mark>) {
    let mut files: Vec<(&Path, &str, Vec<Annotation<'a>>)> = Vec::new();
    let mut unseen = Vec::new();
    for mark in marks {
        let Some(span) = texts.span(&mark.place) else {
            unseen.push(mark);
            continue;
        };
        let kind = if mark.primary {
            AnnotationKind::Primary
        } else {
            AnnotationKind::Context
        };
        let annotation = kind.span(span).label(mark.label.as_str());
        match files.iter_mut().find(|(file, ..)| *file == mark.place.file) {
            Some((_, _, annotations)) => annotations.push(annotation),
            None => files.push((&mark.place.file, &mark.place.shown, vec![annotation])),
        }
    }
    let is_primary = |file: &Path| {
        marks
            .iter()
            .any(|mark| mark.primary && mark.place.file == file)
    };
    files.sort_by_key(|(file, ..)| !is_primary(file));
    let snippets = files
        .into_iter()
        .filter_map(|(file, shown, annotations)| {
            Some(
                Snippet::source(texts.get(file)?)
                    .path(shown)
                    .annotations(annotations),
            )
        })
        .collect();
    (snippets, unseen)
}
