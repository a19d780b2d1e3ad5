//! `#[track(allow(LC0002, reason = "…"))]` on a function, `impl`, trait or
//! module: what is found in its code does not count; on a static variable or a
//! struct: races on its memory do not. `#[track(daemon)]` is said of threads
//! and tasks that stay.
//!
//! The mark is read from the source of the frames of a finding, of a variable
//! or a struct from all sources of the workspace. What it misses: an item that
//! a macro makes, and a mark in source that has changed since the build. Of
//! memory the program tells the variable, or what was allocated: a struct is
//! known by that, not as a field of another, unless tracked code accesses it.

use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use cargo_metadata::Package;
use leakcheck::report::kind::Kind;
use syn::parse::{Parse, ParseStream, Parser as _};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

use crate::config::Selector;
use crate::document::EntryLine;
use crate::model::{Excuse, Finding, FrameClass, Memory, Said, Stack};

/// A mark in a source file.
#[derive(Debug, Clone, PartialEq)]
struct Mark {
    about: About,
    lines: RangeInclusive<usize>,
    kinds: Vec<Selector>,
    reason: String,
    at: usize,
    is_daemon: bool,
}

/// What a mark speaks of.
#[derive(Debug, Clone, PartialEq)]
enum About {
    /// What code in its lines does.
    Code,
    /// The static variable of this path in its file.
    Variable(String),
    /// Memory of the struct with this name.
    Struct(String),
}

impl About {
    /// Whether a race on this memory is meant; `file` is where the mark is.
    fn is(&self, memory: &Memory, said: Option<&Said>, file: &Path) -> bool {
        if let (Self::Struct(wanted), Some(Said::Field { owner, .. })) = (self, said) {
            // The access itself tells whose field it is.
            let path = owner.split('<').next().unwrap_or(owner);
            return path.rsplit("::").next() == Some(wanted.as_str());
        }
        match (self, memory) {
            (Self::Variable(path), Memory::Static { name, .. }) => {
                let path = match module_of(file) {
                    Some(module) => format!("{module}::{path}"),
                    None => path.clone(),
                };
                name.strip_suffix(path.as_str())
                    .is_some_and(|before| before.is_empty() || before.ends_with("::"))
            }
            (
                Self::Struct(wanted),
                Memory::Static { ty: Some(ty), .. } | Memory::Heap { ty: Some(ty), .. },
            ) => ty
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .any(|word| word == wanted),
            (Self::Code | Self::Variable(_) | Self::Struct(_), _) => false,
        }
    }
}

/// The name of the module or crate that a file holds, unless it is a library's
/// or a program's root, whose crate may be called anything.
fn module_of(file: &Path) -> Option<String> {
    let stem = file.file_stem()?.to_str()?;
    let module = match stem {
        "lib" | "main" => return None,
        "mod" => file.parent()?.file_name()?.to_str()?,
        stem => stem,
    };
    Some(module.replace('-', "_"))
}

impl Mark {
    fn is_of(&self, finding: &Finding) -> bool {
        self.kinds.iter().any(|kind| kind.matches(finding.kind))
    }

    fn excuse(&self, shown: &str) -> (EntryLine, Excuse) {
        let entry = self.line(shown);
        let excuse = Excuse {
            source: entry.source.clone(),
            reason: self.reason.clone(),
        };
        (entry, excuse)
    }

    /// How a report calls it; `shown` is the file.
    fn line(&self, shown: &str) -> EntryLine {
        let kinds: Vec<String> = self.kinds.iter().map(ToString::to_string).collect();
        EntryLine {
            source: format!("{shown}:{}", self.at),
            entry: if self.is_daemon {
                "`track(daemon)`".to_owned()
            } else {
                format!("`track(allow({}))`", kinds.join(", "))
            },
        }
    }
}

/// The marks of source files, each read once.
#[derive(Debug, Default)]
pub struct CodeMarks(HashMap<PathBuf, Vec<Mark>>);

impl CodeMarks {
    /// Why a finding does not count, if the code says so at one of its
    /// frames, and which mark says it.
    pub fn excuse(&mut self, finding: &Finding, tree: &SourceTree) -> Option<(EntryLine, Excuse)> {
        self.of_code(finding)
            .or_else(|| tree.excuse_of_memory(finding))
    }

    fn of_code(&mut self, finding: &Finding) -> Option<(EntryLine, Excuse)> {
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
                mark.about == About::Code && mark.lines.contains(&line) && mark.is_of(finding)
            });
            if let Some(mark) = mark {
                return Some(mark.excuse(&place.shown));
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
    /// All marks, with their files, once they were asked for.
    marks: OnceLock<Vec<(PathBuf, Mark)>>,
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
            marks: OnceLock::new(),
        }
    }

    fn shown(&self, file: &Path) -> String {
        let shown = file.strip_prefix(&self.root).unwrap_or(file);
        shown.display().to_string()
    }

    fn all(&self) -> &[(PathBuf, Mark)] {
        self.marks.get_or_init(|| {
            let mut files = BTreeSet::new();
            for dir in &self.dirs {
                collect(dir, &mut files);
            }
            let of = |file: PathBuf| {
                let marks = marks_of(&file).into_iter();
                marks.map(|mark| (file.clone(), mark)).collect::<Vec<_>>()
            };
            files.into_iter().flat_map(of).collect()
        })
    }

    /// Why a race does not count, if the memory is of a variable or a struct
    /// that says so.
    fn excuse_of_memory(&self, finding: &Finding) -> Option<(EntryLine, Excuse)> {
        let memory = finding.memory.as_ref()?;
        let said = finding.said.as_ref();
        let mut marks = self.all().iter();
        let (file, mark) =
            marks.find(|(file, mark)| mark.about.is(memory, said, file) && mark.is_of(finding))?;
        Some(mark.excuse(&self.shown(file)))
    }

    /// All marks, also of code that was not compiled. What cannot be read has
    /// none: that is the compiler's to tell.
    pub fn marks(&self) -> Vec<EntryLine> {
        // That something may stay does not say that it will.
        let marks = self.all().iter().filter(|(_, mark)| !mark.is_daemon);
        marks
            .map(|(file, mark)| mark.line(&self.shown(file)))
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
    if !text.contains("track") || !text.contains("allow") && !text.contains("daemon") {
        return Vec::new();
    }
    let Ok(file) = syn::parse_file(text) else {
        return Vec::new();
    };
    let mut found = Found::default();
    found.visit_file(&file);
    // An inner mark says more.
    found
        .marks
        .sort_by_key(|mark| mark.lines.end() - mark.lines.start());
    found.marks
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
struct Found {
    marks: Vec<Mark>,
    /// The modules around, in this file.
    modules: Vec<String>,
}

impl Found {
    fn take(&mut self, attributes: &[syn::Attribute], item: proc_macro2::Span) {
        self.take_about(&About::Code, attributes, item);
    }

    fn take_about(
        &mut self,
        about: &About,
        attributes: &[syn::Attribute],
        item: proc_macro2::Span,
    ) {
        let (start, end) = (item.start().line, item.end().line);
        for attribute in attributes {
            for list in tracks(&attribute.meta) {
                let Ok(Arguments { allows, daemon }) = syn::parse2(list.tokens) else {
                    continue;
                };
                let stays = daemon.then(|| Allow {
                    kinds: Kind::STAYS.map(Selector::Kind).to_vec(),
                    reason: "a daemon: it is meant to stay".to_owned(),
                });
                let all = allows
                    .into_iter()
                    .map(|allow| (allow, false))
                    .chain(stays.map(|stays| (stays, true)));
                self.marks.extend(all.map(|(allow, is_daemon)| Mark {
                    about: about.clone(),
                    lines: start..=end,
                    kinds: allow.kinds,
                    reason: allow.reason,
                    at: attribute.span().start().line,
                    is_daemon,
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

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.take(&item.attrs, item.span());
        visit::visit_item_trait(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.take(&item.attrs, item.span());
        self.modules.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.modules.pop();
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        let mut path = self.modules.clone();
        path.push(item.ident.to_string());
        let about = About::Variable(path.join("::"));
        self.take_about(&about, &item.attrs, item.span());
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        let about = About::Struct(item.ident.to_string());
        self.take_about(&about, &item.attrs, item.span());
    }
}

/// The arguments of `#[track(…)]` that excuse something.
struct Arguments {
    allows: Vec<Allow>,
    daemon: bool,
}

struct Allow {
    kinds: Vec<Selector>,
    reason: String,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let metas = Punctuated::<syn::Meta, syn::Token![,]>::parse_terminated(input)?;
        let mut allows = Vec::new();
        let daemon = metas.iter().any(|meta| meta.path().is_ident("daemon"));
        for meta in metas {
            if let syn::Meta::List(list) = &meta
                && list.path.is_ident("allow")
            {
                allows.push(syn::parse2(list.tokens.clone())?);
            }
        }
        Ok(Self { allows, daemon })
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
    use std::path::Path;

    use super::{About, Kind, Memory, Said, Selector, marks};

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

    const MEMORY: &str = r#"
#[track(daemon)]
fn poller() {}

mod counters {
    #[track(allow(data_race, reason = "a guess"))]
    static mut HITS: u32 = 0;
}

#[track(name = "slots", allow(data_race, reason = "statistics"))]
struct Slots;
"#;

    fn variable(name: &str, ty: &str) -> Memory {
        Memory::Static {
            name: name.to_owned(),
            ty: Some(ty.to_owned()),
            part: None,
        }
    }

    #[test]
    fn marks_of_memory_are_about_it_alone() {
        let marks = marks(MEMORY);
        let of = |wanted: &About| marks.iter().find(|mark| mark.about == *wanted).unwrap();
        let daemon = of(&About::Code);
        assert!(daemon.is_daemon);
        assert_eq!(daemon.kinds[1], Selector::Kind(Kind::LeakedTask));
        let hits = About::Variable("counters::HITS".to_owned());
        assert_eq!(of(&hits).reason, "a guess");
        let lib = Path::new("src/lib.rs");
        assert!(hits.is(&variable("a::counters::HITS", "u32"), None, lib));
        assert!(!hits.is(&variable("a::other::HITS", "u32"), None, lib));
        assert!(!hits.is(&variable("a::my_counters::HITS", "u32"), None, lib));
        let inner = Path::new("src/inner.rs");
        assert!(hits.is(&variable("a::inner::counters::HITS", "u32"), None, inner));
        assert!(!hits.is(&variable("a::counters::HITS", "u32"), None, inner));
        let test = Path::new("tests/some-test.rs");
        assert!(hits.is(&variable("some_test::counters::HITS", "u32"), None, test));
        let slots = About::Struct("Slots".to_owned());
        assert!(slots.is(&variable("a::TABLE", "[a::Slots; 3]"), None, lib));
        assert!(!slots.is(&variable("a::TABLE", "a::MySlots"), None, lib));
        // What the access itself tells goes before that.
        let field = |owner: &str| Said::Field {
            owner: owner.to_owned(),
            name: None,
            field: "used".to_owned(),
        };
        let pair = variable("a::TABLE", "(a::Slots, a::Other)");
        assert!(slots.is(&pair, Some(&field("a::Slots<u8>")), lib));
        assert!(!slots.is(&pair, Some(&field("a::Other")), lib));
        assert_eq!(of(&slots).reason, "statistics");
    }

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
