//! The gate: what counts by baseline, configuration and suppressions.

use std::fs;

use leakcheck_tests::command::{Ended, Workshop};
use leakcheck_tests::project::Project;

fn project() -> Project {
    Project::new(Workshop::new(
        env!("CARGO_BIN_EXE_leakcheck-under-test"),
        env!("CARGO_TARGET_TMPDIR"),
    ))
}

/// Code and state of each finding, sorted.
fn states(ended: &Ended) -> Vec<String> {
    let mut states: Vec<String> = ended
        .findings()
        .iter()
        .map(|finding| format!("{} {}", finding.code, finding.state))
        .collect();
    states.sort();
    states
}

/// Why and where entries are stale, sorted.
fn stale(ended: &Ended) -> Vec<String> {
    let mut stale: Vec<String> = ended
        .summary()
        .stale
        .iter()
        .map(|stale| format!("{}: {} in {}", stale.why, stale.entry, stale.source))
        .collect();
    stale.sort();
    stale
}

const BASELINE: &str = ".config/leakcheck-baseline.toml";
const CONFIG: &str = ".config/leakcheck.toml";

/// Day one in a dirty code base, and the days after.
#[test]
fn a_baseline_keeps_old_findings_out() {
    let project = project();
    project.test(&[]).run().assert_code(66);
    let written = project.call(&["baseline", "write"]).run();
    written.assert_code(0);
    assert!(
        written.stderr.contains("3 findings, 3 of them new"),
        "{}",
        written.stderr
    );
    let text = project.read(BASELINE);
    assert_eq!(text.matches("[[finding]]").count(), 3);
    assert!(
        !text.contains(".rs:") && !text.contains("0x"),
        "no place is in it: {text}"
    );

    let known = project.test(&[]).run();
    known.assert_code(0);
    assert_eq!(
        states(&known),
        ["LC0001 baseline", "LC0002 baseline", "LC0003 baseline"]
    );
    assert!(
        known.stderr.contains("Left out 3 findings in the baseline"),
        "{}",
        known.stderr
    );
    let shown: Vec<_> = known.stderr.matches("error[").collect();
    assert!(
        shown.is_empty(),
        "what is known is not shown: {}",
        known.stderr
    );

    // Lines move and local variables are renamed: the same bugs.
    project.edit(
        "src/lib.rs",
        "/// Moves money",
        "/// Two\n/// more lines.\n///\n/// Moves money",
    );
    project.edit("tests/bank.rs", "visitors", "guests");
    project.edit(
        "tests/bank.rs",
        "fn guests_are_counted",
        "fn visitors_are_counted",
    );
    project.test(&[]).run().assert_code(0);
    let again = project.call(&["baseline", "write"]).run();
    again.assert_code(0);
    assert_eq!(project.read(BASELINE), text, "nothing changes in the file");

    // Something new.
    let tests = project.read("tests/bank.rs");
    project.write(
        "tests/bank.rs",
        &format!(
            "{tests}\n#[test]\nfn doors_race() {{\n    static LEFT: Visitors = Visitors::new();\n    \
             let other = thread::spawn(|| LEFT.leave());\n    while !other.is_finished() {{\n        \
             thread::yield_now();\n    }}\n    LEFT.leave();\n}}\n"
        ),
    );
    project.edit(
        "src/lib.rs",
        "impl Visitors {",
        "impl Visitors {\n    /// None yet.\n    pub const fn new() -> Self {\n        \
         Self(UnsafeCell::new(0))\n    }\n\n    /// One less.\n    pub fn leave(&self) {\n        \
         unsafe { *self.0.get() ^= 1 }\n    }\n",
    );
    let new = project.test(&[]).run();
    new.assert_code(66);
    let counting: Vec<_> = new
        .findings()
        .into_iter()
        .filter(|f| f.state == "new")
        .collect();
    assert_eq!(counting.len(), 1);
    assert!(counting[0].is_in("doors_race"));
    project.call(&["baseline", "check"]).run().assert_code(66);
    project
        .test(&["--no-baseline", "transfers_cross"])
        .run()
        .assert_code(66);

    // Something is fixed: its entry is stale.
    project.edit(
        "tests/bank.rs",
        "&yours, &mine, 7, meet",
        "&mine, &yours, 7, || ()",
    );
    project.edit(
        "tests/bank.rs",
        "&mine, &yours, 5, meet",
        "&mine, &yours, 5, || ()",
    );
    project.edit(
        "tests/bank.rs",
        "    let meet = || _ = both.wait();\n",
        "    let _ = both;\n",
    );
    let fixed = project.test(&["transfers_cross"]).run();
    fixed.assert_code(0);
    assert_eq!(fixed.summary().stale.len(), 1, "{}", fixed.stderr);
    assert!(
        fixed.stderr.contains("matches nothing any more"),
        "{}",
        fixed.stderr
    );
    project
        .test(&["transfers_cross", "--deny-stale"])
        .run()
        .assert_code(67);
    // Of a test that did not run nothing is known.
    project
        .test(&["transfers_queue", "--deny-stale"])
        .run()
        .assert_code(0);

    let pruned = project
        .call(&["baseline", "prune", "transfers_cross"])
        .run();
    pruned.assert_code(0);
    assert_eq!(project.read(BASELINE).matches("[[finding]]").count(), 2);
    project
        .call(&["baseline", "check", "transfers_cross", "--deny-stale"])
        .run()
        .assert_code(0);
}

#[test]
fn a_broken_baseline_is_told_and_kept() {
    let project = project();
    for (text, told) in [
        ("schema = 2\n", "update leakcheck"),
        ("<<<<<<< HEAD\nschema = 1\n", BASELINE),
        ("schema = 1\n[[finding]]\nsummary = \"x\"\n", "fingerprint"),
        (
            "schema = 1\n[[finding]]\nfingerprnt = \"x\"\n",
            "did you mean `fingerprint`",
        ),
    ] {
        project.write(BASELINE, text);
        for args in [
            &["test"][..],
            &["baseline", "write"],
            &["baseline", "prune"],
        ] {
            let ended = project.call(args).run();
            ended.assert_code(67);
            assert!(ended.stderr.contains(told), "{told}: {}", ended.stderr);
        }
        assert_eq!(project.read(BASELINE), text);
    }
    fs::remove_file(project.path(BASELINE)).unwrap();
    let ended = project.test(&["--baseline", "no-such.toml"]).run();
    ended.assert_code(67);
    assert!(ended.stderr.contains("no-such.toml"), "{}", ended.stderr);
    // A CI machine would hide what is new.
    let ended = project.call(&["baseline", "write"]).env("CI", "true").run();
    ended.assert_code(2);
    assert!(ended.stderr.contains("--allow-ci"), "{}", ended.stderr);
}

#[test]
fn levels_come_from_the_nearest_place() {
    let project = project();
    project.write(
        CONFIG,
        r#"
        [profile.default.levels]
        deadlock = "warn"
        [[profile.default.overrides]]
        filter = 'test(=visitors_are_counted)'
        levels = { LC0001 = "allow" }
        [profile.strict.levels]
        all = "deny"
        "#,
    );
    let default = project.test(&[]).run();
    default.assert_code(66);
    assert_eq!(
        states(&default),
        ["LC0001 suppressed", "LC0002 new", "LC0003 new"]
    );
    let level = |ended: &Ended, code: &str| {
        let mut findings = ended.findings().into_iter();
        findings.find(|finding| finding.code == code).unwrap().level
    };
    assert_eq!(level(&default, "LC0003"), "warning");
    // The command line is nearer than an override, an override than a profile.
    let typed = project.test(&["-D", "all", "-A", "LC0002"]).run();
    assert_eq!(
        states(&typed),
        ["LC0001 new", "LC0002 suppressed", "LC0003 new"]
    );
    assert_eq!(level(&typed, "LC0003"), "error");
    let strict = project
        .test(&["transfers_cross"])
        .env("LEAKCHECK_PROFILE", "strict")
        .run();
    assert_eq!(level(&strict, "LC0003"), "error");
    let both = project
        .test(&["transfers_cross", "-P", "default"])
        .env("LEAKCHECK_PROFILE", "strict")
        .run();
    assert_eq!(level(&both, "LC0003"), "warning");
    both.assert_code(0);

    project.test(&["-A", "LC9999"]).run().assert_code(2);
    let none = project.test(&["-P", "no-such"]).run();
    none.assert_code(67);
    assert!(none.stderr.contains("strict"), "{}", none.stderr);
}

#[test]
fn a_broken_configuration_is_told() {
    let project = project();
    for (text, told) in [
        (
            "[profile.default]\ngraze = \"1s\"\n",
            "did you mean `grace`",
        ),
        ("[[ignore]]\ncode = \"LC0001\"\n", "reason"),
        ("[[ignore]]\nreason = \"x\"\n", "it would ignore everything"),
        ("[[ignore]]\ncode = \"LC9999\"\nreason = \"x\"\n", "LC9999"),
        (
            "[[profile.default.overrides]]\nfilter = 'test('\n",
            "filterset",
        ),
        (
            "[profile.ci]\ninherits = \"b\"\n[profile.b]\ninherits = \"ci\"\n",
            "inherits itself",
        ),
        ("[profile.ci]\ninherits = \"no-such\"\n", "no-such"),
        ("required-version = \"99.0\"\n", "update leakcheck"),
        ("suppressions = [\"no-such.supp\"]\n", "no-such.supp"),
    ] {
        project.write(CONFIG, text);
        let ended = project.test(&[]).run();
        ended.assert_code(67);
        assert!(ended.stderr.contains(told), "{told}: {}", ended.stderr);
    }
    project
        .test(&["--no-config", "transfers_queue"])
        .run()
        .assert_code(0);
}

#[test]
fn suppressions_of_all_sorts() {
    let project = project();
    project.write(
        CONFIG,
        r#"
        suppressions = ["tsan.supp"]
        [[ignore]]
        code = "LC0002"
        thread = "jour*"
        reason = "ends with the process"
        expires = 2999-01-01
        [[ignore]]
        code = "LC0003"
        reason = "was to be mended by then"
        expires = 2001-01-01
        [[ignore]]
        function = "no::such::*"
        reason = "gone since"
        "#,
    );
    project.write(
        "tsan.supp",
        "# known\nrace:Visitors::count\nthread:no_such_thread\n",
    );
    let ended = project.test(&[]).run();
    ended.assert_code(66);
    assert_eq!(
        states(&ended),
        ["LC0001 suppressed", "LC0002 suppressed", "LC0003 new"]
    );
    for finding in ended
        .findings()
        .iter()
        .filter(|finding| finding.state == "suppressed")
    {
        let excuse = finding
            .excuse
            .as_ref()
            .expect("a suppressed finding has an excuse");
        let (source, reason) = match finding.code.as_str() {
            "LC0001" => ("tsan.supp", "race:Visitors::count"),
            _ => (CONFIG, "ends with the process"),
        };
        assert_eq!(excuse.source, source);
        assert!(excuse.reason.contains(reason), "{}", excuse.reason);
    }
    let mut stale: Vec<String> = ended
        .summary()
        .stale
        .iter()
        .map(|stale| format!("{}: {}", stale.why, stale.entry))
        .collect();
    stale.sort();
    assert_eq!(
        stale,
        [
            "expired: [[ignore]] code = \"LC0003\"",
            "unmatched: [[ignore]] function = \"no::such::*\"",
            "unmatched: `thread:no_such_thread`",
        ]
    );
    // What does not count is shown if asked for, with the reason.
    assert!(!ended.stderr.contains("ends with the process"));
    let verbose = project.test(&["-v", "journal"]).run();
    verbose.assert_code(0);
    assert!(
        verbose.stderr.contains("outlives the test")
            && verbose.stderr.contains("ends with the process"),
        "{}",
        verbose.stderr
    );
    // Not all tests: nothing can be said of what matches nothing.
    let part = project.test(&["transfers_queue"]).run();
    assert_eq!(part.summary().stale.len(), 1, "only what has expired");

    project.write("tsan.supp", "races:x\n");
    let ended = project.test(&[]).run();
    ended.assert_code(67);
    assert!(
        ended.stderr.contains("line 1: `races:x`"),
        "{}",
        ended.stderr
    );
}

/// In the code, and by a library for threads of its own.
#[test]
fn marks_in_the_code() {
    let project = project();
    project.edit(
        "src/lib.rs",
        "    /// One more.\n",
        "    /// One more.\n    #[cfg_attr(any(), track(allow(LC0001, reason = \"counted roughly\")))]\n",
    );
    let manifest = project.read("Cargo.toml");
    project.write(
        "Cargo.toml",
        &format!(
            "{manifest}\n[[package.metadata.leakcheck.daemon]]\nthread = \"journal\"\n\
             reason = \"one for the process\"\n"
        ),
    );
    // The library itself must spawn it: a mark cannot speak for others.
    let ended = project.test(&[]).run();
    assert_eq!(
        states(&ended),
        ["LC0001 suppressed", "LC0002 new", "LC0003 new"]
    );
    assert_eq!(
        stale(&ended),
        ["unmatched: daemon thread = \"journal\" in the manifest of quickstart 0.1.0"]
    );
    project.edit(
        "tests/bank.rs",
        "    let writer = thread::Builder::new().name(\"journal\".into());\n    \
         writer.spawn(move || keep_journal(&entries)).unwrap();\n",
        "    quickstart::start_journal(entries);\n",
    );
    let lib = project.read("src/lib.rs");
    project.write(
        "src/lib.rs",
        &format!(
            "{lib}\n/// Starts the one writer.\npub fn start_journal(entries: Receiver<String>) {{\n    \
             let writer = std::thread::Builder::new().name(\"journal\".into());\n    \
             writer.spawn(move || keep_journal(&entries)).unwrap();\n}}\n"
        ),
    );
    let ended = project.test(&[]).run();
    assert_eq!(
        states(&ended),
        ["LC0001 suppressed", "LC0002 suppressed", "LC0003 new"]
    );
    let reason = |code: &str| {
        let mut findings = ended.findings().into_iter();
        let finding = findings.find(|finding| finding.code == code).unwrap();
        finding.excuse.map(|excuse| (excuse.source, excuse.reason))
    };
    let (source, why) = reason("LC0001").expect("an excuse");
    assert!(
        source.starts_with("src/lib.rs:") && why == "counted roughly",
        "{source}: {why}"
    );
    let (source, why) = reason("LC0002").expect("an excuse");
    assert_eq!(
        (source.as_str(), why.as_str()),
        ("the manifest of quickstart 0.1.0", "one for the process")
    );

    assert_eq!(stale(&ended), [""; 0]);

    // A mark in the code that matches nothing, and one in code that is not
    // even compiled.
    project.edit("src/lib.rs", "LC0001, reason", "LC0002, reason");
    let lib = project.read("src/lib.rs");
    project.write(
        "src/lib.rs",
        &format!(
            "{lib}\n#[cfg(any())]\n#[track(allow(data_race, deadlock, reason = \"old\"))]\n\
             mod old {{}}\n"
        ),
    );
    let ended = project.test(&[]).run();
    assert_eq!(
        states(&ended),
        ["LC0001 new", "LC0002 suppressed", "LC0003 new"]
    );
    let lines: Vec<usize> = ["LC0002, reason", "old\""]
        .iter()
        .map(|mark| {
            let text = project.read("src/lib.rs");
            text.lines().position(|line| line.contains(mark)).unwrap() + 1
        })
        .collect();
    assert_eq!(
        stale(&ended),
        [
            format!(
                "unmatched: `track(allow(LC0002))` in src/lib.rs:{}",
                lines[0]
            ),
            format!(
                "unmatched: `track(allow(data-race, deadlock))` in src/lib.rs:{}",
                lines[1]
            ),
        ]
    );
    project
        .test(&["-A", "all", "--deny-stale"])
        .run()
        .assert_code(67);

    // What a package of the workspace ships must be right.
    project.edit("Cargo.toml", "reason = \"one", "reson = \"one");
    project.test(&[]).run().assert_code(67);
}

/// Marks of a library that is not of the workspace.
#[test]
fn a_library_speaks_for_its_own_threads() {
    let project = project();
    let manifest = |name: &str, more: &str| {
        project.write(
            &format!("{name}/Cargo.toml"),
            &format!(
                "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n{more}"
            ),
        );
    };
    manifest("pool", "");
    project.write(
        "pool/src/lib.rs",
        "pub fn spawn(name: &str, run: impl FnOnce() + Send + 'static) {\n    \
         std::thread::Builder::new().name(name.into()).spawn(run).unwrap();\n}\n",
    );
    let marks = "[dependencies]\npool = { path = \"../pool\" }\n\
                 [[package.metadata.leakcheck.daemon]]\nthread = \"tick\"\nreason = \"one clock\"\n\
                 [[package.metadata.leakcheck.daemon]]\nruns = \"timer::drive\"\n\
                 reason = \"lives as long as the process\"\n\
                 [[package.metadata.leakcheck.daemon]]\nthread = \"never\"\nreason = \"not here\"\n";
    manifest("timer", marks);
    project.write(
        "timer/src/lib.rs",
        "pub fn drive() {\n    loop {\n        std::thread::park();\n    }\n}\n\n\
         pub fn start() {\n    pool::spawn(\"tick\", || loop {\n        std::thread::park();\n    });\n}\n\n\
         pub fn call(then: impl FnOnce()) {\n    then();\n}\n",
    );
    project.edit(
        "Cargo.toml",
        "[workspace]\n",
        "[workspace]\nexclude = [\"pool\", \"timer\"]\n[dependencies]\n\
         pool = { path = \"pool\" }\ntimer = { path = \"timer\" }\n",
    );
    project.write(
        "tests/bank.rs",
        "fn stay() {\n    loop {\n        std::thread::park();\n    }\n}\n\n\
         #[test]\nfn by_its_pool() {\n    timer::start();\n}\n\n\
         #[test]\nfn driven_by_us() {\n    std::thread::spawn(timer::drive);\n}\n\n\
         #[test]\nfn of_our_own() {\n    pool::spawn(\"tick\", stay);\n}\n\n\
         #[test]\nfn in_our_closure() {\n    timer::call(|| pool::spawn(\"tick\", stay));\n}\n",
    );
    let ended = project.test(&[]).run();
    ended.assert_code(66);
    for (test, state) in [
        ("by_its_pool", "suppressed"),
        ("driven_by_us", "suppressed"),
        ("of_our_own", "new"),
        ("in_our_closure", "new"),
    ] {
        let findings = ended.findings();
        let found = findings.iter().find(|finding| finding.is_in(test));
        let found = found.unwrap_or_else(|| panic!("no {test}: {}", ended.stderr));
        assert_eq!(found.state, state, "{test}: {}", found.rendered);
    }
    // Its users can do nothing about a mark that matches nothing.
    assert_eq!(stale(&ended), [""; 0]);

    project.edit(
        "timer/Cargo.toml",
        "reason = \"not here\"",
        "reeson = \"x\"",
    );
    let ended = project.test(&["of_our_own"]).run();
    ended.assert_code(66);
    assert!(
        ended
            .stderr
            .contains("the marks in the manifest of timer 0.1.0: unknown field `reeson`"),
        "{}",
        ended.stderr
    );
}

#[test]
fn init_writes_what_it_documents() {
    let project = project();
    project.call(&["init"]).run().assert_code(0);
    let text = project.read(CONFIG);
    project.test(&["transfers_queue"]).run().assert_code(0);
    let again = project.call(&["init"]).run();
    again.assert_code(2);
    assert!(again.stderr.contains("--force"), "{}", again.stderr);
    project.write(CONFIG, "broken");
    project.call(&["init", "--force"]).run().assert_code(0);
    assert_eq!(project.read(CONFIG), text);
}
