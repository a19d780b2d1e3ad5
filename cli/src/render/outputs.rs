//! The files of a run. Each is written beside its place and then moved
//! there, so that nobody ever reads half of one.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::args::OutputFormat;
use crate::document::Document;
use crate::error::Error;
use crate::render::{html, junit, sarif};

/// Finds out before the run whether its results can be written after it.
///
/// # Errors
/// Names the path that cannot.
pub fn check(outputs: &[(OutputFormat, PathBuf)]) -> Result<(), Error> {
    for (_, path) in outputs {
        if path.is_dir() {
            return Err(error(path, std::io::ErrorKind::IsADirectory.into()));
        }
        // Gone again at once.
        beside(path)?;
    }
    Ok(())
}

/// Writes all files.
///
/// # Errors
/// Names the path that cannot be written; the others are written all the
/// same.
pub fn write(outputs: &[(OutputFormat, PathBuf)], document: &Document) -> Result<(), Error> {
    let mut first = Ok(());
    for (format, path) in outputs {
        let written = text(*format, document).and_then(|text| replace(path, text.as_bytes()));
        if first.is_ok() {
            first = written;
        }
    }
    first
}

/// A document as text.
///
/// # Errors
/// If the format has no way to say something in it.
pub fn text(format: OutputFormat, document: &Document) -> Result<String, Error> {
    match format {
        OutputFormat::Json => document.text().map_err(Error::Encode),
        OutputFormat::Sarif => sarif::render(document).map_err(Error::Encode),
        OutputFormat::Junit => junit::render(document).map_err(|error| Error::Render {
            format: "JUnit",
            reason: error.to_string(),
        }),
        OutputFormat::Html => html::render(document).map_err(Error::Encode),
    }
}

/// Puts a file with this content at `path`, whole or not at all.
///
/// # Errors
/// Names the path.
pub fn replace(path: &Path, content: &[u8]) -> Result<(), Error> {
    let mut file = beside(path)?;
    file.write_all(content)
        .and_then(|()| file.as_file().sync_all())
        .map_err(|source| error(path, source))?;
    file.persist(path)
        .map(drop)
        .map_err(|failed| error(path, failed.error))
}

/// A temporary file in the same directory, which is made if need be.
fn beside(path: &Path) -> Result<tempfile::NamedTempFile, Error> {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = path
        .parent()
        .filter(|dir| !dir.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    std::fs::create_dir_all(dir)
        .and_then(|()| {
            tempfile::Builder::new()
                .prefix(".leakcheck-")
                .permissions(std::fs::Permissions::from_mode(0o644))
                .tempfile_in(dir)
        })
        .map_err(|source| error(path, source))
}

fn error(path: &Path, source: std::io::Error) -> Error {
    Error::Write {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::{check, replace};
    use crate::args::OutputFormat;

    #[test]
    fn a_file_is_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/report.json");
        check(&[(OutputFormat::Json, path.clone())]).unwrap();
        assert!(!path.exists());
        for content in ["first", "second, longer", "3"] {
            replace(&path, content.as_bytes()).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        }
        let left = std::fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(left, 1, "nothing is left beside it");
    }

    #[test]
    fn what_cannot_be_written_is_named_before_the_run() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        for path in [dir.path().to_owned(), file.join("x/report.json")] {
            let error = check(&[(OutputFormat::Json, path.clone())]).unwrap_err();
            assert!(error.to_string().contains(&path.display().to_string()));
        }
    }
}
