//! Rlibs and the bitcode in them.
//!
//! An rlib is an `ar` archive of `lib.rmeta` and object files. Objects of the
//! shipped standard library hold their optimised LLVM bitcode in the section
//! `.llvmbc`. Objects of C code hold none.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use ar_archive_writer::{ArchiveKind, DEFAULT_OBJECT_READER, NewArchiveMember};
use object::read::archive::ArchiveFile;
use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};

use super::SysrootError;

/// The section that holds the bitcode of an object.
const BITCODE_SECTION: &str = ".llvmbc";

/// An rlib in memory, its members in order.
pub(super) struct Rlib {
    path: PathBuf,
    members: Vec<Member>,
}

/// One file in an rlib.
struct Member {
    name: String,
    content: Vec<u8>,
}

impl Rlib {
    /// Reads the rlib at `path`.
    pub(super) fn read(path: &Path) -> Result<Self, SysrootError> {
        let data = fs::read(path).map_err(SysrootError::io("read", path))?;
        let damaged = |detail: object::Error| SysrootError::DamagedLibrary {
            path: path.to_owned(),
            detail: detail.to_string(),
        };
        let archive = ArchiveFile::parse(&*data).map_err(damaged)?;
        let mut members = Vec::new();
        for member in archive.members() {
            let member = member.map_err(damaged)?;
            members.push(Member {
                name: String::from_utf8_lossy(member.name()).into_owned(),
                content: member.data(&*data).map_err(damaged)?.to_vec(),
            });
        }
        Ok(Self {
            path: path.to_owned(),
            members,
        })
    }

    /// Replaces each object by what `instrument` makes of its bitcode, and of
    /// the names of its functions.
    pub(super) fn instrument(
        &mut self,
        mut instrument: impl FnMut(&[u8], &[&str]) -> Result<Vec<u8>, SysrootError>,
    ) -> Result<(), SysrootError> {
        for member in &mut self.members {
            if !member.is_object() {
                continue;
            }
            let object = member.parse(&self.path)?;
            let functions: Vec<&str> = object
                .symbols()
                .filter(|symbol| symbol.kind() == SymbolKind::Text)
                .filter_map(|symbol| symbol.name().ok())
                .collect();
            let bitcode = member.bitcode(&object, &self.path)?;
            member.content = instrument(bitcode, &functions)?;
        }
        Ok(())
    }

    /// Shows each object to `look`.
    #[cfg(test)]
    pub(super) fn each_object(&self, look: impl FnMut(&[u8])) {
        self.members
            .iter()
            .filter(|member| member.is_object())
            .map(|member| &*member.content)
            .for_each(look);
    }

    /// Writes the rlib, with a symbol index, to `path`.
    pub(super) fn write(&self, path: &Path) -> Result<(), SysrootError> {
        let members: Vec<NewArchiveMember<'_>> = self
            .members
            .iter()
            .map(|member| {
                let name = member.name.clone();
                NewArchiveMember::new(&*member.content, &DEFAULT_OBJECT_READER, name)
            })
            .collect();
        let file = File::create_new(path).map_err(SysrootError::io("create", path))?;
        let mut file = BufWriter::new(file);
        ar_archive_writer::write_archive_to_stream(
            &mut file,
            &members,
            ArchiveKind::Gnu,
            false,
            None,
        )
        .and_then(|()| file.flush())
        .map_err(SysrootError::io("write", path))
    }
}

impl Member {
    /// Whether this is an object file, as opposed to metadata.
    fn is_object(&self) -> bool {
        Path::new(&self.name)
            .extension()
            .is_some_and(|extension| extension == "o")
    }

    /// This object of `rlib`.
    fn parse(&self, rlib: &Path) -> Result<object::File<'_>, SysrootError> {
        object::File::parse(&*self.content).map_err(|detail| self.damaged(rlib, &detail))
    }

    /// The bitcode of this object of `rlib`.
    fn bitcode<'data>(
        &self,
        object: &object::File<'data>,
        rlib: &Path,
    ) -> Result<&'data [u8], SysrootError> {
        let bitcode = match object.section_by_name(BITCODE_SECTION) {
            Some(section) => section
                .data()
                .map_err(|detail| self.damaged(rlib, &detail))?,
            None => &[],
        };
        if bitcode.is_empty() {
            return Err(SysrootError::NoBitcode {
                rlib: rlib.to_owned(),
                member: self.name.clone(),
            });
        }
        Ok(bitcode)
    }

    fn damaged(&self, rlib: &Path, detail: &object::Error) -> SysrootError {
        SysrootError::DamagedLibrary {
            path: rlib.to_owned(),
            detail: format!("{}: {detail}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(members: &[(&str, &[u8])]) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("libx.rlib");
        let rlib = Rlib {
            path: path.clone(),
            members: members
                .iter()
                .map(|&(name, content)| Member {
                    name: name.to_owned(),
                    content: content.to_vec(),
                })
                .collect(),
        };
        rlib.write(&path).unwrap();
        (directory, path)
    }

    #[test]
    fn members_survive_writing_in_order() {
        let long = "a-member-whose-name-is-longer-than-sixteen-bytes.rcgu.o";
        let (_keep, path) = written(&[("lib.rmeta", b"odd"), (long, b"content")]);
        let rlib = Rlib::read(&path).unwrap();
        let found: Vec<(&str, &[u8])> = rlib
            .members
            .iter()
            .map(|member| (&*member.name, &*member.content))
            .collect();
        assert_eq!(found, [("lib.rmeta", &b"odd"[..]), (long, b"content")]);
    }

    #[test]
    fn metadata_is_not_instrumented() {
        let (_keep, path) = written(&[("lib.rmeta", b"metadata")]);
        let mut rlib = Rlib::read(&path).unwrap();
        rlib.instrument(|_, _| panic!("metadata taken for an object"))
            .unwrap();
        assert_eq!(rlib.members[0].content, b"metadata");
    }

    #[test]
    fn an_object_without_bitcode_is_named() {
        // The smallest ELF file: a header for x86-64 and no sections.
        let mut elf = vec![0_u8; 64];
        elf[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        elf[16] = 1; // e_type: relocatable
        elf[18] = 62; // e_machine: x86-64
        elf[20] = 1; // e_version
        elf[52] = 64; // e_ehsize
        let (_keep, path) = written(&[("x.rcgu.o", &elf)]);
        let error = Rlib::read(&path)
            .unwrap()
            .instrument(|_, _| Ok(Vec::new()))
            .unwrap_err();
        let text = error.to_string();
        assert!(text.contains("no LLVM bitcode"), "{text}");
        assert!(text.contains("x.rcgu.o"), "{text}");
        assert!(text.contains("libx.rlib"), "{text}");
    }

    #[test]
    fn a_file_that_is_no_archive_is_damaged() {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("libx.rlib");
        fs::write(&path, "not an archive").unwrap();
        let error = Rlib::read(&path).err().unwrap();
        assert!(
            matches!(error, SysrootError::DamagedLibrary { .. }),
            "{error}"
        );
    }
}
