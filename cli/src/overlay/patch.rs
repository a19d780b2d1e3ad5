//! Edits of a crate's sources, and whether they fit. Pure.
//!
//! An edit has an anchor: a text that must be in its file exactly once. Where
//! releases of a crate differ, an edit names several files and anchors, of
//! which exactly one must fit.

use std::collections::BTreeMap;

/// Where an edit puts its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// Before the anchor.
    Before,
    /// After it.
    After,
    /// In its place.
    Instead,
}

/// A change of a file.
#[derive(Debug, Clone, Copy)]
pub struct Edit {
    /// The file, below the crate's root module's directory.
    pub files: &'static [&'static str],
    /// The anchor.
    pub anchors: &'static [&'static str],
    /// Where the text goes.
    pub at: At,
    /// The text.
    pub text: &'static str,
    /// What goes unseen without this edit, or nothing, as an empty text; none if
    /// nothing works without it. Where one such edit does not fit, none is made
    /// without which the same goes unseen.
    pub otherwise: Option<&'static str>,
}

/// Files as they are after the edits, and what did not fit.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Patched {
    /// Changed files.
    pub files: BTreeMap<&'static str, String>,
    /// What goes unseen, since an edit that can be done without did not fit.
    pub unseen: Vec<&'static str>,
}

/// An edit that nothing works without does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unfit {
    /// The first anchor that was looked for.
    pub anchor: &'static str,
}

/// Makes the edits in the files that `read` gives.
///
/// # Errors
/// If an edit without which nothing works does not fit.
pub fn patch(edits: &[Edit], read: &dyn Fn(&str) -> Option<String>) -> Result<Patched, Unfit> {
    let mut unseen: Vec<&str> = Vec::new();
    'again: loop {
        let mut patched = Patched::default();
        let is_made = |edit: &&Edit| !edit.otherwise.is_some_and(|it| unseen.contains(&it));
        for edit in edits.iter().filter(is_made) {
            match fit(edit, &patched, read) {
                Some((file, text)) => {
                    patched.files.insert(file, text);
                }
                None => match edit.otherwise {
                    Some("") => {}
                    Some(without) => {
                        unseen.push(without);
                        continue 'again;
                    }
                    None => {
                        return Err(Unfit {
                            anchor: edit.anchors[0],
                        });
                    }
                },
            }
        }
        patched.unseen = unseen;
        return Ok(patched);
    }
}

/// The one file that the edit fits, changed.
fn fit(
    edit: &Edit,
    patched: &Patched,
    read: &dyn Fn(&str) -> Option<String>,
) -> Option<(&'static str, String)> {
    let mut found = None;
    for file in edit.files {
        let Some(text) = patched.files.get(file).cloned().or_else(|| read(file)) else {
            continue;
        };
        for anchor in edit.anchors {
            match text.matches(anchor).count() {
                0 => {}
                1 if found.is_none() => {
                    let new = match edit.at {
                        At::Before => format!("{}{anchor}", edit.text),
                        At::After => format!("{anchor}{}", edit.text),
                        At::Instead => edit.text.to_owned(),
                    };
                    found = Some((*file, text.replacen(anchor, &new, 1)));
                }
                _ => return None,
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{At, Edit, Unfit, patch};

    const EDIT: Edit = Edit {
        files: &["a.rs", "b.rs"],
        anchors: &["old()", "older()"],
        at: At::Before,
        text: "new(); ",
        otherwise: None,
    };

    fn files(a: &'static str, b: &'static str) -> impl Fn(&str) -> Option<String> {
        move |name| match name {
            "a.rs" => Some(a.to_owned()),
            "b.rs" => Some(b.to_owned()),
            _ => None,
        }
    }

    #[test]
    fn an_edit_goes_where_its_anchor_is() {
        let patched = patch(&[EDIT], &files("fn a() {}", "{ older() }")).unwrap();
        assert_eq!(patched.files["b.rs"], "{ new(); older() }");
        assert_eq!(patched.files.len(), 1);
    }

    #[test]
    fn edits_of_one_file_add_up() {
        let second = Edit {
            anchors: &["}"],
            at: At::After,
            text: ";",
            ..EDIT
        };
        let patched = patch(&[EDIT, second], &files("{ old() }", "")).unwrap();
        assert_eq!(patched.files["a.rs"], "{ new(); old() };");
    }

    #[test]
    fn an_anchor_that_is_there_twice_does_not_fit() {
        let unfit = Unfit { anchor: "old()" };
        assert_eq!(patch(&[EDIT], &files("old() old()", "")), Err(unfit));
        assert_eq!(patch(&[EDIT], &files("old()", "older()")), Err(unfit));
        assert_eq!(patch(&[EDIT], &files("", "")), Err(unfit));
    }

    #[test]
    fn what_can_be_done_without_is_told() {
        let optional = Edit {
            otherwise: Some("wakes"),
            ..EDIT
        };
        let patched = patch(&[optional], &files("", "")).unwrap();
        assert_eq!(patched.unseen, ["wakes"]);
        assert!(patched.files.is_empty());
    }

    #[test]
    fn edits_for_the_same_stand_and_fall_together() {
        let first = Edit {
            otherwise: Some("wakes"),
            ..EDIT
        };
        let second = Edit {
            anchors: &["gone()"],
            ..first
        };
        let third = Edit {
            otherwise: Some("joins"),
            ..EDIT
        };
        let patched = patch(&[first, third, second], &files("old()", "")).unwrap();
        assert_eq!(patched.unseen, ["wakes"]);
        assert_eq!(patched.files["a.rs"], "new(); old()");
    }
}
