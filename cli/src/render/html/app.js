// The report: what is selected, filtered and shown.
const report = JSON.parse(one("#data").textContent);
const chosen = { view: "findings", at: 0, text: "", codes: new Set(), states: new Set(), outcomes: new Set(), testText: "" };
let shown = [];
let list;

const haystack = (finding) => [finding.code, finding.title, finding.fingerprint, finding.kind, ...finding.tests.map(testName), ...finding.legs.flatMap((leg) => [leg.thread, leg.file, leg.function])].filter(Boolean).join("\n").toLowerCase();
const hay = report.findings.map(haystack);

const chip = (text, number, set, value, changed) => {
  const button = make("button", { class: "chip", "aria-pressed": String(set.has(value)), on: { click: () => {
    if (!set.delete(value)) set.add(value);
    button.setAttribute("aria-pressed", String(set.has(value)));
    changed();
  } } }, text, make("span", { class: "n" }, String(number)));
  return button;
};
const counted = (values) => {
  const counts = new Map();
  for (const value of values) counts.set(value, (counts.get(value) || 0) + 1);
  return [...counts].sort((a, b) => (a[0] < b[0] ? -1 : 1));
};

const filter = () => {
  const words = chosen.text.toLowerCase().split(/\s+/).filter(Boolean);
  shown = report.findings.filter((finding, at) => words.every((word) => hay[at].includes(word)) && (!chosen.codes.size || chosen.codes.has(finding.code)) && (!chosen.states.size || chosen.states.has(finding.state || "new")));
  chosen.at = 0;
  list = virtual(one("#list"), 84, shown.length, findingRow);
  one("#list").scrollTop = 0;
  showFinding(shown[0]);
};

const findingRow = (at) => {
  const finding = shown[at];
  const leg = finding.legs.find((other) => other.file) || {};
  const excused = finding.state && finding.state !== "new";
  return make("button", { class: `item ${finding.level}${excused ? " excused" : ""}`, role: "option", tabindex: "-1", "aria-selected": String(at === chosen.at), on: { click: () => select(at) } },
    make("div", { class: "what" }, make("span", { class: `code ${finding.level}` }, finding.code), prose(finding.title)),
    make("div", { class: "where" }, `${place(leg) || "no place"}${excused ? ` · ${finding.state}` : ""}`));
};

const select = (at) => {
  if (!shown.length) return;
  chosen.at = Math.max(0, Math.min(at, shown.length - 1));
  list.show(chosen.at);
  showFinding(shown[chosen.at]);
};

const OUTCOMES = { pass: "good", ignored: "", stopped: "warning" };
const showTests = () => {
  const words = chosen.testText.toLowerCase().split(/\s+/).filter(Boolean);
  const tests = report.tests.filter((test) => {
    const name = testName(test.test).toLowerCase();
    return words.every((word) => name.includes(word)) && (!chosen.outcomes.size || chosen.outcomes.has(test.outcome));
  });
  virtual(one("#tests"), 34, tests.length, (at) => {
    const test = tests[at];
    const kind = OUTCOMES[test.outcome] ?? "error";
    const go = () => {
      const found = report.findings.findIndex((finding) => finding.tests.some((other) => testName(other) === testName(test.test)));
      if (found < 0) return;
      one("#search").value = chosen.text = "";
      chosen.codes.clear();
      chosen.states.clear();
      chips();
      filter();
      show("findings");
      select(found);
    };
    return make("button", { class: "test", tabindex: "-1", title: test.reason || "", on: { click: go } },
      make("span", { class: `pill ${kind}` }, test.outcome.toUpperCase()),
      make("span", { class: "time" }, `${test.seconds.toFixed(3)} s`),
      make("span", { class: "id" }, make("span", {}, `${test.test.package === test.test.binary ? test.test.package : `${test.test.package}::${test.test.binary}`} `), test.test.name),
      make("span", { class: "time" }, test.findings.length ? plural(test.findings.length, "finding") : ""));
  });
};

const showRun = () => {
  const { summary } = report;
  const stat = (number, text) => make("div", { class: "card stat" }, make("b", {}, String(number)), make("span", {}, text));
  const facts = (title, texts) => texts.length ? make("section", { class: "card" }, make("header", {}, make("h2", {}, title)), make("ul", { class: "facts" }, texts.map((text) => make("li", {}, text)))) : undefined;
  const stale = (summary.stale || []).map((entry) => `${entry.entry} in ${entry.source}: ${entry.why}`);
  one("#run").replaceChildren(...[
    stat(summary.findings.errors, "errors that fail the run"),
    stat(summary.findings.warnings + summary.findings.notes, "warnings and notes"),
    stat((summary.findings.baseline || 0) + (summary.findings.suppressed || 0), "in the baseline or suppressed"),
    stat(summary.tests.run, `tests run: ${summary.tests.passed} passed, ${summary.tests.with_findings} with findings, ${summary.tests.failed} failed`),
    stat(`${summary.seconds.toFixed(2)} s`, "wall time"),
    stat(summary.exit_code, "exit code"),
    facts("Not seen", summary.gaps.map((gap) => gap.text)),
    facts("Stale", stale),
    summary.stopped ? facts("Stopped", ["The run was stopped before its end: tests are missing here."]) : undefined,
  ].filter(Boolean));
};

const verdict = () => {
  const { findings, tests } = report.summary;
  const pill = (kind, text) => make("span", { class: `pill ${kind}` }, text);
  one("#verdict").replaceChildren(...[
    findings.errors ? pill("error", plural(findings.errors, "error")) : pill("good", "no errors"),
    findings.warnings ? pill("warning", plural(findings.warnings, "warning")) : undefined,
    tests.failed ? pill("error", `${plural(tests.failed, "test")} failed`) : undefined,
    pill("plain", `${plural(tests.run, "test")} · ${report.summary.seconds.toFixed(1)} s`),
    report.summary.stopped ? pill("warning", "stopped early") : undefined,
  ].filter(Boolean));
};

const chips = () => {
  one("#chips").replaceChildren(
    ...counted(report.findings.map((finding) => finding.code)).map(([code, number]) => chip(code, number, chosen.codes, code, filter)),
    ...counted(report.findings.map((finding) => finding.state || "new")).map(([state, number]) => chip(state, number, chosen.states, state, filter)));
  one("#test-chips").replaceChildren(...counted(report.tests.map((test) => test.outcome)).map(([outcome, number]) => chip(outcome, number, chosen.outcomes, outcome, showTests)));
};

const show = (view) => {
  chosen.view = view;
  for (const name of ["findings", "tests", "run"]) {
    one(`#view-${name}`).hidden = name !== view;
    one(`#tab-${name}`).setAttribute("aria-selected", String(name === view));
  }
  if (view === "tests") showTests();
  if (view === "findings" && list) {
    list.draw();
    redraw();
  }
};

const redraw = () => {
  if (detail.timeline) detail.timeline.layout();
  if (detail.tree) detail.tree.draw();
};

// `auto` follows the system until somebody chooses.
const dark = matchMedia("(prefers-color-scheme: dark)");
const theme = (name) => {
  document.documentElement.dataset.theme = name;
  showFinding(shown[chosen.at]);
};
const remembered = () => { try { return localStorage.getItem("leakcheck-theme"); } catch { return null; } };
const remember = (name) => { try { localStorage.setItem("leakcheck-theme", name); } catch { /* a file may have no storage */ } };
dark.addEventListener("change", () => remembered() || theme(dark.matches ? "dark" : "light"));
const flipTheme = () => {
  const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  remember(next);
  theme(next);
};

const KEYS = {
  j: () => select(chosen.at + 1), ArrowDown: () => select(chosen.at + 1),
  k: () => select(chosen.at - 1), ArrowUp: () => select(chosen.at - 1),
  Home: () => select(0), End: () => select(shown.length - 1),
  "/": () => { show("findings"); one("#search").focus(); },
  1: () => show("findings"), 2: () => show("tests"), 3: () => show("run"),
  a: () => detail.timeline && detail.timeline.all(),
  "+": () => detail.timeline && detail.timeline.zoom(1.6), "=": () => detail.timeline && detail.timeline.zoom(1.6),
  "-": () => detail.timeline && detail.timeline.zoom(1 / 1.6), 0: () => detail.timeline && detail.timeline.zoom(0),
  f: () => { detail.full = !detail.full; showFinding(shown[chosen.at]); },
  t: flipTheme,
  "?": () => one("#keys").showModal(),
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || one("#keys").open) return;
  if (event.target.matches("input")) {
    if (event.key === "Escape" || event.key === "Enter") event.target.blur();
    return;
  }
  if (["ArrowDown", "ArrowUp", "Home", "End"].includes(event.key) && (chosen.view !== "findings" || event.target.closest(".detail"))) return;
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

const start = () => {
  document.documentElement.dataset.theme = remembered() || (dark.matches ? "dark" : "light");
  const asked = new URLSearchParams(location.hash.slice(1));
  if (asked.get("theme")) document.documentElement.dataset.theme = asked.get("theme");
  verdict();
  chips();
  filter();
  showRun();
  for (const tab of document.querySelectorAll("[data-view]")) tab.addEventListener("click", () => show(tab.dataset.view));
  one("#theme").addEventListener("click", flipTheme);
  one("#help").addEventListener("click", () => one("#keys").showModal());
  one("#search").addEventListener("input", (event) => { chosen.text = event.target.value; filter(); });
  one("#test-search").addEventListener("input", (event) => { chosen.testText = event.target.value; showTests(); });
  addEventListener("resize", () => { if (list) list.draw(); redraw(); if (chosen.view === "tests") showTests(); });
  show(asked.get("view") || "findings");
  if (asked.get("finding")) select(shown.findIndex((finding) => finding.fingerprint === asked.get("finding")));
  document.documentElement.dataset.ready = "true";
};
start();
