// Everything about one finding.
const detail = { timeline: undefined, tree: undefined, full: false };

const card = (title, hint, ...children) => make("section", { class: "card" }, make("header", {}, make("h2", {}, title), hint ? make("span", { class: "hint" }, hint) : undefined), children);

const testName = (test) => [test.package === test.binary ? test.package : `${test.package}::${test.binary}`, test.name].filter(Boolean).join(" ");

const frames = (stack, full) => {
  const shown = [];
  let hidden = 0;
  const users = stack.some((frame) => frame.class === "user");
  const fold = () => {
    if (hidden) shown.push(make("li", { class: "fold" }, `… ${plural(hidden, "library frame")}`));
    hidden = 0;
  };
  for (const frame of stack) {
    if (!full && users && frame.class !== "user") {
      hidden += 1;
      continue;
    }
    fold();
    shown.push(make("li", { class: frame.class === "user" ? "" : "other" }, make("div", {}, frame.function || "unknown", frame.inlined ? " (inlined)" : ""), make("div", { class: "at" }, place(frame))));
  }
  fold();
  return shown;
};

const legView = (finding, leg, index) => {
  const number = finding.kind === "data-race" ? finding.legs.length - index : index + 1;
  const tone = toneName(finding, index).replace("leg", "l");
  const rows = leg.stack.length ? frames(leg.stack, detail.full) : [make("li", { class: "fold" }, leg.task ? "It left its waker nowhere, so it is not known where it waits." : "The history no longer had this stack.")];
  for (const lock of leg.locks) rows.push(make("li", { class: "sep" }, `holds ${lock.lock}${lock.shared ? " for reading" : ""}, acquired at ${place(lock.acquired)}`));
  for (const step of leg.spawned) {
    rows.push(make("li", { class: "sep" }, `spawned by ${step.by}`));
    rows.push(...frames(step.stack, detail.full));
  }
  return make("section", { class: `card ${tone}` }, make("header", {}, make("h2", {}, prose(leg.label || `(${number}) ${leg.thread}`))), make("ol", { class: "frames" }, rows));
};

const copied = (button, text) => {
  const done = () => {
    const before = button.textContent;
    button.textContent = "copied";
    setTimeout(() => (button.textContent = before), 900);
  };
  if (navigator.clipboard) navigator.clipboard.writeText(text).then(done, () => {});
};

const showFinding = (finding) => {
  const host = one("#detail");
  detail.timeline = detail.tree = undefined;
  if (!finding) {
    const clean = !report.findings.length;
    host.replaceChildren(make("div", { class: "empty" }, make("div", { class: "big" }, clean ? "✓" : "∅"), make("p", {}, clean ? "Nothing was found." : "No finding matches the filters.")));
    return;
  }
  const print = make("button", { class: "print", title: "Copy the fingerprint", on: { click: () => copied(print, finding.fingerprint) } }, finding.fingerprint);
  const tests = finding.tests.map(testName);
  const parts = [
    make("div", { class: "head" },
      make("div", { class: "meta" }, make("span", { class: `code ${finding.level}` }, finding.code), make("span", { class: `pill ${finding.level}` }, finding.level), make("span", { class: "pill plain" }, finding.certainty), finding.state && finding.state !== "new" ? make("span", { class: "pill" }, finding.state) : undefined, print),
      make("h1", {}, prose(finding.title)),
      make("div", { class: "meta" }, make("span", { class: "pill plain", title: tests.join("\n") }, tests.length === 1 ? tests[0] : plural(tests.length, "test")), finding.count > 1 ? make("span", { class: "pill plain" }, `seen ${finding.count} times`) : undefined)),
  ];
  if (finding.excuse) parts.push(make("div", { class: "excuse" }, make("b", {}, finding.state === "baseline" ? "In the baseline: " : "Suppressed: "), finding.excuse.reason, make("span", { class: "hint" }, ` (${finding.excuse.source})`)));
  if (finding.reason) parts.push(make("div", { class: "excuse" }, make("b", {}, "Less than an error: "), finding.reason));
  if (finding.help.length) parts.push(make("div", { class: "help" }, finding.help.map((text) => make("p", {}, make("b", {}, "help: "), prose(text)))));
  if (finding.snippets && finding.snippets.length) parts.push(card("Source", undefined, finding.snippets.map((snippet) => snippetView(snippet, finding.legs.length))));
  const test = finding.test && report.tests.find((other) => testName(other.test) === testName(finding.test) && other.lanes);
  const model = timelineOf(finding, test);
  if (model) {
    detail.timeline = timelineView(model);
    const view = card("Timeline", testName(finding.test), detail.timeline.element, legend(finding));
    view.querySelector("header").append(detail.timeline.toggle, make("button", { title: "Zoom in (+)", on: { click: () => detail.timeline.zoom(1.6) } }, "+"), make("button", { title: "Zoom out (-)", on: { click: () => detail.timeline.zoom(1 / 1.6) } }, "−"));
    parts.push(view);
  }
  const graph = waitGraph(finding);
  if (graph) parts.push(card("Wait-for graph", "dashed: waits for; solid: is held by", graphView(graph)));
  const sides = finding.legs.map((leg, index) => legView(finding, leg, index));
  // In the order of their numbers: the earlier access of a race is the last.
  if (finding.kind === "data-race") sides.reverse();
  parts.push(make("div", { class: "legs" }, sides));
  if (model) {
    detail.tree = treeView(model);
    parts.push(card("Spawn tree", plural(model.lanes.length, "lane"), detail.tree.element));
  }
  const text = make("button", { on: { click: () => copied(text, finding.rendered) } }, "copy");
  parts.push(make("details", { class: "card" }, make("summary", {}, "As text"), make("pre", { class: "text" }, finding.rendered)));
  host.replaceChildren(...parts.filter(Boolean));
  host.scrollTop = 0;
  if (detail.timeline) detail.timeline.layout();
  if (detail.tree) detail.tree.draw();
};

const legend = (finding) => {
  const entries = [make("span", {}, make("i", { class: "life" }), "alive")];
  if (finding.kind === "data-race") entries.push(make("span", {}, make("i", { class: "before" }), finding.legs.some((leg) => leg.from_us) ? "(1) the earlier access, or between which moments it was" : "(1) the earlier access was in here"), make("span", {}, make("i", { class: "dot" }), "(2) the access that raced"));
  else entries.push(make("span", {}, make("i", { class: "wait" }), "waits"));
  return make("div", { class: "legend" }, entries);
};
