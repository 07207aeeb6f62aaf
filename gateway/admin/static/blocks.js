// What every view is built from.
import { state } from "./app.js";
import { h, meter, moment, money, number } from "./charts.js";

export const OUTCOMES = { ok: ["ok", "good", "fgood"], tool_error: ["tool error", "warn", "fwarn"], refused: ["refused", "bad", "f4"], timeout: ["timeout", "bad", "fbad"], upstream_error: ["upstream error", "bad", "fbad"], client_gone: ["client left", "", "f8"], error: ["error", "bad", "fbad"] };
export const ACTIONS = { refuse: ["refused", "bad"], would_refuse: ["would refuse", "warn"], mask: ["masked", "warn"], audit: ["noted", ""], allow: ["allowed", "good"] };

export const card = (title, content, ...aside) => h("section", { class: "card" }, h("div", { class: "top" }, h("h2", {}, title), ...aside), content);
export const fact = (name, value, more = "", level = "") => h("div", { class: `fact ${level}` }, h("div", { class: "name" }, name), h("div", { class: "value" }, value), h("div", { class: "more" }, more));
export const tag = (text, level = "") => h("span", { class: `tag ${level}` }, text);
export const outcome = (name) => tag(OUTCOMES[name]?.[0] || name, OUTCOMES[name]?.[1]);
export const empty = (text) => h("div", { class: "empty" }, text);
export const pair = (pairs) => h("dl", { class: "pair" }, pairs.filter(([, value]) => value !== "" && value !== null && value !== undefined).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
export const admin = (button) => (state.session.signed_in ? button : null);

// head: [title, class]; a row is a list of cells, or {cells, open}
export function table(head, rows, none) {
  if (!rows.length) return empty(none);
  return h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, head.map(([title, kind = ""]) => h("th", { class: kind, scope: "col" }, title)))),
    h("tbody", {}, rows.map((row) => {
      const cells = row.cells || row;
      return h("tr", row.open ? { class: "opens", onclick: (event) => event.target.closest("a, button") || row.open() } : {}, cells.map((cell, i) => h("td", { class: head[i][1] || "" }, cell)));
    }))));
}

export function limitTable(limits, none) {
  return table([["Who", "grow"], ["Limit"], ["Used", "n"], ["Resets", "n rare"]], limits.map((limit) => {
    const share = limit.used / limit.of;
    const shown = limit.unit === "usd" ? money : number;
    return [limit.who, limit.limit, h("div", {}, `${shown(limit.used)} of ${shown(limit.of)}`, meter(share, share >= 0.95 ? "bad" : share >= 0.75 ? "warn" : "")), limit.resets ? moment(limit.resets) : "–"];
  }), none);
}
