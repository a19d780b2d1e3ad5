//! `#[track(allow(LC0002, reason = "…"))]` on a function, `impl` or module:
//! what is found in its code does not count.
//!
//! The mark is read from the source of the frames of a finding. What it
//! misses: a function that a macro makes, and a mark in source that has
//! changed since the build.

use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use cargo_metadata::Package;
use syn::parse::{Parse, ParseStream, Parser as _};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

use crate::config::Selector;
use crate::document::EntryLine;
use crate::model::{Excuse, Finding, FrameClass, Stack};

/// A mark in a source file.
#[derive(Debug, Clone, PartialEq)]
struct Mark {
    lines: RangeInclusive<usize>,
    kinds: Vec<Selector>,
    reason: String,
    at: usize,
}

impl Mark {
    /// How a report calls it; `shown` is the file.
    fn line(&self, shown: &str) -> EntryLine {
        let kinds: Vec<String> = self.kinds.iter().map(ToString::to_string).collect();
        EntryLine {
            source: format!("{shown}:{}", self.at),
            entry: format!("`track(allow({}))`", kinds.join(", ")),
        }
    }
}

/// The marks of source files, each read once.
#[derive(Debug, Default)]
pub struct CodeMarks(HashMap<PathBuf, Vec<Mark>>);

impl CodeMarks {
    /// Why a finding does not count, if the code says so at one of its
    /// frames, and which mark says it.
    pub fn excuse(&mut self, finding: &Finding) -> Option<(EntryLine, Excuse)> {
        let stacks: Vec<&Stack> = finding
            .legs
            .iter()
            .flat_map(|leg| {
                let spawned = leg.thread.spawned.iter().map(|step| &step.at);
                std::iter::once(&leg.stack).chain(spawned)
            })
            .collect();
        let frames = stacks.into_iter().flat_map(|stack| stack.frames());
        for frame in frames.filter(|frame| frame.class <= FrameClass::Dependency) {
            let Some(place) = &frame.place else { continue };
            let line = place.line as usize;
            let mark = self.of(&place.file).iter().find(|mark| {
                mark.lines.contains(&line)
                    && mark.kinds.iter().any(|kind| kind.matches(finding.kind))
            });
            if let Some(mark) = mark {
                let entry = mark.line(&place.shown);
                let excuse = Excuse {
                    source: entry.source.clone(),
                    reason: mark.reason.clone(),
                };
                return Some((entry, excuse));
            }
        }
        None
    }

    fn of(&mut self, path: &Path) -> &[Mark] {
        self.0
            .entry(path.to_owned())
            .or_insert_with(|| marks_of(path))
    }
}

/// The source files of a workspace's own packages: where a mark can be that
/// matches nothing.
#[derive(Debug, Default)]
pub struct SourceTree {
    root: PathBuf,
    dirs: BTreeSet<PathBuf>,
}

impl SourceTree {
    /// Of these packages; files are shown relative to `root`.
    pub fn new<'a>(root: &Path, packages: impl Iterator<Item = &'a Package>) -> Self {
        let targets = packages.flat_map(|package| &package.targets);
        let dirs = targets
            .filter(|target| !target.is_custom_build())
            .filter_map(|target| target.src_path.parent())
            .map(|dir| dir.as_std_path().to_owned());
        Self {
            root: root.to_owned(),
            dirs: dirs.collect(),
        }
    }

    /// All marks, also of code that was not compiled. What cannot be read has
    /// none: that is the compiler's to tell.
    pub fn marks(&self) -> Vec<EntryLine> {
        let mut files = BTreeSet::new();
        for dir in &self.dirs {
            collect(dir, &mut files);
        }
        files
            .iter()
            .flat_map(|file| {
                let shown = file.strip_prefix(&self.root).unwrap_or(file);
                let shown = shown.display().to_string();
                let lines = marks_of(file);
                lines.into_iter().map(move |mark| mark.line(&shown))
            })
            .collect()
    }
}

/// The source files below a directory, without those of packages in it.
fn collect(dir: &Path, files: &mut BTreeSet<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if is_dir {
            let foreign = ["Cargo.toml", "CACHEDIR.TAG"];
            if !hidden && !foreign.iter().any(|name| path.join(name).exists()) {
                collect(&path, files);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.insert(path);
        }
    }
}

fn marks_of(path: &Path) -> Vec<Mark> {
    std::fs::read_to_string(path).map_or_else(|_| Vec::new(), |text| marks(&text))
}

fn marks(text: &str) -> Vec<Mark> {
    // Most files have none, and need not be parsed.
    if !text.contains("track") || !text.contains("allow") {
        return Vec::new();
    }
    let Ok(file) = syn::parse_file(text) else {
        return Vec::new();
    };
    let mut found = Found::default();
    found.visit_file(&file);
    // An inner mark says more.
    found
        .0
        .sort_by_key(|mark| mark.lines.end() - mark.lines.start());
    found.0
}

/// An attribute's `track(…)`, also within `cfg_attr(…)`: which configuration
/// the program was built with, its source does not say.
fn tracks(meta: &syn::Meta) -> Vec<syn::MetaList> {
    let syn::Meta::List(list) = meta else {
        return Vec::new();
    };
    if list.path.is_ident("cfg_attr") {
        let parse = Punctuated::<syn::Meta, syn::Token![,]>::parse_terminated;
        let metas = parse.parse2(list.tokens.clone()).unwrap_or_default();
        return metas.iter().skip(1).flat_map(tracks).collect();
    }
    let last = list.path.segments.last();
    if last.is_some_and(|segment| segment.ident == "track") {
        vec![list.clone()]
    } else {
        Vec::new()
    }
}

#[derive(Default)]
struct Found(Vec<Mark>);

impl Found {
    fn take(&mut self, attributes: &[syn::Attribute], item: proc_macro2::Span) {
        let (start, end) = (item.start().line, item.end().line);
        for attribute in attributes {
            for list in tracks(&attribute.meta) {
                let Ok(Arguments(allows)) = syn::parse2(list.tokens) else {
                    continue;
                };
                self.0.extend(allows.into_iter().map(|allow| Mark {
                    lines: start..=end,
                    kinds: allow.kinds,
                    reason: allow.reason,
                    at: attribute.span().start().line,
                }));
            }
        }
    }
}

impl<'ast> Visit<'ast> for Found {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.take(&item.attrs, item.span());
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.take(&item.attrs, item.span());
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.take(&item.attrs, item.span());
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        self.take(&item.attrs, item.span());
        visit::visit_item_impl(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.take(&item.attrs, item.span());
        visit::visit_item_mod(self, item);
    }
}

/// The arguments of `#[track(…)]`, of which only `allow(…)` is of interest.
struct Arguments(Vec<Allow>);

struct Allow {
    kinds: Vec<Selector>,
    reason: String,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let metas = Punctuated::<syn::Meta, syn::Token![,]>::parse_terminated(input)?;
        let mut allows = Vec::new();
        for meta in metas {
            if let syn::Meta::List(list) = &meta
                && list.path.is_ident("allow")
            {
                allows.push(syn::parse2(list.tokens.clone())?);
            }
        }
        Ok(Self(allows))
    }
}

impl Parse for Allow {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut kinds = Vec::new();
        let mut reason = String::new();
        for meta in Punctuated::<syn::Meta, syn::Token![,]>::parse_terminated(input)? {
            match meta {
                syn::Meta::NameValue(pair) if pair.path.is_ident("reason") => {
                    if let syn::Expr::Lit(literal) = &pair.value
                        && let syn::Lit::Str(text) = &literal.lit
                    {
                        reason = text.value();
                    }
                }
                syn::Meta::Path(path) => {
                    let name = path
                        .get_ident()
                        .map(|ident| ident.to_string().replace('_', "-"))
                        .unwrap_or_default();
                    let selector = Selector::parse(&name)
                        .map_err(|error| syn::Error::new(path.span(), error))?;
                    kinds.push(selector);
                }
                syn::Meta::NameValue(_) | syn::Meta::List(_) => {}
            }
        }
        if reason.trim().is_empty() {
            return Err(input.error("`allow` needs a `reason`"));
        }
        Ok(Self { kinds, reason })
    }
}

#[cfg(test)]
mod tests {
    use leakcheck::report::kind::Kind;

    use super::{Selector, marks};

    const TEXT: &str = r#"
use leakcheck::track;

#[track(allow(LC0002, reason = "one poller for the process"))]
fn poller() {
    std::thread::spawn(|| loop {});
}

#[leakcheck::track(name = "x", allow(data_race, deadlock, reason = "benign"))]
impl S {
    fn f() {}
}

#[track(allow(LC0001))]
fn without_reason() {}

#[other(allow(LC0001, reason = "no"))]
fn not_ours() {}
"#;

    #[test]
    fn marks_cover_their_item() {
        let marks = marks(TEXT);
        assert_eq!(marks.len(), 2, "{marks:?}");
        assert_eq!(marks[0].reason, "one poller for the process");
        assert_eq!((marks[0].lines.clone(), marks[0].at), (4..=7, 4));
        assert_eq!(marks[0].kinds, [Selector::Kind(Kind::LeakedThread)]);
        assert_eq!(marks[1].kinds.len(), 2);
    }
}
