// The spawn tree of a test: who spawned whom, with branches that fold.
const treeView = (model) => {
  const children = new Map();
  for (const lane of model.lanes) {
    const parent = model.byId.has(lane.parent) ? lane.parent : "";
    if (!children.has(parent)) children.set(parent, []);
    children.get(parent).push(lane);
  }
  const small = model.lanes.length <= 60;
  const open = new Set(small ? model.lanes.map((lane) => lane.id) : model.involved);
  const host = make("div", { class: "list tree", tabindex: "0", role: "tree", "aria-label": "Spawn tree" });
  let rows = [];
  const flatten = () => {
    rows = [];
    // By hand: a chain of ten thousand spawns is as deep.
    const stack = (children.get("") || []).map((lane) => [lane, 0]).reverse();
    while (stack.length) {
      const [lane, depth] = stack.pop();
      rows.push([lane, depth]);
      if (open.has(lane.id)) for (const child of [...(children.get(lane.id) || [])].reverse()) stack.push([child, depth + 1]);
    }
  };
  let list;
  const rebuild = () => {
    flatten();
    const top = host.scrollTop;
    list = virtual(host, 24, rows.length, (at) => {
      const [lane, depth] = rows[at];
      const below = (children.get(lane.id) || []).length;
      const tone = model.hot.get(lane.id);
      const flip = () => {
        if (!open.delete(lane.id)) open.add(lane.id);
        rebuild();
      };
      return make("button", { class: `row${tone ? ` hot ${tone.replace("leg", "l")}` : ""}`, role: "treeitem", "aria-level": depth + 1, "aria-expanded": below ? String(open.has(lane.id)) : undefined, css: { "padding-left": `${14 + Math.min(depth, 40) * 18}px` }, on: { click: flip } },
        make("span", { class: "twig" }, below ? (open.has(lane.id) ? "▾" : "▸") : "·"),
        make("span", { class: "name" }, lane.name),
        below ? make("span", { class: "dead" }, `spawned ${below}`) : undefined,
        make("span", { class: "dead" }, lane.ended_us ? duration(lane.ended_us - lane.started_us) : "alive at the end"),
        make("span", { class: "at" }, lane.spawned || ""));
    });
    host.style.height = `${Math.min(288, rows.length * 24 + 12)}px`;
    host.scrollTop = top;
    list.draw();
  };
  rebuild();
  return { element: host, draw: () => list.draw() };
};
