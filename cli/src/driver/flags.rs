//! The compiler flags of an instrumented build, as a pure function of the
//! arguments that cargo gives.
//!
//! Flags are only ever appended, behind what cargo and the user say, because
//! for rustc the last value of a codegen option wins. So every source of
//! rustflags keeps working, and response files need not be rewritten. The one
//! exception is `-Ctarget-feature=+crt-static`: rustc lets `+` win wherever it
//! stands, so it is taken out.
//!
//! What it misses: a `+crt-static` inside a response file stays; the link
//! then fails with the linker's own message.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::env;
use crate::error::Error;
use crate::runtime::LINK_ARGS;
use crate::sysroot::{self, PASS_FLAGS};

/// Changes whenever the flags below do: part of the target directory's key.
pub const FLAGS_VERSION: u32 = 3;

/// What an instrumented build is made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instrumentation {
    /// The sysroot whose std is instrumented; none where races are left out:
    /// then the program is not instrumented either.
    pub sysroot: Option<PathBuf>,
    /// The runtime object, linked into executables.
    pub runtime: PathBuf,
}

impl Instrumentation {
    /// As the driver left it in the environment.
    ///
    /// # Errors
    /// If a variable is missing: a wrapper was called outside of a run.
    pub fn from_environment() -> Result<Self, Error> {
        let read = |name: &'static str| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .ok_or(Error::WrapperOutsideRun { name })
        };
        let leaks_alone = std::env::var_os(env::NO_RACES).is_some();
        Ok(Self {
            sysroot: if leaks_alone {
                None
            } else {
                Some(read(env::SYSROOT)?)
            },
            runtime: read(env::RUNTIME)?,
        })
    }

    /// The arguments for rustc in place of `args`. A compilation without
    /// `--target` is for the host (a build script, a proc-macro) and is left
    /// as it is.
    #[must_use]
    pub fn rustc_args(&self, args: Vec<OsString>) -> Vec<OsString> {
        let seen = expand_response_files(&args);
        if !Seen(&seen).has_option("--target") {
            return args;
        }
        let links_executable = Seen(&seen).links_executable();
        self.instrument(args, &seen, links_executable)
    }

    /// The arguments for rustdoc in place of `args`. It passes codegen options
    /// on to the compilation of doctests.
    #[must_use]
    pub fn rustdoc_args(&self, args: Vec<OsString>) -> Vec<OsString> {
        let seen = expand_response_files(&args);
        if !Seen(&seen).has_option("--target") {
            return args;
        }
        if Seen(&seen).has_flag("--test") {
            return self.instrument(args, &seen, true);
        }
        let mut args = args;
        args.extend(self.sysroot_and_cfg());
        args
    }

    fn sysroot_and_cfg(&self) -> Vec<OsString> {
        let sysroot = self.sysroot.iter().flat_map(|sysroot| {
            let sysroot: OsString = sysroot.clone().into();
            ["--sysroot".into(), sysroot]
        });
        let cfg = ["--cfg", "leakcheck", "--check-cfg", "cfg(leakcheck)"];
        sysroot.chain(cfg.map(OsString::from)).collect()
    }

    fn instrument(
        &self,
        mut args: Vec<OsString>,
        seen: &[OsString],
        links_executable: bool,
    ) -> Vec<OsString> {
        let seen = Seen(seen);
        for arg in &mut args {
            drop_crt_static(arg);
        }
        args.extend(self.sysroot_and_cfg());
        if self.sysroot.is_some() {
            args.extend(PASS_FLAGS.iter().map(OsString::from));
            // LTO would take std's uninstrumented bitcode, and instrument the
            // program's own a second time.
            args.push("-Clto=off".into());
            args.push("-Clinker-plugin-lto=no".into());
            args.push("-Cembed-bitcode=no".into());
        }
        args.push("-Cforce-frame-pointers=yes".into());
        args.push("-Cstrip=none".into());
        args.push("-Csplit-debuginfo=off".into());
        // Line tables alone have no path of an inlined function, by which
        // libraries are told apart.
        if !seen.has_function_paths() {
            args.push("-Cdebuginfo=limited".into());
        }
        if seen
            .last_codegen("relocation-model")
            .is_some_and(|m| m == "static" || m == "dynamic-no-pic")
        {
            args.push("-Crelocation-model=pic".into());
        }
        if links_executable {
            args.push(link_arg(self.runtime.as_os_str()));
            args.extend(LINK_ARGS.iter().map(OsString::from));
            if let Some(sysroot) = &self.sysroot {
                args.extend(sysroot::link_args(sysroot));
            }
        }
        args
    }
}

fn link_arg(value: &OsStr) -> OsString {
    let mut arg = OsString::from("-Clink-arg=");
    arg.push(value);
    arg
}

/// `-Ctarget-feature=+crt-static,+avx` to `-Ctarget-feature=+avx`.
fn drop_crt_static(arg: &mut OsString) {
    let Some(text) = arg.to_str() else { return };
    if !text.contains("+crt-static") {
        return;
    }
    let (option, features) = match text.split_once("target-feature=") {
        Some((option, features)) => (format!("{option}target-feature="), features),
        None => return,
    };
    let kept: Vec<&str> = features
        .split(',')
        .filter(|f| *f != "+crt-static")
        .collect();
    *arg = OsString::from(format!("{option}{}", kept.join(",")));
}

/// cargo puts the arguments into a file, one a line, where the command line
/// would be too long.
fn expand_response_files(args: &[OsString]) -> Vec<OsString> {
    let mut expanded = Vec::with_capacity(args.len());
    for arg in args {
        let file = arg.to_str().and_then(|a| a.strip_prefix('@'));
        match file.map(|path| std::fs::read_to_string(Path::new(path))) {
            Some(Ok(text)) => expanded.extend(text.lines().map(OsString::from)),
            // rustc reports a file that it cannot read.
            Some(Err(_)) | None => expanded.push(arg.clone()),
        }
    }
    expanded
}

/// Questions about a command line of rustc.
struct Seen<'a>(&'a [OsString]);

impl Seen<'_> {
    fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|arg| arg.to_str())
    }

    fn has_flag(&self, flag: &str) -> bool {
        self.texts().any(|arg| arg == flag)
    }

    fn has_option(&self, option: &str) -> bool {
        self.texts().any(|arg| {
            arg.strip_prefix(option)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        })
    }

    /// `--test`, `--crate-type bin`, or no crate type at all: rustc's default
    /// is `bin`, and cargo relies on it for tests without libtest.
    fn links_executable(&self) -> bool {
        if self.has_flag("--test") {
            return true;
        }
        let mut some_kind = false;
        let mut texts = self.texts();
        while let Some(arg) = texts.next() {
            let kind = match arg.strip_prefix("--crate-type") {
                Some("") => texts.next(),
                Some(rest) => rest.strip_prefix('='),
                None => None,
            };
            if let Some(kind) = kind {
                some_kind = true;
                if kind.split(',').any(|kind| kind == "bin") {
                    return true;
                }
            }
        }
        !some_kind
    }

    /// Codegen options in order: `-C k=v`, `-Ck=v`, `--codegen k=v`, and `-g`
    /// as what it stands for.
    fn codegen(&self) -> Vec<&str> {
        let mut options = Vec::new();
        let mut texts = self.texts();
        while let Some(arg) = texts.next() {
            if arg == "-g" {
                options.push("debuginfo=2");
            } else if arg == "-C" || arg == "--codegen" {
                options.extend(texts.next());
            } else if let Some(option) = arg
                .strip_prefix("--codegen=")
                .or_else(|| arg.strip_prefix("-C"))
            {
                options.push(option);
            }
        }
        options
    }

    fn last_codegen(&self, name: &str) -> Option<&str> {
        self.codegen().into_iter().rev().find_map(|option| {
            option
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('='))
        })
    }

    fn has_function_paths(&self) -> bool {
        match self.last_codegen("debuginfo") {
            Some(level) => matches!(level, "1" | "2" | "limited" | "full"),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::io::Write as _;

    use super::Instrumentation;

    fn instrumentation() -> Instrumentation {
        Instrumentation {
            sysroot: Some("/sysroot".into()),
            runtime: "/rt.o".into(),
        }
    }

    fn rustc(args: &[&str]) -> Vec<String> {
        strings(instrumentation().rustc_args(args.iter().map(OsString::from).collect()))
    }

    fn strings(args: Vec<OsString>) -> Vec<String> {
        args.into_iter().map(|a| a.into_string().unwrap()).collect()
    }

    fn has(args: &[String], arg: &str) -> bool {
        args.iter().any(|a| a == arg)
    }

    #[test]
    fn host_compilations_are_left_alone() {
        let args = [
            "--crate-name",
            "build_script_build",
            "--crate-type",
            "bin",
            "-Cdebuginfo=0",
        ];
        assert_eq!(rustc(&args), args);
    }

    #[test]
    fn a_library_gets_everything_but_the_runtime() {
        let args = rustc(&[
            "--crate-type",
            "lib",
            "--target",
            "x86_64-unknown-linux-gnu",
        ]);
        assert_eq!(
            args[4..10],
            [
                "--sysroot",
                "/sysroot",
                "--cfg",
                "leakcheck",
                "--check-cfg",
                "cfg(leakcheck)"
            ]
        );
        assert!(has(&args, "-Clto=off"));
        assert!(
            !args.iter().any(|a| a.starts_with("-Clink-arg")),
            "{args:?}"
        );
    }

    #[test]
    fn executables_link_the_runtime() {
        for kind in [
            &["--crate-type", "bin"][..],
            &["--crate-type=bin"],
            &["--crate-type=lib,bin"],
            &["--cfg", "test"],
            &["--crate-type", "lib", "--test"],
        ] {
            let mut args = kind.to_vec();
            args.extend(["--target=x86_64-unknown-linux-gnu"]);
            assert!(has(&rustc(&args), "-Clink-arg=/rt.o"), "{kind:?}");
        }
    }

    #[test]
    fn ours_come_after_the_users() {
        let args = rustc(&["--target", "t", "-C", "lto=fat", "-Cstrip=symbols"]);
        let at = |arg: &str| args.iter().position(|a| a == arg).unwrap();
        assert!(at("-Clto=off") > at("lto=fat"));
        assert!(at("-Cstrip=none") > at("-Cstrip=symbols"));
    }

    #[test]
    fn debuginfo_is_raised_but_never_lowered() {
        for (given, raised) in [
            (&[][..], true),
            (&["-Cdebuginfo=0"][..], true),
            (&["-C", "debuginfo=line-directives-only"][..], true),
            (&["-Cdebuginfo=2", "-Cdebuginfo=none"][..], true),
            (&["-C", "debuginfo=2"][..], false),
            (&["--codegen=debuginfo=full"][..], false),
            (&["-g"][..], false),
            (&["-Cdebuginfo=0", "-Cdebuginfo=1"][..], false),
            (&["-Cdebuginfo=line-tables-only"][..], true),
        ] {
            let mut args = vec!["--target", "t"];
            args.extend(given);
            assert_eq!(
                has(&rustc(&args), "-Cdebuginfo=limited"),
                raised,
                "{given:?}"
            );
        }
    }

    #[test]
    fn static_code_becomes_position_independent() {
        assert!(has(
            &rustc(&["--target", "t", "-Crelocation-model=static"]),
            "-Crelocation-model=pic"
        ));
        assert!(!has(&rustc(&["--target", "t"]), "-Crelocation-model=pic"));
    }

    #[test]
    fn crt_static_is_taken_out() {
        let args = rustc(&["--target", "t", "-C", "target-feature=+avx,+crt-static"]);
        assert!(has(&args, "target-feature=+avx"), "{args:?}");
        let args = rustc(&["--target", "t", "-Ctarget-feature=+crt-static"]);
        assert!(has(&args, "-Ctarget-feature="), "{args:?}");
    }

    #[test]
    fn response_files_are_read() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"--target\nx86_64-unknown-linux-gnu\n--crate-type\nbin\n-Cdebuginfo=2\n")
            .unwrap();
        let arg = format!("@{}", file.path().display());
        let args = rustc(&[&arg]);
        assert_eq!(args[0], arg);
        assert!(has(&args, "-Clink-arg=/rt.o"));
        assert!(!has(&args, "-Cdebuginfo=limited"));
    }

    #[test]
    fn rustdoc_instruments_tests_only() {
        let doc = |args: &[&str]| {
            strings(instrumentation().rustdoc_args(args.iter().map(OsString::from).collect()))
        };
        assert!(has(&doc(&["--test", "--target", "t"]), "-Clink-arg=/rt.o"));
        let page = doc(&["--target", "t", "src/lib.rs"]);
        assert!(
            has(&page, "--sysroot") && !has(&page, "-Clto=off"),
            "{page:?}"
        );
        assert_eq!(doc(&["-vV"]), ["-vV"]);
    }
}
