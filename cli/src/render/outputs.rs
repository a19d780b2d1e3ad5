//! The files of a run. Each is written beside its place and then moved
//! there, so that nobody ever reads half of one.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::args::OutputFormat;
use crate::document::Document;
use crate::error::Error;
use crate::render::{html, junit, sarif};

/// Finds out before the run whether its results can be written after it.
///
/// # Errors
/// Names the path that cannot, or that is named twice.
pub fn check(outputs: &[(OutputFormat, PathBuf)]) -> Result<(), Error> {
    let mut places = BTreeSet::new();
    for (_, path) in outputs {
        match Target::of(path).map_err(|source| error(path, source))? {
            Target::File(place) => {
                // Gone again at once.
                beside(&place)?;
                if !places.insert(place) {
                    return Err(Error::Option {
                        reason: format!("two outputs go to `{}`", path.display()),
                    });
                }
            }
            // To open a pipe and close it is to end it for its reader.
            Target::Other => {}
        }
    }
    Ok(())
}

/// What is at a path that is to be written.
enum Target {
    /// A file, or nothing yet; links are followed.
    File(PathBuf),
    /// A pipe, a terminal, `/dev/null`: it is written to, and stays.
    Other,
}

impl Target {
    fn of(path: &Path) -> std::io::Result<Self> {
        match std::fs::metadata(path) {
            Ok(found) if found.is_dir() => Err(std::io::ErrorKind::IsADirectory.into()),
            Ok(found) if found.is_file() => path.canonicalize().map(Self::File),
            Ok(_) => Ok(Self::Other),
            // Also where it cannot be looked at: writing will say why.
            Err(_) => std::path::absolute(path).map(Self::File),
        }
    }
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
    let place = match Target::of(path).map_err(|source| error(path, source))? {
        Target::File(place) => place,
        Target::Other => {
            let opened = std::fs::OpenOptions::new().write(true).open(path);
            return opened
                .and_then(|mut file| file.write_all(content))
                .map_err(|source| error(path, source));
        }
    };
    let mut file = beside(&place)?;
    file.write_all(content)
        .and_then(|()| file.as_file().sync_all())
        .map_err(|source| error(path, source))?;
    file.persist(&place)
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
    fn links_and_devices_stay() {
        use std::os::unix::fs::FileTypeExt as _;

        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        std::fs::write(&file, "before").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        replace(&link, b"after").unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "after");

        // What is put there is not read by anybody; that it is still a socket
        // afterwards is what counts.
        let socket = dir.path().join("socket");
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert!(replace(&socket, b"x").is_err(), "a socket cannot be opened");
        let kind = std::fs::metadata(&socket).unwrap().file_type();
        assert!(kind.is_socket());
        drop(listener);
    }

    #[test]
    fn two_outputs_to_one_place_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        let both = |one: &std::path::Path, other: &std::path::Path| {
            check(&[
                (OutputFormat::Json, one.to_owned()),
                (OutputFormat::Html, other.to_owned()),
            ])
        };
        assert!(both(&file, &file).is_err());
        std::fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(both(&file, &link).is_err());
        assert!(both(&file, &dir.path().join("other")).is_ok());
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
