//! The recipes of the documentation run, in the environment that they are
//! written for.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use leakcheck_tests::command::{Call, Workshop, repository};
use leakcheck_tests::project::Project;
use serde_json::Value;
use tempfile::TempDir;

fn workshop() -> Workshop {
    Workshop::new(
        env!("CARGO_BIN_EXE_leakcheck-under-test"),
        env!("CARGO_TARGET_TMPDIR"),
    )
}

fn project() -> Project {
    Project::new(workshop())
}

fn recipe(name: &str) -> PathBuf {
    repository().join("docs/ci").join(name)
}

/// The lines of a recipe that call leakcheck.
fn commands(name: &str) -> Vec<String> {
    let text = fs::read_to_string(recipe(name)).unwrap();
    text.lines()
        .map(|line| {
            line.trim()
                .trim_start_matches("- ")
                .trim_start_matches("run: ")
        })
        .filter(|command| command.starts_with("leakcheck "))
        .map(str::to_owned)
        .collect()
}

/// A directory in which leakcheck is called `leakcheck`, and a `PATH` with it.
fn installed() -> (TempDir, String) {
    let tools = TempDir::new().unwrap();
    symlink(workshop().program(), tools.path().join("leakcheck")).unwrap();
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", tools.path().display());
    (tools, path)
}

/// Runs a line of a recipe, as a runner does.
fn shell(project: &Project, path: &str, command: &str) -> Call {
    workshop()
        .call_program("sh", project.dir(), &["-ec", command])
        .env("CARGO_TARGET_DIR", project.path("target"))
        .env("PATH", path)
        .env("CI", "true")
}

/// Fingerprints of a report in SARIF, sorted.
fn results(sarif: &str) -> Vec<String> {
    let sarif: Value = serde_json::from_str(sarif).unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    let print = |result: &Value| result["partialFingerprints"]["leakcheck/v1"].clone();
    let mut prints: Vec<String> = results
        .iter()
        .map(|result| print(result).as_str().unwrap().to_owned())
        .collect();
    prints.sort();
    prints
}

/// The recipe for GitHub Actions, in its environment.
#[test]
fn the_recipe_for_github_runs() {
    let project = project();
    let (tools, path) = installed();
    let summary = tools.path().join("summary.md");
    let run = |command: &str| {
        shell(&project, &path, command)
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_STEP_SUMMARY", &summary)
            .run()
    };
    let [test, merge] = &commands("github.yml")[..] else {
        panic!("the recipe calls leakcheck twice");
    };
    let mut codes = Vec::new();
    let mut annotations = Vec::new();
    for part in 1..=4 {
        let ended = run(&test.replace("${{ matrix.part }}", &part.to_string()));
        codes.push(ended.code.unwrap());
        annotations.extend(
            ended
                .stderr
                .lines()
                .filter(|line| line.starts_with("::"))
                .map(str::to_owned),
        );
    }
    assert!(codes.contains(&66), "{codes:?}");
    assert!(
        codes.iter().all(|code| [0, 4, 66].contains(code)),
        "{codes:?}"
    );
    assert!(
        annotations[0].starts_with("::error title=leakcheck::"),
        "{annotations:#?}"
    );
    let of = |code: &str| {
        annotations
            .iter()
            .filter(|line| line.contains(&format!("title={code}::")))
            .count()
    };
    assert_eq!(
        [of("LC0001"), of("LC0002"), of("LC0003")],
        [1, 1, 1],
        "{annotations:#?}"
    );
    assert!(
        annotations
            .iter()
            .any(|line| line.starts_with("::error file=src/lib.rs,line="))
    );
    let step = fs::read_to_string(&summary).unwrap();
    assert_eq!(step.matches("## leakcheck: ").count(), 4, "{step}");

    let ended = run(merge);
    ended.assert_code(66);
    assert!(!ended.stderr.contains("::error"), "{}", ended.stderr);
    assert!(ended.stderr.contains("4 tests run"), "{}", ended.stderr);
    for file in ["leakcheck.sarif", "leakcheck.xml", "leakcheck.html"] {
        assert!(project.read(file).contains("LC0003"), "{file}");
    }
    let whole = project.test(&[]).run();
    let findings = whole.findings();
    let mut prints: Vec<String> = findings
        .into_iter()
        .map(|found| found.fingerprint)
        .collect();
    prints.sort();
    assert_eq!(
        results(&project.read("leakcheck.sarif")),
        prints,
        "the parts are the whole"
    );
}

/// The jobs for GitLab, with its variables and its artifacts.
#[test]
fn the_recipe_for_gitlab_runs() {
    let project = project();
    // It matches nothing, which only all parts together can tell.
    project.write(
        ".config/leakcheck.toml",
        "[[ignore]]\nfunction = \"no::such::*\"\nreason = \"gone since\"\n",
    );
    let (_tools, path) = installed();
    let [test, merge] = &commands("gitlab.yml")[..] else {
        panic!("the recipe calls leakcheck twice");
    };
    let job = |command: &str| {
        shell(&project, &path, command)
            .env("GITLAB_CI", "true")
            .env("CI_NODE_TOTAL", "4")
    };
    let mut codes = Vec::new();
    for part in ["1", "2", "3", "4"] {
        let ended = job(test).env("CI_NODE_INDEX", part).run();
        codes.push(ended.code.unwrap());
        assert!(!ended.stderr.contains("Stale"), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("1 suppression matched nothing here"),
            "{}",
            ended.stderr
        );
        assert!(!ended.stderr.contains("::error"), "{}", ended.stderr);
    }
    assert!(
        codes.contains(&66) && codes.iter().all(|code| [0, 4, 66].contains(code)),
        "{codes:?}"
    );
    let ended = job(merge).run();
    ended.assert_code(66);
    assert!(ended.stderr.contains("4 tests run"), "{}", ended.stderr);
    let stale = "[[ignore]] function = \"no::such::*\" in .config/leakcheck.toml matches nothing";
    assert!(ended.stderr.contains(stale), "{}", ended.stderr);

    // What the recipe hands to GitLab is there.
    let text = fs::read_to_string(recipe("gitlab.yml")).unwrap();
    for file in ["leakcheck.html", "leakcheck.xml"] {
        assert!(text.contains(file));
        assert!(project.read(file).contains("LC0003"), "{file}");
    }
}

/// The hook, called by git itself.
#[test]
fn the_pre_push_hook_runs() {
    let project = project();
    let (tools, path) = installed();
    let remote = tools.path().join("remote.git");
    let git = |args: &[&str]| {
        workshop()
            .call_program("git", project.dir(), args)
            .env("CARGO_TARGET_DIR", project.path("target"))
            .env("PATH", &path)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("HOME", tools.path())
            .env("CARGO_HOME", cargo_home())
            .env("RUSTUP_HOME", rustup_home())
            .without("CI")
            .run()
    };
    let git_ok = |args: &[&str]| {
        git(args).assert_code(0);
    };
    git_ok(&["init", "--quiet", "--initial-branch=main"]);
    git_ok(&["init", "--quiet", "--bare", remote.to_str().unwrap()]);
    git_ok(&["remote", "add", "origin", remote.to_str().unwrap()]);
    project.write(".gitignore", "target\n");
    let commit = |message: &str| {
        git_ok(&["add", "--all"]);
        git_ok(&[
            "-c",
            "user.name=somebody",
            "-c",
            "user.email=somebody@example.org",
            "commit",
            "--quiet",
            "--message",
            message,
        ]);
    };
    commit("All of it");
    let hook = project.path(".git/hooks/pre-push");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::copy(recipe("pre-push"), &hook).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();

    let refused = git(&["push", "--quiet", "origin", "main"]);
    assert_ne!(refused.code, Some(0), "{}", refused.stderr);
    assert!(refused.stderr.contains("Findings 3"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("PASS"), "{}", refused.stderr);
    project.call(&["baseline", "write"]).run().assert_code(0);
    commit("What is known");
    git_ok(&["push", "--quiet", "origin", "main"]);
    git_ok(&["ls-remote", "--exit-code", remote.to_str().unwrap(), "main"]);
}

/// Where cargo is, whatever `HOME` is.
fn cargo_home() -> String {
    home("CARGO_HOME", ".cargo")
}

fn rustup_home() -> String {
    home("RUSTUP_HOME", ".rustup")
}

fn home(variable: &str, below: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| format!("{}/{below}", std::env::var("HOME").unwrap()))
}
