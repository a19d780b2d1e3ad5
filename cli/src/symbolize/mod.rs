//! From addresses to names: functions with their inlined callers, files and
//! lines, statics, and the type of what was allocated.
//!
//! - [`function`]: spellings of a function's name;
//! - [`module`]: one ELF file: DWARF line tables and symbol table;
//! - [`statics`]: its static variables;
//! - [`generics`]: the DWARF names of functions, which carry type arguments.
//!
//! Every file is opened once, when the first address in it is looked up; the
//! parts that only some findings need (statics, types) are read when the first
//! of those comes.
//!
//! What it misses: with line tables only an inlined function has no path; the
//! driver asks for limited debug information instead. A stripped module has
//! only the names of its dynamic symbol table; types are known only where the
//! build has debug information of level 2 (the default of `cargo test`).

pub mod function;
pub mod generics;
pub mod module;
pub mod statics;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use self::function::FunctionName;
use self::module::ModuleFile;

/// A frame as the debug information has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawFrame {
    /// The function.
    pub function: FunctionName,
    /// The file as the compiler recorded it.
    pub file: Option<PathBuf>,
    /// Line, from 1; 0 if not known.
    pub line: u32,
    /// Column, from 1; 0 if not known.
    pub column: u32,
    /// True if inlined into the next frame.
    pub inlined: bool,
}

/// A static variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its path.
    pub name: String,
    /// Its type, where debug information has it.
    pub ty: Option<String>,
    /// Its address in the file.
    pub address: u64,
    /// Bytes.
    pub size: u64,
}

/// Where names come from: files in a run, a table in a test.
///
/// An `address` is that of the file (run-time address − bias).
pub trait Symbols {
    /// The frames at an address, innermost first; empty if nothing is known.
    fn frames(&mut self, module: &Path, address: u64) -> Vec<RawFrame>;

    /// The static variable that covers an address.
    fn variable(&mut self, module: &Path, address: u64) -> Option<Variable>;

    /// The thread-local variable whose first value covers an address.
    fn thread_local(&mut self, module: &Path, address: u64) -> Option<String>;

    /// The line at which the function with this path begins.
    fn first_line(&mut self, module: &Path, function: &str) -> Option<u32>;

    /// The functions at an address as DWARF names them, with their type
    /// arguments (`new<bank::Slot>`), innermost first.
    fn generic_names(&mut self, module: &Path, address: u64) -> Vec<String>;

    /// Modules whose symbols could not be read, and why.
    fn unreadable(&self) -> Vec<(PathBuf, String)>;
}

/// Symbols from the files themselves.
#[derive(Default)]
pub struct FileSymbols {
    modules: HashMap<PathBuf, Result<CachedModule, String>>,
    copies: HashMap<PathBuf, PathBuf>,
}

/// A module and what was looked up in it: most findings of a run are in the
/// same few places.
struct CachedModule {
    file: ModuleFile,
    frames: HashMap<u64, Vec<RawFrame>>,
    variables: HashMap<u64, Option<Variable>>,
    generics: HashMap<u64, Vec<String>>,
    first_lines: HashMap<String, Option<u32>>,
}

impl FileSymbols {
    /// Reads these copies where a module itself is gone.
    #[must_use]
    pub fn with_copies(copies: HashMap<PathBuf, PathBuf>) -> Self {
        Self {
            copies,
            ..Self::default()
        }
    }

    fn module(&mut self, path: &Path) -> Option<&mut CachedModule> {
        if !self.modules.contains_key(path) {
            let copy = self.copies.get(path).filter(|_| !path.exists());
            let opened =
                ModuleFile::open(copy.map_or(path, PathBuf::as_path)).map(|file| CachedModule {
                    file,
                    frames: HashMap::new(),
                    variables: HashMap::new(),
                    generics: HashMap::new(),
                    first_lines: HashMap::new(),
                });
            self.modules
                .insert(path.to_owned(), opened.map_err(|error| error.to_string()));
        }
        self.modules.get_mut(path)?.as_mut().ok()
    }
}

impl Symbols for FileSymbols {
    fn frames(&mut self, module: &Path, address: u64) -> Vec<RawFrame> {
        let Some(CachedModule { file, frames, .. }) = self.module(module) else {
            return Vec::new();
        };
        let found = frames
            .entry(address)
            .or_insert_with(|| file.frames(address));
        found.clone()
    }

    fn variable(&mut self, module: &Path, address: u64) -> Option<Variable> {
        let CachedModule {
            file, variables, ..
        } = self.module(module)?;
        let found = variables
            .entry(address)
            .or_insert_with(|| file.variable(address));
        found.clone()
    }

    fn thread_local(&mut self, module: &Path, address: u64) -> Option<String> {
        self.module(module)?.file.thread_local(address)
    }

    fn first_line(&mut self, module: &Path, function: &str) -> Option<u32> {
        let module = self.module(module)?;
        if let Some(known) = module.first_lines.get(function) {
            return *known;
        }
        let found = module.file.first_line(function);
        module.first_lines.insert(function.to_owned(), found);
        found
    }

    fn generic_names(&mut self, module: &Path, address: u64) -> Vec<String> {
        let Some(CachedModule { file, generics, .. }) = self.module(module) else {
            return Vec::new();
        };
        let found = generics
            .entry(address)
            .or_insert_with(|| file.generic_names(address));
        found.clone()
    }

    fn unreadable(&self) -> Vec<(PathBuf, String)> {
        let mut all: Vec<(PathBuf, String)> = self
            .modules
            .iter()
            .filter_map(|(path, module)| {
                module
                    .as_ref()
                    .err()
                    .map(|error| (path.clone(), error.clone()))
            })
            // The kernel's page has no file, and code in it is never the user's.
            .filter(|(path, _)| path.is_absolute())
            .collect();
        all.sort();
        all
    }
}
