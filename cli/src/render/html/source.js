// Source lines: a small tokenizer for Rust, and the marks of a finding.
const KEYWORDS = new Set("as async await break const continue crate dyn else enum extern false fn for if impl in let loop match mod move mut pub ref return self Self static struct super trait true type unsafe use where while yield".split(" "));
const TOKEN = /(\/\/.*|\/\*.*?(?:\*\/|$))|(b?r?#*"(?:\\.|[^"\\])*(?:"#*|$)|b?'(?:\\.[^']*|[^'\\])')|('[A-Za-z_]\w*)|(\b\d[\w.]*)|([A-Za-z_]\w*!)(?!=)|([A-Za-z_]\w*)/gu;
const CLASSES = ["c", "s", "t", "n", "m"];

const tokens = (line) => {
  const found = [];
  for (const match of line.matchAll(TOKEN)) {
    let kind = CLASSES[match.slice(1, 6).findIndex((part) => part !== undefined)];
    if (!kind && match[6]) kind = KEYWORDS.has(match[6]) ? "k" : /^[A-Z]/.test(match[6]) ? "t" : undefined;
    if (kind) found.push({ start: match.index, end: match.index + match[0].length, kind });
  }
  return found;
};

// The line cut wherever a token or a mark begins or ends.
const paint = (line, marks) => {
  const parts = tokens(line);
  const cuts = new Set([0, line.length]);
  for (const part of [...parts, ...marks]) {
    cuts.add(Math.min(part.start, line.length));
    cuts.add(Math.min(part.end, line.length));
  }
  const edges = [...cuts].sort((a, b) => a - b);
  const nodes = [];
  for (let at = 0; at + 1 < edges.length; at++) {
    const [start, end] = [edges[at], edges[at + 1]];
    const text = line.slice(start, end);
    const token = parts.find((part) => part.start <= start && end <= part.end);
    const mark = marks.find((part) => part.start <= start && end <= part.end);
    let node = token ? make("span", { class: token.kind }, text) : document.createTextNode(text);
    if (mark) node = make("mark", { class: mark.tone }, node);
    nodes.push(node);
  }
  return nodes;
};

// The leg that a label is about: it begins with its number.
const toneOf = (label, legs) => {
  const number = /^\((\d+)\)/.exec(label);
  if (number) return `l${Math.min(Number(number[1]), 3)}`;
  return legs === 1 ? "l2" : "l0";
};

const snippetView = (snippet, legs) => {
  const rows = [];
  snippet.lines.forEach((line, index) => {
    const number = snippet.first + index;
    const marks = snippet.marks.filter((mark) => mark.line === number).map((mark) => ({ ...mark, tone: toneOf(mark.label, legs) }));
    const hot = marks.find((mark) => mark.primary) || marks[0];
    rows.push(make("tr", { class: hot ? `hot ${hot.tone}` : undefined }, make("td", { class: "no" }, String(number)), make("td", {}, paint(line, marks))));
    for (const mark of marks) {
      rows.push(make("tr", { class: `say ${mark.tone}` }, make("td", { class: "no" }), make("td", {}, make("span", { class: "arrow" }, `${" ".repeat(mark.start)}╰─ `), prose(mark.label))));
    }
  });
  return make("div", { class: "snippet" }, make("div", { class: "file" }, snippet.file), make("div", { class: "scroll" }, make("table", {}, make("tbody", {}, rows))));
};
