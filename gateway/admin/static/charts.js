// Elements and charts. Everything that comes from outside goes in as text, never as markup.

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

function s(tag, attributes = {}, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export const number = (value) => (Math.abs(value) >= 10000 ? compact.format(value) : plain.format(value));

export function money(value) {
  if (value === 0) return "$0";
  if (Math.abs(value) >= 1000) return "$" + (Math.abs(value) >= 1e5 ? compact : plain).format(value);
  return "$" + value.toFixed(Math.abs(value) >= 1 ? 2 : Math.abs(value) >= 0.01 ? 3 : 5).replace(/(\.\d\d\d*?)0+$/, "$1");
}

export function duration(ms) {
  if (ms === undefined || ms === null) return "–";
  if (ms < 1) return Math.round(ms * 1000) + " µs";
  if (ms < 1000) return (ms < 10 ? ms.toFixed(1) : Math.round(ms)) + " ms";
  return ms < 60000 ? (ms / 1000).toFixed(1) + " s" : Math.round(ms / 60000) + " min";
}

export const percent = (share) => (share >= 0.9995 ? "100 %" : (share * 100).toFixed(share < 0.995 ? 1 : 2) + " %");

export function moment(seconds, step) {
  const date = new Date(seconds * 1000);
  if (step >= 86400) return date.toLocaleDateString("en", { month: "short", day: "numeric", timeZone: "UTC" });
  const time = date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", ...(step ? {} : { second: "2-digit" }) });
  const today = date.toDateString() === new Date().toDateString();
  return today || step ? time : date.toLocaleDateString("en", { month: "short", day: "numeric" }) + " " + time;
}

export function bytes(count) {
  return count < 1024 ? count + " B" : count < 1048576 ? (count / 1024).toFixed(1) + " KB" : (count / 1048576).toFixed(1) + " MB";
}

const seconds = (at) => (typeof at === "number" ? at : Date.parse(at + "T00:00:00Z") / 1000);

function ceiling(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= value * 0.999);
}

// Stacked columns over time. With the keyboard: focus it, then the arrow keys walk through the columns.
export function columns({ at, step, lines }, unit, format, label) {
  const box = h("div", { class: "chart", tabindex: "0", role: "group", "aria-label": label });
  const tip = h("div", { class: "tip", hidden: true, role: "status" });
  const sums = at.map((_, i) => lines.reduce((sum, line) => sum + line[unit][i], 0));
  const top = ceiling(Math.max(...sums, 0));
  let hits = [];
  let chosen = -1;

  function show(index) {
    hits.forEach((hit, i) => hit.classList.toggle("at", i === index));
    chosen = index;
    tip.hidden = index < 0;
    if (index < 0) return;
    const rows = lines.map((line, i) => [line.label, line[unit][index], i]).filter((row) => row[1] > 0);
    tip.replaceChildren(
      h("div", {}, h("b", {}, moment(seconds(at[index]), step)), h("b", {}, format(sums[index]))),
      ...rows.map(([name, value, i]) => h("div", {}, h("span", {}, h("i", { class: `swatch ${shade(lines[i], i)}` }), name), format(value))),
    );
    const width = box.clientWidth;
    const centre = Number(hits[index].getAttribute("x")) + Number(hits[index].getAttribute("width")) / 2;
    tip.style.top = "6px";
    tip.style.left = centre > width / 2 ? "auto" : centre + 12 + "px";
    tip.style.right = centre > width / 2 ? width - centre + 12 + "px" : "auto";
  }

  function draw() {
    const width = Math.max(box.clientWidth, 240);
    const height = width < 560 ? 200 : 260;
    const left = 54, bottom = 24, up = 10;
    const svg = s("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
    const y = (value) => up + (height - up - bottom) * (1 - value / top);
    for (let i = 0; i <= 4; i++) {
      const value = (top * i) / 4;
      svg.append(s("line", { class: "rule", x1: left, x2: width, y1: y(value), y2: y(value) }));
      svg.append(s("text", { x: left - 8, y: y(value) + 4, "text-anchor": "end" }, format(value)));
    }
    const each = (width - left) / at.length;
    const every = Math.ceil(at.length / Math.max(2, Math.floor((width - left) / 76)));
    hits = at.map((when, i) => {
      const x = left + i * each;
      let base = 0;
      const group = s("g", { class: "col" });
      lines.forEach((line, n) => {
        const value = line[unit][i];
        if (value <= 0) return;
        group.append(s("rect", { class: shade(line, n), x: x + Math.min(each * 0.12, 4), width: Math.max(each - Math.min(each * 0.24, 8), 1), y: y(base + value), height: Math.max(y(base) - y(base + value), 0.5) }));
        base += value;
      });
      svg.append(group);
      if (i % every === 0) svg.append(s("text", { x: x + each / 2, y: height - 6, "text-anchor": i === 0 && each < 40 ? "start" : "middle" }, moment(seconds(when), step)));
      const hit = s("rect", { class: "hit", x, width: each, y: up, height: height - up - bottom });
      hit.addEventListener("pointerenter", () => show(i));
      return hit;
    });
    svg.append(...hits);
    box.replaceChildren(svg, tip);
  }

  box.addEventListener("pointerleave", () => show(-1));
  box.addEventListener("blur", () => show(-1));
  box.addEventListener("keydown", (event) => {
    const to = { ArrowRight: chosen + 1, ArrowLeft: chosen - 1, Home: 0, End: at.length - 1, Escape: -1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    show(event.key === "Escape" ? -1 : Math.max(0, Math.min(at.length - 1, to)));
  });
  new ResizeObserver(draw).observe(box);
  const legend = h("div", { class: "legend" }, lines.map((line, i) => h("span", {}, h("i", { class: `swatch ${shade(line, i)}` }), line.label)));
  return h("div", {}, box, legend);
}

export const shade = (line, index) => (line.name === "other" ? "f8" : `f${index % 8}`);

export function meter(share, level = "") {
  const bar = h("i");
  bar.style.width = Math.max(0, Math.min(1, share)) * 100 + "%";
  return h("div", { class: `meter ${level}` }, bar);
}

// One bar of several parts: what came of the calls of a tool.
export function parts(pairs) {
  const whole = pairs.reduce((sum, [, value]) => sum + value, 0) || 1;
  const words = pairs.filter(([, value]) => value).map(([name, value]) => `${name} ${value}`).join(", ");
  return h("div", { class: "stack", role: "img", "aria-label": words, title: words }, pairs.filter(([, value]) => value).map(([, value, fill]) => {
    const bar = h("i", { class: fill });
    bar.style.width = (value / whole) * 100 + "%";
    return bar;
  }));
}
