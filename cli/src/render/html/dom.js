// Elements are made from text, never from markup: whatever a program calls
// its threads stays text.
const make = (tag, attributes, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") for (const [event, act] of Object.entries(value)) element.addEventListener(event, act);
    else if (name === "css") for (const [key, val] of Object.entries(value)) element.style.setProperty(key, val);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) if (child !== undefined && child !== null && child !== false) element.append(child);
  return element;
};
const vector = (tag, attributes, ...children) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, String(value));
  element.append(...children.flat());
  return element;
};
const one = (selector) => document.querySelector(selector);
const plural = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

// A sentence in which names stand between backticks.
const prose = (text) => text.split("`").map((part, at) => (at % 2 ? make("code", {}, part) : part));

// A list of which only the rows in view are in the page.
const virtual = (host, height, count, row) => {
  const spacer = make("div", { class: "spacer", css: { height: `${count * height}px` } });
  host.replaceChildren(spacer);
  let from = -1;
  let to = -1;
  const draw = (force) => {
    const first = Math.max(0, Math.floor(host.scrollTop / height) - 8);
    const last = Math.min(count, Math.ceil((host.scrollTop + (host.clientHeight || 800)) / height) + 8);
    if (!force && first === from && last === to) return;
    [from, to] = [first, last];
    const rows = [];
    for (let at = first; at < last; at++) {
      const element = row(at);
      element.style.top = `${at * height}px`;
      element.style.height = `${height}px`;
      rows.push(element);
    }
    spacer.replaceChildren(...rows);
  };
  host.onscroll = () => draw(false);
  draw(true);
  return {
    draw: () => draw(true),
    show: (at) => {
      const top = at * height;
      if (top < host.scrollTop) host.scrollTop = top;
      else if (top + height > host.scrollTop + host.clientHeight) host.scrollTop = top + height - host.clientHeight;
      draw(true);
    },
  };
};

const tip = (event, text) => {
  const box = one("#tip");
  box.hidden = !text;
  if (!text) return;
  box.textContent = text;
  const { width, height } = box.getBoundingClientRect();
  box.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 8))}px`;
  box.style.top = `${Math.max(4, Math.min(event.clientY + 16, innerHeight - height - 8))}px`;
};
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
