//! The cache directory: where finished sysroots and runtimes lie, each named
//! by the hash of all that went into it.
//!
//! Everything appears under its final name by one `rename`, so a reader needs
//! no lock; a writer holds the lock file, so that two runs that start at once
//! build once. The lock is the operating system's and goes with the process.

use std::env;
use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::{NamedTempFile, TempDir};

use super::SysrootError;

/// Prefix of directories that are being built: whoever holds the lock may
/// delete all others.
const UNFINISHED: &str = ".building-";

/// The root of the cache.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// Finds the cache: `$LEAKCHECK_CACHE_DIR`, else
    /// `$XDG_CACHE_HOME/leakcheck`, else `~/.cache/leakcheck`.
    ///
    /// # Errors
    ///
    /// If none of the variables is set.
    pub fn locate() -> Result<Self, SysrootError> {
        let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let relative = variable("LEAKCHECK_CACHE_DIR")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(variable("XDG_CACHE_HOME")?).join("leakcheck")))
            .or_else(|| Some(PathBuf::from(variable("HOME")?).join(".cache/leakcheck")))
            .ok_or(SysrootError::NoCacheDirectory)?;
        let root = std::path::absolute(&relative)
            .map_err(SysrootError::io("resolve the cache directory", &relative))?;
        Ok(Self { root })
    }

    /// A cache at the given absolute path.
    #[must_use]
    pub fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// The directory of the cache. It need not exist yet.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The place of the sysroot that is made from the inputs `key` describes.
    pub(crate) fn sysroot_slot(&self, key: &str) -> Slot {
        Slot {
            parent: self.root.join("sysroot"),
            name: short_hash(key.as_bytes()),
        }
    }

    /// Writes `content` as `directory/name` unless a file of that name and
    /// length is there, and returns its path. `name` must be derived from the
    /// content, so that the same name always means the same bytes.
    pub(crate) fn store(
        &self,
        directory: &str,
        name: &str,
        content: &[u8],
    ) -> Result<PathBuf, SysrootError> {
        let directory = self.root.join(directory);
        let path = directory.join(name);
        if fs::metadata(&path).is_ok_and(|found| found.len() == content.len() as u64) {
            return Ok(path);
        }
        fs::create_dir_all(&directory)
            .map_err(SysrootError::io("create the cache directory", &directory))?;
        let mut file = NamedTempFile::with_prefix_in(UNFINISHED, &directory)
            .map_err(SysrootError::io("create a file in", &directory))?;
        file.write_all(content)
            .and_then(|()| file.flush())
            .map_err(SysrootError::io("write", &path))?;
        file.persist(&path)
            .map_err(|error| SysrootError::io("write", &path)(error.error))?;
        Ok(path)
    }
}

/// The first 16 hexadecimal digits of the SHA-256 of `bytes`.
fn short_hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The place of one sysroot in the cache.
#[derive(Debug)]
pub(crate) struct Slot {
    parent: PathBuf,
    name: String,
}

impl Slot {
    /// Whether the sysroot is there. It appears by `rename`, so it is whole.
    pub(crate) fn is_complete(&self) -> bool {
        self.path().is_dir()
    }

    /// Where the sysroot is, or will be.
    fn path(&self) -> PathBuf {
        self.parent.join(&self.name)
    }

    /// Where the sysroot is, or will be.
    pub(crate) fn into_path(self) -> PathBuf {
        self.path()
    }

    /// Waits until no other process builds a sysroot in this cache, and
    /// clears away what killed builds left.
    pub(crate) fn lock(self, progress: &mut dyn FnMut(&str)) -> Result<LockedSlot, SysrootError> {
        fs::create_dir_all(&self.parent)
            .map_err(SysrootError::io("create the cache directory", &self.parent))?;
        let path = self.parent.join(".lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(SysrootError::io("open the lock file", &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                progress("waiting for another leakcheck that sets this toolchain up");
                lock.lock()
                    .map_err(SysrootError::io("lock the cache with", &path))?;
            }
            Err(TryLockError::Error(source)) => {
                return Err(SysrootError::io("lock the cache with", &path)(source));
            }
        }
        let locked = LockedSlot {
            slot: self,
            _lock: lock,
        };
        locked.clear_unfinished()?;
        Ok(locked)
    }
}

/// A slot that this process alone may fill.
#[derive(Debug)]
pub(crate) struct LockedSlot {
    slot: Slot,
    _lock: File,
}

impl LockedSlot {
    /// The slot.
    pub(crate) fn slot(&self) -> &Slot {
        &self.slot
    }

    /// Where the sysroot is; releases the lock.
    pub(crate) fn into_path(self) -> PathBuf {
        self.slot.path()
    }

    /// A new directory beside the slot, deleted again unless published.
    pub(crate) fn scratch(&self) -> Result<TempDir, SysrootError> {
        TempDir::with_prefix_in(UNFINISHED, &self.slot.parent)
            .map_err(SysrootError::io("create a directory in", &self.slot.parent))
    }

    /// Gives a finished directory its final name.
    pub(crate) fn publish(&self, finished: TempDir) -> Result<(), SysrootError> {
        let path = self.slot.path();
        fs::rename(finished.path(), &path)
            .map_err(SysrootError::io("move the finished sysroot to", &path))?;
        // The directory no longer has the name that would be deleted.
        let _former_name = finished.keep();
        Ok(())
    }

    /// Deletes what builds left that were killed.
    fn clear_unfinished(&self) -> Result<(), SysrootError> {
        let listed = SysrootError::io("list", &self.slot.parent);
        for entry in fs::read_dir(&self.slot.parent).map_err(listed)? {
            let entry = entry.map_err(SysrootError::io("list", &self.slot.parent))?;
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                let path = entry.path();
                fs::remove_dir_all(&path)
                    .map_err(SysrootError::io("delete the unfinished", &path))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn temporary() -> (TempDir, Cache) {
        let directory = TempDir::new().unwrap();
        let cache = Cache::at(directory.path().join("cache"));
        (directory, cache)
    }

    fn silent() -> impl FnMut(&str) {
        |line: &str| panic!("unexpected progress line: {line}")
    }

    #[test]
    fn the_slot_depends_on_every_byte_of_the_key() {
        let (_keep, cache) = temporary();
        assert_ne!(
            cache.sysroot_slot("rustc 1.95.0\n").path(),
            cache.sysroot_slot("rustc 1.95.1\n").path()
        );
        assert_eq!(
            cache.sysroot_slot("same").path(),
            cache.sysroot_slot("same").path()
        );
    }

    #[test]
    fn a_published_directory_completes_the_slot() {
        let (_keep, cache) = temporary();
        let locked = cache.sysroot_slot("key").lock(&mut silent()).unwrap();
        let scratch = locked.scratch().unwrap();
        fs::write(scratch.path().join("file"), "content").unwrap();
        assert!(!locked.slot().is_complete());
        locked.publish(scratch).unwrap();
        assert!(locked.slot().is_complete());
        let path = locked.into_path();
        assert_eq!(fs::read_to_string(path.join("file")).unwrap(), "content");
    }

    #[test]
    fn an_abandoned_build_is_cleared_by_the_next() {
        let (_keep, cache) = temporary();
        let locked = cache.sysroot_slot("key").lock(&mut silent()).unwrap();
        let abandoned = locked.scratch().unwrap().keep();
        drop(locked);
        let locked = cache.sysroot_slot("key").lock(&mut silent()).unwrap();
        assert!(!abandoned.exists());
        assert!(!locked.slot().is_complete());
    }

    #[test]
    fn a_second_builder_waits_and_says_so() {
        let (_keep, cache) = temporary();
        let first = cache.sysroot_slot("key").lock(&mut silent()).unwrap();
        let (says, said) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                cache
                    .sysroot_slot("key")
                    .lock(&mut |line| says.send(line.to_owned()).unwrap())
                    .map(LockedSlot::into_path)
            });
            assert!(said.recv().unwrap().starts_with("waiting for another"));
            let expected = first.into_path();
            assert_eq!(waiter.join().unwrap().unwrap(), expected);
        });
    }

    #[test]
    fn storing_twice_gives_one_file() {
        let (_keep, cache) = temporary();
        let first = cache.store("runtime", "abc.o", b"object").unwrap();
        let second = cache.store("runtime", "abc.o", b"object").unwrap();
        assert_eq!(first, second);
        assert_eq!(fs::read(&first).unwrap(), b"object");
        assert_eq!(fs::read_dir(first.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_cut_off_file_is_written_again() {
        let (_keep, cache) = temporary();
        let path = cache.store("runtime", "abc.o", b"object").unwrap();
        fs::write(&path, "obj").unwrap();
        cache.store("runtime", "abc.o", b"object").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"object");
    }

    #[test]
    fn a_cache_that_is_a_file_is_named_with_the_way_out() {
        let (keep, _) = temporary();
        let file = keep.path().join("file");
        fs::write(&file, "").unwrap();
        let cache = Cache::at(file.join("cache"));
        let error = cache.sysroot_slot("key").lock(&mut silent()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&file.display().to_string()), "{text}");
        assert!(text.contains("LEAKCHECK_CACHE_DIR"), "{text}");
    }
}
