//! The page of a report in a real browser: what it shows, what keys do, that
//! hostile names stay text, and that ten thousand tasks are no more work than
//! ten.
//!
//! Debian's package `chromium` is needed. Without it these tests say that
//! they did nothing, unless `LEAKCHECK_NEED_CHROMIUM` is set, as CI does.
//! Screenshots are left in the target directory.

use std::path::{Path, PathBuf};
use std::process::Command;

use leakcheck_cli::args::OutputFormat;
use leakcheck_cli::document::merge::sort;
use leakcheck_cli::document::{Document, LaneLine, TestLine};
use leakcheck_cli::render::outputs;
use serde_json::Value;

use crate::outputs::{HOSTILE, document};
use crate::world::test;

/// A browser, a page, and where both keep things.
struct Browser {
    program: PathBuf,
    dir: tempfile::TempDir,
}

impl Browser {
    /// None if there is no browser here.
    fn find() -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let program = std::env::split_paths(&path)
            .flat_map(|dir| ["chromium", "chromium-browser", "google-chrome"].map(|n| dir.join(n)))
            .find(|program| program.is_file());
        let Some(program) = program else {
            assert!(
                std::env::var_os("LEAKCHECK_NEED_CHROMIUM").is_none(),
                "there is no chromium in PATH: apt-get install chromium"
            );
            eprintln!("SKIPPED: there is no chromium in PATH; apt-get install chromium");
            return None;
        };
        let dir = tempfile::tempdir().expect("a directory for the browser");
        Some(Self { program, dir })
    }

    fn command(&self) -> Command {
        let profile = tempfile::tempdir_in(self.dir.path()).expect("a directory for the profile");
        let mut flag = std::ffi::OsString::from("--user-data-dir=");
        flag.push(profile.keep());
        let mut command = Command::new(&self.program);
        command.arg(flag).args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            // Time is the page's own: timers run at once, and the browser
            // waits for what they start.
            "--virtual-time-budget=20000",
            // The harness looks into the page, which is another file.
            "--allow-file-access-from-files",
            "--disable-web-security",
        ]);
        command
    }

    fn page(&self, document: &Document) -> PathBuf {
        let path = self.dir.path().join("report.html");
        let text = outputs::text(OutputFormat::Html, document).expect("it is rendered");
        std::fs::write(&path, text).expect("it is written");
        path
    }

    /// What `steps`, the body of an async function of `page` (the window) and
    /// `one` (its `querySelector`), returns.
    fn run(&self, document: &Document, steps: &str) -> Value {
        self.page(document);
        let harness = self.dir.path().join("harness.html");
        std::fs::write(&harness, HARNESS.replace("STEPS", steps)).expect("it is written");
        let output = self
            .command()
            .args(["--window-size=1400,1000", "--dump-dom"])
            .arg(format!("file://{}", harness.display()))
            .output()
            .expect("the browser starts");
        let dom = String::from_utf8_lossy(&output.stdout);
        let result = dom
            .split_once("<pre id=\"result\">")
            .and_then(|(_, rest)| rest.split_once("</pre>"))
            .map(|(result, _)| result.replace("&lt;", "<").replace("&gt;", ">"))
            .map(|result| result.replace("&amp;", "&"))
            .unwrap_or_else(|| {
                panic!(
                    "no result: {dom}\n{}",
                    String::from_utf8_lossy(&output.stderr)
                )
            });
        serde_json::from_str(&result).unwrap_or_else(|error| panic!("{error}: {result}"))
    }

    /// A picture of the page.
    fn screenshot(&self, document: &Document, anchor: &str, name: &str) -> PathBuf {
        let page = self.page(document);
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
        std::fs::create_dir_all(&dir).expect("a directory for the pictures");
        let path = dir.join(name);
        let _ = std::fs::remove_file(&path);
        let mut flag = std::ffi::OsString::from("--screenshot=");
        flag.push(&path);
        let output = self
            .command()
            .args(["--window-size=1400,1500"])
            .arg(flag)
            .arg(format!("file://{}#{anchor}", page.display()))
            .output()
            .expect("the browser starts");
        assert!(
            path.exists(),
            "no picture: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        path
    }
}

const HARNESS: &str = r##"<!doctype html><meta charset="utf-8">
<pre id="result"></pre>
<iframe id="page" src="report.html#theme=light" width="1400" height="900"></iframe>
<script>
const frame = document.getElementById("page");
const errors = [];
const run = async () => {
  const page = frame.contentWindow;
  const one = (selector) => page.document.querySelector(selector);
  const all = (selector) => [...page.document.querySelectorAll(selector)];
  const text = (selector) => (one(selector) ? one(selector).textContent : null);
  const key = (name) => (page.document.activeElement || page.document.body).dispatchEvent(new page.KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true }));
  const type = (selector, value) => { one(selector).value = value; one(selector).dispatchEvent(new page.Event("input", { bubbles: true })); };
  const rest = () => new Promise((done) => setTimeout(done, 20));
  // Colours of the timeline's pixels.
  const pixels = () => {
    const canvas = one(".timeline canvas");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const colors = new Set();
    for (let at = 0; at < data.length; at += 4) if (data[at + 3]) colors.add(`${data[at]},${data[at + 1]},${data[at + 2]}`);
    return colors;
  };
  STEPS
};
frame.addEventListener("load", async () => {
  frame.contentWindow.addEventListener("error", (event) => errors.push(event.message));
  let result;
  try { result = await run(); } catch (error) { result = { failed: String(error), stack: error.stack }; }
  document.getElementById("result").textContent = JSON.stringify({ ...result, errors });
});
</script>"##;

/// A run with a test of so many tasks, in which something was found.
fn with_lanes(count: u64) -> Document {
    let mut document = document();
    let lanes = (0..count).map(|number| LaneLine {
        id: format!("p0t{number}"),
        kind: if number > 3 { "task" } else { "thread" }.to_owned(),
        name: match number {
            0 => "main".to_owned(),
            7 => HOSTILE.to_owned(),
            other => format!("worker {other}"),
        },
        // Each spawns ten.
        parent: (number > 0).then(|| format!("p0t{}", (number - 1) / 10)),
        spawned: Some(format!("src/{HOSTILE}.rs:12:5")),
        started_us: 1_000_000 + number * 10,
        ended_us: (number % 7 != 0).then_some(1_000_000 + number * 10 + 5000),
    });
    let mut drains = TestLine::new(test("drains"), "race", 0.5);
    drains.lanes = lanes.collect();
    drains.findings = vec![document.findings[0].fingerprint.clone()];
    document.tests[0] = drains;
    for finding in &mut document.findings {
        finding.at_us = Some(1_000_000 + count * 10);
        for (number, leg) in finding.legs.iter_mut().enumerate() {
            leg.lane = format!("p0t{}", number as u64 * (count / 2) + 1);
        }
    }
    document
}

#[test]
fn it_shows_the_findings() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let seen = browser.run(
        &with_lanes(20),
        r##"
        return {
          ready: page.document.documentElement.dataset.ready,
          items: all(".item").length,
          title: text(".head h1"),
          verdict: text("#verdict"),
          hot: all(".snippet tr.hot").length,
          labels: all(".snippet tr.say").map((row) => row.textContent.trim()),
          legs: all(".legs .card").length,
          lanes: text(".timeline + .legend") !== null,
          colors: pixels().size,
          tree: all(".tree .row").length,
          requests: page.performance.getEntriesByType("resource").length,
        };
        "##,
    );
    assert_eq!(seen["errors"], Value::Array(Vec::new()), "{seen:#}");
    assert_eq!(seen["ready"], "true", "{seen:#}");
    assert_eq!(seen["items"], 3);
    assert_eq!(seen["title"], "data race on static bank::TOTAL");
    assert!(
        seen["verdict"]
            .as_str()
            .is_some_and(|text| text.contains("2 errors")),
        "{seen:#}"
    );
    assert!(
        seen["hot"].as_u64() >= Some(2),
        "both accesses are marked: {seen:#}"
    );
    assert!(
        seen["labels"]
            .to_string()
            .contains("(1) write by thread teller"),
        "{seen:#}"
    );
    assert_eq!(seen["legs"], 2);
    assert!(
        seen["colors"].as_u64() > Some(10),
        "the timeline is drawn: {seen:#}"
    );
    assert!(seen["tree"].as_u64() >= Some(20), "{seen:#}");
    assert_eq!(seen["requests"], 0, "nothing is loaded");
}

#[test]
fn keys_and_filters_work() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let seen = browser.run(
        &with_lanes(20),
        r##"
        const title = () => text(".head h1").slice(0, 12);
        const seen = { first: title() };
        key("j"); seen.j = title();
        key("k"); seen.k = title();
        key("/"); seen.focused = page.document.activeElement.id;
        type("#search", "poll.rs"); seen.found = all(".item").length; seen.of = title();
        type("#search", "no such thing"); seen.none = text(".detail");
        type("#search", "");
        key("Escape"); seen.left = page.document.activeElement.id;
        one("#chips .chip").click(); seen.chip = all(".item").length;
        one("#chips .chip").click(); seen.unchip = all(".item").length;
        key("2"); seen.tests = all(".test").length; seen.hidden = one("#view-findings").hidden;
        type("#test-search", "fails"); seen.one_test = all(".test").length;
        key("Escape");
        key("3"); seen.run = text("#run").includes("exit code");
        key("1");
        key("f"); seen.full = all(".frames .other").length;
        seen.before = page.document.documentElement.dataset.theme;
        const light = [...pixels()].sort().join();
        key("t"); seen.after = page.document.documentElement.dataset.theme;
        seen.repainted = [...pixels()].sort().join() !== light;
        key("?"); seen.keys = one("#keys").open;
        return seen;
        "##,
    );
    let expected = serde_json::json!({
        "first": "data race on", "j": "thread </scr", "k": "data race on",
        "focused": "search", "found": 1, "of": "thread </scr",
        "none": "∅No finding matches the filters.", "left": "",
        "chip": 2, "unchip": 3, "tests": 5, "hidden": true, "one_test": 1, "run": true,
        "before": "light", "after": "dark", "repainted": true, "keys": true,
    });
    for (name, value) in expected.as_object().expect("an object") {
        assert_eq!(&seen[name], value, "{name}: {seen:#}");
    }
    assert!(seen["full"].as_u64() > Some(0), "{seen:#}");
    assert_eq!(seen["errors"], Value::Array(Vec::new()), "{seen:#}");
}

#[test]
fn ten_thousand_tasks_are_drawn_by_the_row() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let mut document = with_lanes(10_000);
    let one = document.findings[1].clone();
    document.findings.extend((0..2000).map(|number| {
        let mut finding = one.clone();
        finding.fingerprint = format!("lc1:{number:016x}");
        finding
    }));
    sort(&mut document.findings);
    let seen = browser.run(
        &document,
        r##"
        const timeline = one(".timeline");
        const seen = { items: all(".item").length, few: timeline.scrollHeight };
        key("a");
        await rest();
        seen.many = timeline.scrollHeight;
        seen.canvas = one(".timeline canvas").height;
        const top = [...pixels()].length;
        timeline.scrollTop = 130000;
        timeline.dispatchEvent(new page.Event("scroll"));
        await rest();
        seen.scrolled = timeline.scrollTop;
        seen.drawn = [...pixels()].length > 3 && top > 3;
        seen.rows = all(".tree .row").length;
        seen.elements = all("*").length;
        return seen;
        "##,
    );
    assert_eq!(seen["errors"], Value::Array(Vec::new()), "{seen:#}");
    assert!(
        seen["items"].as_u64() < Some(60),
        "only what is in view: {seen:#}"
    );
    assert!(
        seen["few"].as_u64() < Some(600),
        "first the lanes of the finding: {seen:#}"
    );
    assert!(seen["many"].as_u64() > Some(250_000), "then all: {seen:#}");
    assert!(seen["canvas"].as_u64() < Some(2000), "{seen:#}");
    assert_eq!(seen["scrolled"], 130_000);
    assert_eq!(seen["drawn"], true);
    assert!(seen["rows"].as_u64() < Some(80), "{seen:#}");
    assert!(seen["elements"].as_u64() < Some(2500), "{seen:#}");
}

#[test]
fn hostile_names_stay_text() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let mut document = with_lanes(20);
    for finding in &mut document.findings {
        finding.title = format!("{HOSTILE}<img src=x onerror=hacked()>");
        finding.help = vec![format!("<b onclick=hacked()>{HOSTILE}")];
        for snippet in &mut finding.snippets {
            snippet.file = format!("<i>{HOSTILE}");
            for line in &mut snippet.lines {
                line.push_str("</td></table><script>hacked()</script> \"'/* // '");
            }
        }
        for leg in &mut finding.legs {
            leg.thread = HOSTILE.to_owned();
            leg.primary.file = Some(format!("javascript:{HOSTILE}"));
        }
    }
    let text = outputs::text(OutputFormat::Html, &document).expect("it is rendered");
    assert_eq!(text.matches("<script").count(), 2, "the data and our own");
    assert_eq!(text.matches("</script>").count(), 2);
    let seen = browser.run(
        &document,
        r##"
        let hacked = false;
        page.hacked = page.alert = () => { hacked = true; };
        key("j"); key("2"); key("3"); key("1");
        await rest();
        return {
          hacked,
          scripts: all("script").length,
          images: all("img, iframe, object, embed").length,
          handlers: all("*").filter((element) => [...element.attributes].some((attribute) => attribute.name.startsWith("on") || attribute.name === "srcdoc")).length,
          links: all("a[href]").length,
          title: text(".head h1"),
        };
        "##,
    );
    assert_eq!(seen["errors"], Value::Array(Vec::new()), "{seen:#}");
    assert_eq!(seen["hacked"], false);
    assert_eq!(seen["scripts"], 2);
    assert_eq!(seen["images"], 0);
    assert_eq!(seen["handlers"], 0);
    assert_eq!(seen["links"], 1, "the one to skip to the finding");
    let title = seen["title"].as_str().expect("a title");
    assert!(title.contains("<img src=x onerror=hacked()>"), "{title}");
}

/// The pictures are for people; here they only have to be different.
#[test]
fn light_and_dark() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let document = with_lanes(40);
    let pictures = ["light", "dark"].map(|theme| {
        let name = format!("{theme}.png");
        let path = browser.screenshot(&document, &format!("theme={theme}"), &name);
        std::fs::read(path).expect("the picture is read")
    });
    for picture in &pictures {
        assert!(picture.starts_with(b"\x89PNG") && picture.len() > 20_000);
    }
    assert_ne!(pictures[0], pictures[1]);
}
