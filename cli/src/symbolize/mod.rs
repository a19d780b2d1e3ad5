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
//! What it misses: a stripped module has only the names of its dynamic symbol
//! table; types are known only where the build has debug information of level
//! 2 (the default of `cargo test`).

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

    /// The functions at an address as DWARF names them, with their type
    /// arguments (`new<bank::Slot>`), innermost first.
    fn generic_names(&mut self, module: &Path, address: u64) -> Vec<String>;

    /// Modules whose symbols could not be read, and why.
    fn unreadable(&self) -> Vec<(PathBuf, String)>;
}

/// Symbols from the files themselves.
#[derive(Default)]
pub struct FileSymbols {
    modules: HashMap<PathBuf, Result<ModuleFile, String>>,
    frames: HashMap<(PathBuf, u64), Vec<RawFrame>>,
}

impl FileSymbols {
    fn module(&mut self, path: &Path) -> Option<&mut ModuleFile> {
        if !self.modules.contains_key(path) {
            let opened = ModuleFile::open(path).map_err(|error| error.to_string());
            self.modules.insert(path.to_owned(), opened);
        }
        self.modules.get_mut(path)?.as_mut().ok()
    }
}

impl Symbols for FileSymbols {
    fn frames(&mut self, module: &Path, address: u64) -> Vec<RawFrame> {
        let key = (module.to_owned(), address);
        if let Some(frames) = self.frames.get(&key) {
            return frames.clone();
        }
        let frames = self
            .module(module)
            .map(|file| file.frames(address))
            .unwrap_or_default();
        self.frames.insert(key, frames.clone());
        frames
    }

    fn variable(&mut self, module: &Path, address: u64) -> Option<Variable> {
        self.module(module)?.variable(address)
    }

    fn generic_names(&mut self, module: &Path, address: u64) -> Vec<String> {
        self.module(module)
            .map(|file| file.generic_names(address))
            .unwrap_or_default()
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
