//! The driver on projects of every shape: each test writes a small project,
//! runs the command in it, and reads what it says.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

struct Project(TempDir);

impl Project {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Self(dir)
    }

    /// One package of which `lib` is `src/lib.rs`.
    fn package(lib: &str) -> Self {
        Self::new(&[("Cargo.toml", &manifest("one", "")), ("src/lib.rs", lib)])
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_leakcheck"));
        command.args(args);
        in_clean_environment(&mut command, self.path());
        command
    }

    fn leakcheck(&self, args: &[&str]) -> Said {
        Said::new(self.command(args).output().unwrap())
    }
}

fn in_clean_environment(command: &mut Command, dir: &Path) {
    command.current_dir(dir);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let of_cargo = text.starts_with("CARGO") && text != "CARGO_HOME";
        if of_cargo || text.starts_with("LEAKCHECK") {
            command.env_remove(name);
        }
    }
    command
        .env_remove("RUSTFLAGS")
        .env_remove("LD_LIBRARY_PATH");
    command.env(
        "LEAKCHECK_CACHE_DIR",
        Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"),
    );
}

fn manifest(name: &str, rest: &str) -> String {
    format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2021\"\n{rest}\n\
         [lints.rust]\nunexpected_cfgs = {{ level = \"allow\" }}\n"
    )
}

#[derive(Debug)]
struct Said {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Said {
    fn new(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Lines of tests before the summary, as `WORD id`, sorted.
    fn tests(&self) -> Vec<String> {
        let mut tests: Vec<String> = self
            .stderr
            .lines()
            .take_while(|line| !line.starts_with("------------"))
            .filter_map(|line| {
                let (word, rest) = line.split_once('[')?;
                let (_, id) = rest.split_once("] ")?;
                let word = word.trim();
                let is_word = !word.is_empty() && word.chars().all(|c| c.is_ascii_uppercase());
                is_word.then(|| format!("{word} {id}"))
            })
            .collect();
        tests.sort();
        tests
    }

    #[track_caller]
    fn ends_with(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    fn says(&self, text: &str) -> &Self {
        assert!(
            self.stderr.contains(text),
            "no `{text}` in\n{}",
            self.stderr
        );
        self
    }
}

#[test]
fn every_kind_of_target() {
    let project = Project::new(&[
        (
            "Cargo.toml",
            "[workspace]\nresolver = \"2\"\nmembers = [\"app\", \"macros\", \"shared\"]\n\
             [profile.release]\nlto = \"fat\"\nstrip = true\ncodegen-units = 1\n",
        ),
        (
            "app/Cargo.toml",
            &manifest(
                "app",
                "[dependencies]\nmacros = { path = \"../macros\" }\n\
                 [features]\nmore = []\n\
                 [[test]]\nname = \"own_harness\"\nharness = false\n",
            ),
        ),
        (
            "app/build.rs",
            r#"fn main() {
                assert!(!cfg!(leakcheck), "build scripts are built for the host");
                assert_eq!(std::env::var("LEAKCHECK").as_deref(), Ok("1"));
                assert!(std::env::var_os("CARGO_CFG_LEAKCHECK").is_some());
                let out = std::path::PathBuf::from(std::env::var_os("OUT_DIR").unwrap());
                std::fs::write(out.join("made.txt"), "made").unwrap();
                println!("cargo::rustc-env=FROM_BUILD_SCRIPT=yes");
                println!("cargo::rerun-if-changed=build.rs");
            }"#,
        ),
        (
            "app/src/lib.rs",
            r#"//! ```
            //! assert_eq!(app::one(), 1);
            //! ```
            pub fn one() -> u32 { macros::one!() }

            #[test]
            fn environment() {
                assert!(cfg!(leakcheck));
                assert_eq!(std::env::var("LEAKCHECK").as_deref(), Ok("1"));
                assert_eq!(std::env::var("FROM_BUILD_SCRIPT").as_deref(), Ok("yes"));
                assert_eq!(std::env::var_os("RUSTC_WRAPPER"), None);
                let out = std::path::PathBuf::from(std::env::var_os("OUT_DIR").unwrap());
                assert_eq!(std::fs::read_to_string(out.join("made.txt")).unwrap(), "made");
                assert!(std::env::current_dir().unwrap().ends_with("app"));
            }

            #[cfg(feature = "more")]
            #[test]
            fn more() {}"#,
        ),
        (
            "app/src/bin/tool.rs",
            "fn main() { std::process::exit(std::env::args().count() as i32) }\n\
             #[test] fn inside() {}",
        ),
        (
            "app/tests/outside.rs",
            r#"#[test]
            fn starts_the_tool() {
                let tool = env!("CARGO_BIN_EXE_tool");
                let status = std::process::Command::new(tool).arg("x").status().unwrap();
                assert_eq!(status.code(), Some(2));
            }"#,
        ),
        (
            "app/tests/own_harness.rs",
            r#"fn main() {
                let unlucky = std::env::args().any(|arg| arg == "unlucky");
                std::process::exit(if unlucky { 7 } else { 0 });
            }"#,
        ),
        (
            "app/examples/sample.rs",
            "fn main() {}\n#[test] fn in_example() {}",
        ),
        (
            "macros/Cargo.toml",
            &manifest("macros", "[lib]\nproc-macro = true\n"),
        ),
        (
            "macros/src/lib.rs",
            r#"use proc_macro::TokenStream;
            #[proc_macro]
            pub fn one(_: TokenStream) -> TokenStream { "1".parse().unwrap() }
            #[test]
            fn of_macro() { assert!(!cfg!(leakcheck)) }"#,
        ),
        (
            "shared/Cargo.toml",
            &manifest("shared", "[lib]\ncrate-type = [\"cdylib\", \"rlib\"]\n"),
        ),
        (
            "shared/src/lib.rs",
            r#"#[no_mangle]
            pub extern "C" fn spawns() -> u32 { std::thread::spawn(|| 4).join().unwrap() }
            #[test]
            fn of_shared() { assert_eq!(spawns(), 4) }"#,
        ),
    ]);

    let first = project.leakcheck(&["test"]);
    first
        .ends_with(0)
        .says("`macros::macros` is not instrumented")
        .says("Compiling app");
    assert_eq!(
        first.tests(),
        [
            "PASS app environment",
            "PASS app::bin/tool inside",
            "PASS app::doctest app/src/lib.rs - (line 1)",
            "PASS app::outside starts_the_tool",
            "PASS app::own_harness",
            "PASS macros of_macro",
            "PASS shared of_shared",
        ]
    );

    let second = project.leakcheck(&["test"]);
    second.ends_with(0);
    assert!(!second.stderr.contains("Compiling"), "{}", second.stderr);

    let release = project.leakcheck(&[
        "test",
        "-p",
        "app",
        "--release",
        "--all-targets",
        "--features",
        "more",
        "--",
        "unlucky",
    ]);
    release.ends_with(100);
    assert_eq!(release.tests(), ["FAIL app::own_harness"]);
    let release = project.leakcheck(&["test", "-p", "app", "-r", "--all-targets", "-F", "more"]);
    release.ends_with(0);
    assert_eq!(
        release.tests(),
        [
            "PASS app environment",
            "PASS app more",
            "PASS app::bin/tool inside",
            "PASS app::example/sample in_example",
            "PASS app::outside starts_the_tool",
            "PASS app::own_harness",
        ]
    );

    let run = project.leakcheck(&["run", "--bin", "tool", "--", "a", "b"]);
    run.ends_with(3);
}

#[test]
fn the_users_configuration_keeps_working() {
    let project = Project::package(
        r#"#[test]
        fn configured() {
            assert!(cfg!(from_config));
            assert_eq!(std::env::var("FROM_TABLE").as_deref(), Ok("1"));
            assert_eq!(std::env::var("FROM_RUNNER").as_deref(), Ok("1"));
            for (name, _) in std::env::vars() {
                let of_runtime = ["WIRE_DIR", "GUARDS_STAY", "SUPERVISOR", "CACHE_DIR"];
                let ours = name.strip_prefix("LEAKCHECK_");
                assert!(ours.is_none_or(|name| of_runtime.contains(&name)), "{name}");
            }
        }"#,
    );
    let log = project.path().join("wrapped.log");
    let wrapper = project.script(
        "wrapper.sh",
        &format!(
            "#!/bin/sh\necho \"$@\" >> '{}'\nexec \"$@\"\n",
            log.display()
        ),
    );
    std::fs::create_dir(project.path().join(".cargo")).unwrap();
    let config = format!(
        "[build]\ntarget = \"x86_64-unknown-linux-gnu\"\nrustc-wrapper = \"{}\"\n\
         [target.x86_64-unknown-linux-gnu]\nrustflags = [\"--cfg\", \"from_config\"]\n\
         runner = [\"env\", \"FROM_RUNNER=1\"]\n[env]\nFROM_TABLE = \"1\"\n",
        wrapper.display()
    );
    std::fs::write(project.path().join(".cargo/config.toml"), config).unwrap();

    project.leakcheck(&["test"]).ends_with(0).says("PASS");
    let wrapped = std::fs::read_to_string(&log).unwrap();
    assert!(
        wrapped.lines().any(|call| call.contains("--sysroot")),
        "{wrapped}"
    );

    // On the command line too, where cargo lets it win over the environment.
    let other = "target.x86_64-unknown-linux-gnu.runner=['env', 'FROM_RUNNER=1', 'MORE=1']";
    project
        .leakcheck(&["test", "--config", other])
        .ends_with(0)
        .says("1 passed");

    let other = "target.'cfg(all(unix, target_pointer_width = \"64\"))'.runner=['env', 'BY_CFG=1']";
    let by_cfg = Project::package(
        r#"#[test]
        fn configured() { assert_eq!(std::env::var("BY_CFG").as_deref(), Ok("1")) }"#,
    );
    by_cfg
        .leakcheck(&["test", "--config", other])
        .ends_with(0)
        .says("1 passed");

    // What leakcheck cannot work with is overridden, the rest is kept.
    let mut command = project.command(&["test", "--target", "x86_64-unknown-linux-gnu"]);
    command.env(
        "RUSTFLAGS",
        "--cfg from_config -Ctarget-feature=+crt-static -Crelocation-model=static -Clto=thin",
    );
    Said::new(command.output().unwrap())
        .ends_with(0)
        .says("PASS");
}

#[test]
fn every_way_a_test_can_end() {
    let project = Project::package(
        r#"#[test] fn passes() {}
        #[test] #[should_panic] fn panics_as_it_should() { panic!() }
        #[test] #[ignore] fn is_ignored() {}
        #[test] fn fails() { println!("last words"); panic!() }
        #[test] fn aborts() { std::process::abort() }
        #[test] fn faults() { unsafe { (8 as *mut u32).write_volatile(1) } }
        #[test] fn leaves() { std::process::exit(0) }
        #[test] fn takes_forever() { loop { std::hint::spin_loop() } }"#,
    );
    let said = project.leakcheck(&["test", "--timeout", "15"]);
    said.ends_with(100)
        .says("last words")
        .says("killed by SIGABRT")
        .says("killed by SIGSEGV")
        .says("exited with code 0 before the test returned")
        .says("ended after 15 s")
        .says("7 tests run: 2 passed, 5 failed (2 crashed, 1 left early, 1 timed out); 1 ignored");
    assert_eq!(
        said.tests(),
        [
            "CRASH one aborts",
            "CRASH one faults",
            "EXIT one leaves",
            "FAIL one fails",
            "PASS one panics_as_it_should",
            "PASS one passes",
            "TIMEOUT one takes_forever",
        ]
    );

    project
        .leakcheck(&["test", "--run-timeout", "1", "takes_forever"])
        .ends_with(124)
        .says("STOPPED");
    let included = project.leakcheck(&["test", "--", "--include-ignored", "--exact", "is_ignored"]);
    included.ends_with(0);
    assert_eq!(included.tests(), ["PASS one is_ignored"]);

    let shown = project.leakcheck(&["test", "fails", "--", "--nocapture"]);
    shown.ends_with(100);
    assert!(shown.stdout.contains("last words"), "{}", shown.stdout);
}

#[test]
fn a_gate_and_its_lines_for_machines() {
    let project = Project::package(
        r#"#[test] fn passes() {}
        #[test] fn races() {
            static mut TOTAL: u32 = 0;
            let other = std::thread::spawn(|| unsafe { TOTAL += 1 });
            unsafe { TOTAL += 1 };
            other.join().unwrap();
        }
        #[test] fn fails() { panic!("said before") }"#,
    );
    let args = ["test", "--message-format", "json", "--", "--skip", "fails"];
    let said = project.leakcheck(&args);
    said.ends_with(66)
        .says("RACE [")
        .says("error[LC0001]: data race");
    let lines: Vec<serde_json::Value> = said
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let types: Vec<&str> = lines
        .iter()
        .map(|line| line["type"].as_str().unwrap())
        .collect();
    assert_eq!(types, ["test", "test", "finding", "summary"]);
    assert!(lines.iter().all(|line| line["schema"] == 1));
    assert_eq!(lines[2]["code"], "LC0001");
    assert_eq!(lines[2]["test"]["name"], "races");
    assert_eq!(lines[3]["exit_code"], 66);
    assert_eq!(lines[3]["tests"]["with_findings"], 1);

    // Failed tests count more than findings, and both are told.
    let said = project.leakcheck(&["test"]);
    said.ends_with(100)
        .says("error[LC0001]: data race")
        .says("said before");
    project.leakcheck(&["test", "passes"]).ends_with(0);
}

#[test]
fn bad_input_is_named() {
    let project = Project::package("#[test] fn passes() {}");
    project.leakcheck(&["test", "no_such_test"]).ends_with(4);
    project
        .leakcheck(&["test", "--target", "wasm32-unknown-unknown"])
        .ends_with(2)
        .says("`wasm32-unknown-unknown` is not supported");
    project
        .leakcheck(&["test", "--no-such-option"])
        .ends_with(2);
    project
        .leakcheck(&["explain", "LC9999"])
        .ends_with(2)
        .says("there is no code `LC9999`");
    project
        .leakcheck(&["test", "--bin", "nobody"])
        .ends_with(101)
        .says("nobody");
    project
        .leakcheck(&["test", "--config", "nonsense nonsense"])
        .ends_with(101);

    std::fs::write(project.path().join("src/lib.rs"), "fn broken( {").unwrap();
    project
        .leakcheck(&["test"])
        .ends_with(101)
        .says("could not compile");
    std::fs::write(project.path().join("Cargo.toml"), "[package").unwrap();
    project
        .leakcheck(&["test"])
        .ends_with(101)
        .says("cannot read the project");
    std::fs::remove_file(project.path().join("Cargo.toml")).unwrap();
    project
        .leakcheck(&["test"])
        .ends_with(101)
        .says("could not find `Cargo.toml`");
}

#[test]
fn other_runners_use_the_environment() {
    let project = Project::package(
        r#"#[test] fn passes() { assert!(cfg!(leakcheck)) }
        /// ```
        /// assert!(cfg!(leakcheck));
        /// ```
        pub fn documented() {}"#,
    );
    let said = project.leakcheck(&["show-env", "--sh"]);
    said.ends_with(0);
    let script = format!("{}\nexec cargo test", said.stdout);
    let mut command = Command::new("sh");
    command.args(["-c", &script]);
    in_clean_environment(&mut command, project.path());
    let cargo = Said::new(command.output().unwrap());
    cargo.ends_with(0);
    assert_eq!(
        cargo.stdout.matches("test result: ok. 1 passed").count(),
        2,
        "{}",
        cargo.stdout
    );

    // The same directory: nothing is built again, in that shell or outside.
    let script = format!(
        "{}\nexec '{}' test",
        said.stdout,
        env!("CARGO_BIN_EXE_leakcheck")
    );
    let mut command = Command::new("sh");
    command.args(["-c", &script]);
    in_clean_environment(&mut command, project.path());
    let nested = Said::new(command.output().unwrap());
    nested.ends_with(0).says("PASS");
    assert!(!nested.stderr.contains("Compiling"), "{}", nested.stderr);

    project.leakcheck(&["clean"]).ends_with(0);
    assert!(!project.path().join("target/leakcheck").exists());
}

#[test]
fn as_a_subcommand_of_cargo_and_in_a_directory_with_a_space() {
    let project = Project::new(&[
        ("with space/Cargo.toml", &manifest("one", "")),
        (
            "with space/src/main.rs",
            "fn main() { println!(\"hello\") }\n#[test] fn passes() {}",
        ),
    ]);
    let dir = project.path().join("with space");
    let cargo_leakcheck = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-leakcheck"));
        command.arg("leakcheck").args(args);
        in_clean_environment(&mut command, &dir);
        Said::new(command.output().unwrap())
    };
    let said = cargo_leakcheck(&["test"]);
    said.ends_with(0);
    assert_eq!(said.tests(), ["PASS one::bin/one passes"]);
    assert_eq!(
        cargo_leakcheck(&["run", "-q"]).ends_with(0).stdout,
        "hello\n"
    );
}
