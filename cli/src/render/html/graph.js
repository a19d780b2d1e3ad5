// Who waits for what, and who holds it: threads on a circle, what they wait
// for between them.
const waitGraph = (finding) => {
  const legs = finding.legs.filter((leg) => leg.wait);
  if (!legs.length) return undefined;
  const threads = [];
  const edges = [];
  const node = (name) => {
    let found = threads.find((thread) => thread.name === name);
    if (!found) threads.push((found = { name, tone: "l0" }));
    return found;
  };
  legs.forEach((leg, index) => (node(leg.thread).tone = finding.legs.length === 1 ? "l2" : `l${Math.min(index + 1, 3)}`));
  for (const leg of legs) {
    const { wait } = leg;
    const what = wait.lock || WAITS[wait.on] || wait.on;
    edges.push({ from: node(leg.thread), to: wait.owner ? node(wait.owner) : undefined, what, at: place(leg), held: wait.owner ? place(wait.acquired) : "" });
  }
  return { threads, edges };
};
const WAITS = { "channel-recv": "a message", "channel-send": "room in a channel", "channel-select": "several channels", condvar: "a notification", join: "the end of a thread", park: "an unpark", io: "I/O", sleep: "time", running: "nothing: it runs", barrier: "a barrier", scope: "a scope's threads", future: "a future", futex: "a futex", accept: "a connection", "child-process": "a child process" };
const place = (at) => (at && at.file ? `${at.file}${at.line ? `:${at.line}` : ""}` : "");

const graphView = (graph) => {
  const lonely = graph.edges.filter((edge) => !edge.to).length;
  const count = graph.threads.length;
  const flat = count <= 2;
  const [width, height] = [900, flat ? 210 + (lonely > 1 ? 40 : 0) : 340];
  const svg = vector("svg", { class: "graph", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Wait-for graph" });
  svg.append(vector("defs", {}, ["waits", "holds"].map((kind) => {
    const tip = vector("path", { d: "M0 0L8 4L0 8z", fill: color(kind === "waits" ? "leg3" : "leg1") });
    return vector("marker", { id: `tip-${kind}`, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 8, markerHeight: 8, orient: "auto" }, tip);
  })));
  graph.threads.forEach((thread, index) => {
    const angle = flat ? (count === 1 ? Math.PI : Math.PI * (1 - index)) : -Math.PI / 2 + (index / count) * 2 * Math.PI;
    thread.x = width / 2 + Math.cos(angle) * (count === 1 ? 180 : 300);
    thread.y = flat ? height / 2 : height / 2 + Math.sin(angle) * (height / 2 - 45);
  });
  const short = (text, length) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);
  // Of a path its end tells more.
  const tail = (text, length) => (text.length > length ? `…${text.slice(1 - length)}` : text);
  const line = (a, b, kind) => {
    const [dx, dy] = [b.x - a.x, b.y - a.y];
    const size = Math.hypot(dx, dy) || 1;
    const trim = (node) => (node.half ? Math.min(node.half / Math.max(0.01, Math.abs(dx / size)), 24 / Math.max(0.01, Math.abs(dy / size))) : 0);
    const [from, to] = [trim(a), trim(b) + 3];
    svg.append(vector("path", { class: `edge ${kind}`, "marker-end": `url(#tip-${kind})`, d: `M${a.x + (dx / size) * from} ${a.y + (dy / size) * from}L${b.x - (dx / size) * to} ${b.y - (dy / size) * to}` }));
  };
  graph.threads.forEach((thread) => (thread.half = 104));
  graph.edges.forEach((edge, index) => {
    const to = edge.to || { x: width / 2 + 190, y: height / 2 + index * 40 };
    const own = edge.to === edge.from;
    const bend = own ? { x: 0, y: -70 } : flat && edge.to ? { x: 0, y: (index % 2 ? 1 : -1) * 62 } : { x: 0, y: 0 };
    const lock = edge.to ? { x: (edge.from.x + to.x) / 2 + bend.x, y: (edge.from.y + to.y) / 2 + bend.y, half: 96 } : { x: to.x, y: to.y, half: 96 };
    line(edge.from, lock, "waits");
    if (edge.to) line(lock, to, "holds");
    svg.append(vector("g", { class: "lock" }, vector("rect", { class: "node", x: lock.x - lock.half, y: lock.y - 19, width: lock.half * 2, height: 38, rx: 19 }), label(lock.x, edge.held ? lock.y - 3 : lock.y + 4, short(edge.what, 27)), edge.held ? label(lock.x, lock.y + 11, tail(edge.held, 27), "sub") : ""));
  });
  for (const thread of graph.threads) {
    const edge = graph.edges.find((other) => other.from === thread);
    svg.append(vector("g", { class: `thread ${thread.tone}` }, vector("rect", { class: "node", x: thread.x - 104, y: thread.y - 24, width: 208, height: 48, rx: 9 }), label(thread.x, edge ? thread.y - 3 : thread.y + 4, short(thread.name, 29)), edge ? label(thread.x, thread.y + 13, tail(edge.at, 29), "sub") : ""));
  }
  return svg;
};
const label = (x, y, text, kind) => vector("text", { x, y, "text-anchor": "middle", class: kind || "" }, text);
