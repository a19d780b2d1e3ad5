//! One ELF file: frames from its DWARF, names from its symbol table.

use std::borrow::Cow;
use std::fs::File;
use std::path::{Path, PathBuf};

use addr2line::Loader;
use object::{Object, ObjectSection, ObjectSymbol, ReadCache};

use super::function::FunctionName;
use super::generics::TypedDwarf;
use super::statics::StaticTable;
use super::{RawFrame, Variable};

/// Why a module's symbols cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// It cannot be opened.
    #[error("failed to open `{path}`: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not an object file, or broken.
    #[error("failed to read the debug information of `{path}`: {reason}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        reason: String,
    },
}

/// An opened module.
pub struct ModuleFile {
    path: PathBuf,
    loader: Loader,
    statics: Option<StaticTable>,
    typed: Option<Option<TypedDwarf>>,
}

impl ModuleFile {
    /// Opens a module; only its headers and symbol table are read yet.
    pub fn open(path: &Path) -> Result<Self, ModuleError> {
        // The loader's own error does not tell a missing file from a broken one.
        File::open(path).map_err(|source| ModuleError::Open {
            path: path.to_owned(),
            source,
        })?;
        let loader = Loader::new(path).map_err(|error| ModuleError::Parse {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Self {
            path: path.to_owned(),
            loader,
            statics: None,
            typed: None,
        })
    }

    /// The frames at an address, innermost first.
    pub fn frames(&self, address: u64) -> Vec<RawFrame> {
        let mut frames = self.dwarf_frames(address).unwrap_or_default();
        if frames.is_empty()
            && let Some(symbol) = self.loader.find_symbol(address)
        {
            frames.push(RawFrame {
                function: FunctionName::from_symbol(symbol),
                file: None,
                line: 0,
                column: 0,
                inlined: false,
            });
        }
        let outermost = frames.len().saturating_sub(1);
        for (at, frame) in frames.iter_mut().enumerate() {
            frame.inlined = at < outermost;
        }
        frames
    }

    fn dwarf_frames(&self, address: u64) -> Option<Vec<RawFrame>> {
        let mut found = self.loader.find_frames(address).ok()?;
        let mut frames = Vec::new();
        let mut last = None;
        while let Ok(Some(frame)) = found.next() {
            let name = frame
                .function
                .and_then(|function| function.raw_name().ok().map(Cow::into_owned));
            let location = frame.location;
            frames.push(RawFrame {
                function: FunctionName::from_symbol(name.as_deref().unwrap_or_default()),
                file: location
                    .as_ref()
                    .and_then(|place| place.file)
                    .map(PathBuf::from),
                line: location.as_ref().and_then(|place| place.line).unwrap_or(0),
                column: location
                    .as_ref()
                    .and_then(|place| place.column)
                    .unwrap_or(0),
                inlined: false,
            });
            last = name;
        }
        // With line tables only, DWARF has at most the bare name of a function
        // that is not inlined; the symbol has its path.
        let has_path = last.is_some_and(|name| rustc_demangle::try_demangle(&name).is_ok());
        if !has_path
            && let Some(outermost) = frames.last_mut()
            && let Some(symbol) = self.loader.find_symbol(address)
        {
            outermost.function = FunctionName::from_symbol(symbol);
        }
        frames.retain(|frame| !frame.function.full().is_empty());
        Some(frames)
    }

    /// The line at which the function with this path begins.
    pub fn first_line(&self, function: &str) -> Option<u32> {
        let address = with_object(&self.path, |object| {
            let mut symbols = object.symbols();
            let symbol = symbols.find(|symbol| {
                let named = symbol.name().ok().filter(|name| !name.is_empty());
                named.is_some_and(|name| FunctionName::from_symbol(name).path() == function)
            })?;
            Some(symbol.address())
        })?;
        self.loader.find_location(address).ok()??.line
    }

    /// The static variable that covers an address.
    pub fn variable(&mut self, address: u64) -> Option<Variable> {
        let mut variable = self.statics().find(address)?;
        variable.ty = self
            .typed()
            .and_then(|dwarf| dwarf.static_type(variable.address));
        Some(variable)
    }

    /// The thread-local variable whose first value covers an address.
    pub fn thread_local(&mut self, address: u64) -> Option<String> {
        self.statics().find_thread_local(address)
    }

    fn statics(&mut self) -> &StaticTable {
        let path = &self.path;
        self.statics
            .get_or_insert_with(|| StaticTable::read(path).unwrap_or_default())
    }

    /// The functions at an address with their type arguments.
    pub fn generic_names(&mut self, address: u64) -> Vec<String> {
        self.typed()
            .map(|dwarf| dwarf.names_at(address))
            .unwrap_or_default()
    }

    fn typed(&mut self) -> Option<&mut TypedDwarf> {
        let path = &self.path;
        self.typed
            .get_or_insert_with(|| TypedDwarf::load(path))
            .as_mut()
    }
}

/// Reads a section of an object file without the rest of it.
pub(super) fn with_object<T>(
    path: &Path,
    read: impl FnOnce(&object::File<'_, &ReadCache<File>>) -> Option<T>,
) -> Option<T> {
    let cache = ReadCache::new(File::open(path).ok()?);
    let object = object::File::parse(&cache).ok()?;
    read(&object)
}

/// The uncompressed bytes of a section; empty if there is none.
pub(super) fn section_bytes<'data>(
    object: &object::File<'data, &'data ReadCache<File>>,
    name: &str,
) -> std::sync::Arc<[u8]> {
    object
        .section_by_name(name)
        .and_then(|section| section.uncompressed_data().ok())
        .map_or_else(
            || std::sync::Arc::from([]),
            |bytes| std::sync::Arc::from(&*bytes),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_module_is_named() {
        let error = ModuleFile::open(Path::new("/no/such/module.so"))
            .err()
            .map(|e| e.to_string());
        assert!(error.is_some_and(|text| text.contains("`/no/such/module.so`")));
    }

    #[test]
    fn a_module_that_is_no_object_is_named() {
        let dir = tempfile::tempdir().expect("a directory for the test");
        let path = dir.path().join("text");
        std::fs::write(&path, "not an object").expect("the file is written");
        let error = ModuleFile::open(&path).err().map(|e| e.to_string());
        assert!(error.is_some_and(|text| text.starts_with("failed to read the debug information")));
    }
}
