//! Whose code a frame is, and how its file is called in a report.

use std::path::{Component, Path, PathBuf};

use crate::model::{FrameClass, Place};
use crate::symbolize::RawFrame;
use crate::symbolize::function::FunctionName;

/// Where the packages of a run are.
#[derive(Debug, Clone, Default)]
pub struct CollectOptions {
    /// Root of the workspace: its files are shown relative to it.
    pub workspace_root: PathBuf,
    /// Directories of the packages whose code is the user's: workspace
    /// members, path dependencies.
    pub package_dirs: Vec<PathBuf>,
    /// Directories of the other packages: registry, git, vendored.
    pub dependency_dirs: Vec<PathBuf>,
    /// `<sysroot>/lib/rustlib/src/rust`, if the source of std is installed.
    pub rust_src: Option<PathBuf>,
}

/// Crates of the standard distribution.
const STD_CRATES: [&str; 9] = [
    "std",
    "core",
    "alloc",
    "test",
    "panic_unwind",
    "panic_abort",
    "std_detect",
    "proc_macro",
    "rustc_std_workspace_core",
];

/// Crate of the detector.
const DETECTOR_CRATE: &str = "leakcheck";

impl CollectOptions {
    /// Class and place of a frame; `module` is the file it was mapped from.
    pub fn locate(&self, frame: &RawFrame, module: &Path) -> (FrameClass, Option<Place>) {
        let Some(file) = &frame.file else {
            return (class_without_file(&frame.function, module), None);
        };
        let (class, file, shown) = self.locate_file(file);
        // Line 0 is code that the compiler made, such as the `main` of tests.
        let class = if frame.function.rust_crate() == Some(DETECTOR_CRATE) {
            FrameClass::Runtime
        } else if class == FrameClass::User && frame.line == 0 {
            FrameClass::Std
        } else {
            class
        };
        let place = (frame.line > 0).then_some(Place {
            file,
            shown,
            line: frame.line,
            column: frame.column,
        });
        (class, place)
    }

    fn locate_file(&self, recorded: &Path) -> (FrameClass, PathBuf, String) {
        if let Some(found) = self.locate_std(recorded) {
            return found;
        }
        let file = self.absolute(recorded);
        if let Some((class, dir)) = self.package_of(&file) {
            let shown = match (class, file.strip_prefix(&self.workspace_root)) {
                (_, Ok(inside)) => text(inside),
                (_, Err(_)) => below(&file, dir),
            };
            return (class, file, shown);
        }
        if let Ok(inside) = file.strip_prefix(&self.workspace_root)
            && !self.workspace_root.as_os_str().is_empty()
        {
            let shown = text(inside);
            return (FrameClass::User, file, shown);
        }
        let shown = registry_path(&file).unwrap_or_else(|| text(&file));
        (FrameClass::Dependency, file, shown)
    }

    /// A file of the standard library: recorded as `/rustc/<hash>/library/…`,
    /// its own dependencies as `/rust/deps/…`.
    fn locate_std(&self, recorded: &Path) -> Option<(FrameClass, PathBuf, String)> {
        if let Some(source) = &self.rust_src
            && let Ok(inside) = recorded.strip_prefix(source)
        {
            return Some((FrameClass::Std, recorded.to_owned(), text(inside)));
        }
        let mut components = recorded.components();
        if components.next() != Some(Component::RootDir) {
            return None;
        }
        let first = components.next()?.as_os_str();
        let inside = if first == "rustc" {
            components.next()?;
            components.as_path().to_owned()
        } else if first == "rust" && components.next()?.as_os_str() == "deps" {
            components.as_path().to_owned()
        } else {
            return None;
        };
        let shown = text(&inside);
        let file = self
            .rust_src
            .as_ref()
            .map(|source| source.join(&inside))
            .filter(|file| file.is_file())
            .unwrap_or_else(|| recorded.to_owned());
        Some((FrameClass::Std, file, shown))
    }

    /// The file's path from the root; a relative one is looked for in the
    /// workspace and its packages (`--remap-path-prefix`, doctests).
    pub fn absolute(&self, recorded: &Path) -> PathBuf {
        let clean = normal(recorded);
        if clean.is_absolute() {
            return clean;
        }
        std::iter::once(&self.workspace_root)
            .chain(&self.package_dirs)
            .map(|dir| dir.join(&clean))
            .find(|file| file.is_file())
            .unwrap_or_else(|| self.workspace_root.join(&clean))
    }

    /// The package with the longest directory that has the file.
    fn package_of(&self, file: &Path) -> Option<(FrameClass, &Path)> {
        let user = self.package_dirs.iter().map(|dir| (FrameClass::User, dir));
        let other = self
            .dependency_dirs
            .iter()
            .map(|dir| (FrameClass::Dependency, dir));
        user.chain(other)
            .filter(|(_, dir)| file.starts_with(dir))
            .max_by_key(|(_, dir)| dir.components().count())
            .map(|(class, dir)| (class, dir.as_path()))
    }
}

/// Without debug information only the name and the module can tell.
fn class_without_file(function: &FunctionName, module: &Path) -> FrameClass {
    match function.rust_crate() {
        Some(krate) if STD_CRATES.contains(&krate) => FrameClass::Std,
        Some(DETECTOR_CRATE) => FrameClass::Runtime,
        Some(_) => FrameClass::Dependency,
        None => {
            let name = module
                .file_name()
                .map(|name| name.to_string_lossy().into_owned());
            match name {
                Some(name) if name.contains(".so") && !is_libc(&name) => FrameClass::Dependency,
                // Start code, the interposed functions, the C library.
                Some(_) | None => FrameClass::Runtime,
            }
        }
    }
}

/// What every Linux process is linked with.
fn is_libc(name: &str) -> bool {
    [
        "libc.",
        "libc-",
        "libpthread",
        "ld-linux",
        "libm.",
        "libgcc_s",
        "libdl",
        "linux-vdso",
    ]
    .iter()
    .any(|prefix| name.starts_with(prefix))
}

/// `~/.cargo/registry/src/<index>/name-1.2.3/src/lib.rs` → `name-1.2.3/src/lib.rs`,
/// and likewise for git checkouts.
fn registry_path(file: &Path) -> Option<String> {
    let names: Vec<_> = file.iter().collect();
    let after = |pattern: [&str; 2], skip: usize| {
        let at = names
            .windows(2)
            .position(|pair| pair[0] == pattern[0] && pair[1] == pattern[1])?;
        let rest: PathBuf = names.get(at + 2 + skip..)?.iter().collect();
        (!rest.as_os_str().is_empty()).then(|| text(&rest))
    };
    after(["registry", "src"], 1).or_else(|| after(["git", "checkouts"], 0))
}

/// A file of a package, from the package's directory on.
fn below(file: &Path, dir: &Path) -> String {
    let base = dir.parent().unwrap_or(dir);
    file.strip_prefix(base).map_or_else(|_| text(file), text)
}

/// Without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                if !out.pop() {
                    out.push("..");
                }
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => {
                out.push(component);
            }
        }
    }
    out
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> CollectOptions {
        CollectOptions {
            workspace_root: PathBuf::from("/ws"),
            package_dirs: vec![PathBuf::from("/ws"), PathBuf::from("/near/dep")],
            dependency_dirs: vec![
                PathBuf::from("/ws/vendor/crossbeam"),
                PathBuf::from("/home/u/.cargo/registry/src/index-1/rayon-1.0.0"),
            ],
            rust_src: None,
        }
    }

    fn locate(file: Option<&str>, function: &str, module: &str) -> (FrameClass, Option<String>) {
        let frame = RawFrame {
            function: FunctionName::from_demangled(function),
            file: file.map(PathBuf::from),
            line: 3,
            column: 5,
            inlined: false,
        };
        let (class, place) = options().locate(&frame, Path::new(module));
        (class, place.map(|place| place.shown))
    }

    #[track_caller]
    fn check(file: &str, class: FrameClass, shown: &str) {
        assert_eq!(
            locate(Some(file), "a::b", "/ws/target/bank"),
            (class, Some(shown.to_owned()))
        );
    }

    #[test]
    fn the_longest_package_directory_decides() {
        check("/ws/src/lib.rs", FrameClass::User, "src/lib.rs");
        check(
            "/ws/vendor/crossbeam/src/a.rs",
            FrameClass::Dependency,
            "vendor/crossbeam/src/a.rs",
        );
        check("/near/dep/src/a.rs", FrameClass::User, "dep/src/a.rs");
    }

    #[test]
    fn dependencies_are_called_by_their_package() {
        check(
            "/home/u/.cargo/registry/src/index-1/rayon-1.0.0/src/x.rs",
            FrameClass::Dependency,
            "rayon-1.0.0/src/x.rs",
        );
        check(
            "/home/u/.cargo/registry/src/index-1/other-2.0.0/src/x.rs",
            FrameClass::Dependency,
            "other-2.0.0/src/x.rs",
        );
        check(
            "/home/u/.cargo/git/checkouts/x-1/ab/src/x.rs",
            FrameClass::Dependency,
            "x-1/ab/src/x.rs",
        );
        check("/elsewhere/c.c", FrameClass::Dependency, "/elsewhere/c.c");
    }

    #[test]
    fn std_is_called_by_its_library() {
        check(
            "/rustc/abc/library/std/src/a.rs",
            FrameClass::Std,
            "library/std/src/a.rs",
        );
        check(
            "/rust/deps/hashbrown-0.16.1/src/raw.rs",
            FrameClass::Std,
            "hashbrown-0.16.1/src/raw.rs",
        );
    }

    #[test]
    fn what_the_compiler_made_is_not_the_users() {
        let frame = RawFrame {
            function: FunctionName::from_demangled("bank::main"),
            file: Some(PathBuf::from("/ws/src/lib.rs")),
            line: 0,
            column: 0,
            inlined: false,
        };
        let found = options().locate(&frame, Path::new("/ws/target/bank"));
        assert_eq!(found, (FrameClass::Std, None));
    }

    #[test]
    fn relative_paths_are_in_the_workspace() {
        check("src/./a/../lib.rs", FrameClass::User, "src/lib.rs");
    }

    #[test]
    fn without_a_file_the_name_tells() {
        let class = |function, module| locate(None, function, module).0;
        assert_eq!(
            class("std::rt::lang_start", "/ws/target/bank"),
            FrameClass::Std
        );
        assert_eq!(class("main", "/ws/target/bank"), FrameClass::Runtime);
        assert_eq!(class("start_thread", "/lib/libc.so.6"), FrameClass::Runtime);
        assert_eq!(
            class("sqlite3_step", "/lib/libsqlite3.so.0"),
            FrameClass::Dependency
        );
        assert_eq!(
            class("rayon::spawn", "/ws/target/bank"),
            FrameClass::Dependency
        );
    }

    #[test]
    fn the_detector_itself_is_runtime() {
        let (class, _) = locate(Some("/ws/detector/src/x.rs"), "leakcheck::abi::x", "/ws/t");
        assert_eq!(class, FrameClass::Runtime);
    }
}
