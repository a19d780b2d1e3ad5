// The timeline of a test: one row for each thread or task, drawn on a canvas
// that covers only the rows in view, so that ten thousand cost what ten do.
const ROW = 26;
const AXIS = 26;
const NAMES = 190;

const timelineOf = (finding, test) => {
  const lanes = (test && test.lanes) || [];
  if (!lanes.length) return undefined;
  const legs = finding.legs.map((leg, index) => ({ leg, tone: toneName(finding, index) })).filter(({ leg }) => lanes.some((lane) => lane.id === leg.lane));
  const begin = lanes.reduce((least, lane) => Math.min(least, lane.started_us), Infinity);
  let end = finding.at_us || begin;
  for (const lane of lanes) end = Math.max(end, lane.ended_us || lane.started_us);
  if (finding.at_us) end = Math.max(end, finding.at_us);
  const hot = new Map(legs.map(({ leg, tone }) => [leg.lane, tone]));
  const byId = new Map(lanes.map((lane) => [lane.id, lane]));
  const involved = new Set();
  for (const id of hot.keys()) for (let at = byId.get(id); at && !involved.has(at.id); at = byId.get(at.parent)) involved.add(at.id);
  return { lanes, legs, hot, byId, involved, begin, end: end + Math.max(1, (end - begin) * 0.04), at: finding.at_us, finding };
};

// The earlier access of a race is 1, the later 2.
const toneName = (finding, index) => {
  const race = finding.kind === "data-race";
  const number = race ? finding.legs.length - index : index + 1;
  return finding.legs.length === 1 ? "leg2" : `leg${Math.min(Math.max(number, 1), 3)}`;
};

const duration = (us) => {
  if (us >= 1e6) return `${(us / 1e6).toFixed(us >= 1e7 ? 1 : 2)} s`;
  if (us >= 1000) return `${(us / 1000).toFixed(us >= 1e4 ? 0 : 1)} ms`;
  return `${Math.round(us)} µs`;
};

const timelineView = (model) => {
  const state = { all: model.lanes.length <= 12, zoom: 1 };
  const host = make("div", { class: "timeline", tabindex: "0", role: "img", "aria-label": `Timeline of ${plural(model.lanes.length, "lane")}` });
  const canvas = make("canvas");
  const stretch = make("div");
  host.append(canvas, stretch);
  const toggle = make("button", { on: { click: () => view.all() } });
  const zoomed = (factor) => {
    const middle = (host.scrollLeft + host.clientWidth / 2) / host.scrollWidth;
    state.zoom = factor ? Math.min(400, Math.max(1, state.zoom * factor)) : 1;
    layout();
    host.scrollLeft = middle * host.scrollWidth - host.clientWidth / 2;
  };
  let rows = [];

  const layout = () => {
    rows = state.all ? model.lanes : model.lanes.filter((lane) => model.involved.has(lane.id));
    host.style.height = `${Math.min(440, rows.length * ROW + AXIS + 10)}px`;
    const width = NAMES + Math.max(50, (host.clientWidth || 900) - NAMES) * state.zoom;
    stretch.style.width = `${width}px`;
    stretch.style.height = `${rows.length * ROW + AXIS + 8 - Math.min(440, rows.length * ROW + AXIS + 10)}px`;
    toggle.textContent = state.all ? "only those of the finding" : `all ${model.lanes.length} lanes`;
    toggle.hidden = model.involved.size === model.lanes.length;
    draw();
  };

  const x = (us) => NAMES + ((us - model.begin) / (model.end - model.begin)) * (host.scrollWidth - NAMES - 14) - host.scrollLeft;

  const draw = () => {
    const [width, height] = [host.clientWidth || 900, host.clientHeight || 200];
    const scale = window.devicePixelRatio || 1;
    canvas.width = width * scale;
    canvas.height = height * scale;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    pen.clearRect(0, 0, width, height);
    pen.textBaseline = "middle";
    const sans = getComputedStyle(document.body).fontFamily;
    const ink = color("ink");
    const soft = color("soft");
    const line = color("line");

    pen.save();
    pen.beginPath();
    pen.rect(NAMES, 0, width - NAMES, height);
    pen.clip();
    // The axis: round steps, some hundred pixels apart.
    const span = model.end - model.begin;
    const wanted = span / Math.max(1, (host.scrollWidth - NAMES) / 130);
    const base = 10 ** Math.floor(Math.log10(wanted));
    const step = [1, 2, 5, 10].map((times) => times * base).find((value) => value >= wanted) || base;
    pen.font = `11px ${sans}`;
    for (let at = 0; at <= span; at += step) {
      const left = x(model.begin + at);
      if (left < NAMES - 80 || left > width + 80) continue;
      pen.strokeStyle = line;
      pen.beginPath();
      pen.moveTo(left + 0.5, AXIS);
      pen.lineTo(left + 0.5, height);
      pen.stroke();
      pen.fillStyle = soft;
      pen.fillText(duration(at), left + 4, AXIS / 2);
    }
    pen.restore();

    const first = Math.max(0, Math.floor((host.scrollTop - AXIS) / ROW));
    const last = Math.min(rows.length, Math.ceil((host.scrollTop + height) / ROW) + 1);
    const middle = (index) => AXIS + index * ROW + ROW / 2 - host.scrollTop;
    const place = new Map();
    for (let index = first; index < last; index++) place.set(rows[index].id, index);

    const clipped = (act) => {
      pen.save();
      pen.beginPath();
      pen.rect(NAMES, AXIS, width - NAMES, height - AXIS);
      pen.clip();
      act();
      pen.restore();
    };
    clipped(() => {
      for (let index = first; index < last; index++) drawLife(pen, rows[index], middle(index), x, model, place, middle);
      drawMarks(pen, model, rows, middle, x, height);
    });

    // Names stay where they are while the time is scrolled.
    pen.fillStyle = color("code");
    pen.fillRect(0, 0, NAMES - 6, height);
    pen.strokeStyle = line;
    pen.beginPath();
    pen.moveTo(NAMES - 6.5, 0);
    pen.lineTo(NAMES - 6.5, height);
    pen.moveTo(0, AXIS + 0.5);
    pen.lineTo(width, AXIS + 0.5);
    pen.stroke();
    pen.save();
    pen.beginPath();
    pen.rect(0, AXIS, NAMES - 12, height - AXIS);
    pen.clip();
    for (let index = first; index < last; index++) {
      const lane = rows[index];
      const tone = model.hot.get(lane.id);
      pen.font = `${tone ? "650" : "450"} 12.5px ${sans}`;
      pen.fillStyle = tone ? color(tone) : ink;
      pen.fillText(fitted(pen, lane.kind === "task" ? `◇ ${lane.name}` : lane.name, NAMES - 30), 14, middle(index));
    }
    pen.restore();
    pen.font = `11px ${sans}`;
    pen.fillStyle = soft;
    pen.fillText(plural(rows.length, "lane"), 14, AXIS / 2);
  };

  const laneAt = (event) => {
    const box = host.getBoundingClientRect();
    const index = Math.floor((event.clientY - box.top + host.scrollTop - AXIS) / ROW);
    return event.clientY - box.top > AXIS ? rows[index] : undefined;
  };
  host.addEventListener("scroll", draw);
  host.addEventListener("mousemove", (event) => {
    const lane = laneAt(event);
    if (!lane) return tip(event);
    const leg = model.legs.find((other) => other.leg.lane === lane.id);
    const parent = model.byId.get(lane.parent);
    const lived = lane.ended_us ? `lived ${duration(lane.ended_us - lane.started_us)}` : "had not ended";
    const lines = [`${lane.kind} ${lane.name}: ${lived}`];
    if (parent) lines.push(`spawned by ${parent.name}${lane.spawned ? ` at ${lane.spawned}` : ""}`);
    if (leg) lines.push(leg.leg.label);
    if (leg && leg.leg.from_us && model.at) {
      const [from, until] = earlier(model, leg.leg, lane).map((us) => us - model.begin);
      lines.push(until - from < 1 ? `at ${duration(from)}` : `between ${duration(from)} and ${duration(until)}`);
    }
    return tip(event, lines.join("\n"));
  });
  host.addEventListener("mouseleave", (event) => tip(event));
  host.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoomed(event.deltaY < 0 ? 1.25 : 0.8);
  }, { passive: false });
  const view = {
    element: host,
    toggle,
    layout,
    draw,
    zoom: zoomed,
    rows: () => rows.length,
    all: () => {
      state.all = !state.all;
      host.scrollTop = 0;
      layout();
    },
  };
  return view;
};

// A name that is too long loses its middle: its end tells it from others.
const fitted = (pen, name, width) => {
  if (pen.measureText(name).width <= width) return name;
  const letters = [...name];
  let [least, most] = [0, letters.length];
  const cut = (kept) => `${letters.slice(0, Math.ceil(kept / 2)).join("")}…${letters.slice(letters.length - Math.floor(kept / 2)).join("")}`;
  while (least < most) {
    const half = Math.ceil((least + most) / 2);
    if (pen.measureText(cut(half)).width <= width) least = half;
    else most = half - 1;
  }
  return cut(least);
};

const drawLife = (pen, lane, y, x, model, place, middle) => {
  const tone = model.hot.get(lane.id);
  const [left, right] = [x(lane.started_us), x(lane.ended_us || model.end)];
  pen.fillStyle = tone ? color("lane-hot") : color("lane");
  pen.beginPath();
  pen.roundRect(left, y - 5, Math.max(3, right - left), 10, lane.ended_us ? 4 : [4, 0, 0, 4]);
  pen.fill();
  if (!lane.ended_us) {
    // It was still there at the end: the bar goes on.
    pen.beginPath();
    pen.moveTo(right, y - 5);
    pen.lineTo(right + 8, y);
    pen.lineTo(right, y + 5);
    pen.fill();
  }
  const parent = place.get(lane.parent);
  if (parent !== undefined) {
    pen.strokeStyle = color("faint");
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(left, middle(parent) + 5);
    pen.lineTo(left, y - 5);
    pen.stroke();
  }
};

const hatch = (pen, left, right, y, tint) => {
  pen.save();
  pen.beginPath();
  pen.roundRect(left, y - 5, Math.max(4, right - left), 10, 3);
  pen.fillStyle = color("code");
  pen.fill();
  pen.clip();
  pen.strokeStyle = tint;
  pen.lineWidth = 2;
  for (let at = left - 10; at < right + 10; at += 6) {
    pen.beginPath();
    pen.moveTo(at, y + 6);
    pen.lineTo(at + 10, y - 6);
    pen.stroke();
  }
  pen.restore();
  pen.strokeStyle = tint;
  pen.lineWidth = 1.5;
  pen.beginPath();
  pen.roundRect(left, y - 5, Math.max(4, right - left), 10, 3);
  pen.stroke();
};

// Between which moments the earlier access of a race was: those that its
// thread noted, else all of its life before the later access.
const earlier = (model, leg, lane) => {
  const last = Math.min(model.at, lane.ended_us || model.at, leg.until_us || model.at);
  return [Math.min(last, Math.max(lane.started_us, leg.from_us || 0)), last];
};

const drawMarks = (pen, model, rows, middle, x, height) => {
  if (!model.at) return;
  const index = new Map(rows.map((lane, at) => [lane.id, at]));
  const now = x(model.at);
  const points = [];
  model.legs.forEach(({ leg, tone }, number) => {
    const row = index.get(leg.lane);
    if (row === undefined) return;
    const lane = model.byId.get(leg.lane);
    const y = middle(row);
    const tint = color(tone);
    if (leg.wait) {
      hatch(pen, Math.max(x(lane.started_us), x(model.at - leg.wait.milliseconds * 1000)), lane.ended_us ? x(lane.ended_us) : x(model.end), y, tint);
      points.push([now, y]);
    } else if (model.finding.kind === "data-race" && number > 0) {
      // The earlier access was somewhere between two moments of its thread.
      const [from, until] = earlier(model, leg, lane).map(x);
      if (until - from > 20) hatch(pen, from, until, y, tint);
      points.push([(from + until) / 2, y]);
    } else {
      points.push([now, y]);
    }
    const [left] = points[points.length - 1];
    pen.fillStyle = tint;
    pen.strokeStyle = color("code");
    pen.lineWidth = 2;
    pen.beginPath();
    pen.arc(left, y, 8, 0, 7);
    pen.fill();
    pen.stroke();
    pen.fillStyle = color("code");
    pen.textAlign = "center";
    pen.font = `700 10px ${getComputedStyle(document.body).fontFamily}`;
    const race = model.finding.kind === "data-race";
    pen.fillText(String(race ? model.finding.legs.length - number : number + 1), left, y + 0.5);
    pen.textAlign = "start";
  });
  if (points.length > 1) {
    pen.strokeStyle = color("error");
    pen.lineWidth = 1.5;
    pen.setLineDash([4, 3]);
    for (let at = 0; at + 1 < points.length; at++) {
      const [a, b] = [points[at], points[at + 1]];
      const down = a[1] < b[1] ? 1 : -1;
      pen.beginPath();
      pen.moveTo(a[0], a[1] + 9 * down);
      pen.bezierCurveTo(a[0], (a[1] + b[1]) / 2, b[0], (a[1] + b[1]) / 2, b[0], b[1] - 9 * down);
      pen.stroke();
    }
    pen.setLineDash([]);
  }
  pen.strokeStyle = color("error");
  pen.globalAlpha = 0.35;
  pen.lineWidth = 1;
  pen.beginPath();
  pen.moveTo(now + 0.5, AXIS);
  pen.lineTo(now + 0.5, height);
  pen.stroke();
  pen.globalAlpha = 1;
};
