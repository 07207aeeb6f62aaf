// Tools: how well they do, whether they changed, and what they cost.
import { api, asked, change, go, panel } from "./app.js";
import { OUTCOMES, admin, card, fact, table, tag } from "./blocks.js";
import { h, meter, money, number, parts, percent } from "./charts.js";

export async function tools() {
  const found = await api("tools?" + asked());
  const rows = found.tools.map((tool) => {
    const done = tool.calls - (tool.outcomes.refused || 0);
    const share = done ? (tool.outcomes.ok || 0) / done : 0;
    return [h("button", { class: "plain", onclick: () => go({ server: tool.server, tool: tool.tool }, "calls") }, `${tool.server}/${tool.tool}`), number(tool.calls), done ? tag(percent(share), share >= 0.98 ? "good" : share >= 0.95 ? "warn" : "bad") : "–", parts(Object.entries(OUTCOMES).map(([name, [text, , fill]]) => [text, tool.outcomes[name] || 0, fill]))];
  });
  return h("div", { class: "grid" }, card("Called", table([["Tool"], ["Calls", "n"], ["Success", "n"], ["What came of it", "rare"]], rows, "No tool was called in this time.")), card("Pinned definitions", pinTable(found.pins)));
}

const PINS = { approved: "good", new: "warn", changed: "bad" };

function pinTable(pins) {
  const ordered = [...pins].sort((a, b) => (a.status === "approved") - (b.status === "approved"));
  return table([["Tool"], ["State"], ["Digest", "rare"], ["", "n"]], ordered.map((pin) => ({
    open: () => pinPanel(pin),
    cells: [h("button", { class: "plain", onclick: () => pinPanel(pin) }, `${pin.server}/${pin.tool}`), tag(pin.status, PINS[pin.status]), h("code", {}, String(pin.digest || "").slice(0, 16)), pin.status === "approved" ? "" : admin(h("button", { onclick: () => approve(pin) }, "Approve"))],
  })), "No definition is pinned; pins: approve on a route holds new and changed tools back until somebody has seen them.");
}

function pinPanel(pin) {
  const lines = String(pin.diff || "").trimEnd().split("\n");
  panel(`${pin.server}/${pin.tool}`,
    h("section", {}, tag(pin.status, PINS[pin.status])),
    h("section", {}, h("h2", {}, "What the model is told"), h("pre", {}, String(pin.description || ""))),
    pin.diff ? h("section", {}, h("h2", {}, "What changed since it was approved"), h("pre", {}, lines.map((line) => h("span", { class: line.startsWith("+") ? "ins" : line.startsWith("-") ? "del" : "" }, line + "\n")))) : null,
    pin.status === "approved" ? null : admin(h("section", {}, h("button", { class: "main", onclick: () => approve(pin) }, "Approve this definition"))),
  );
}

async function approve(pin) {
  await change("pins", { method: "POST", body: { server: pin.server, tool: pin.tool, digest: pin.digest } }, "Approved.");
}

export async function costs() {
  const found = await api("costs?" + asked());
  const most = Math.max(...found.tools.map((tool) => tool.usd), 1e-9);
  const days = found.days === 1 ? "a day" : `${found.days} days`;
  const all = found.tools.reduce((sum, tool) => sum + tool.usd, 0);
  const tokens = found.tools.reduce((sum, tool) => sum + tool.tokens, 0);
  const share = found.prompt_tokens ? tokens / found.prompt_tokens : 0;
  const facts = [
    fact("Tools cost", money(all), "definitions and results"),
    fact("Share of input", found.prompt_tokens ? percent(Math.min(1, share)) : "–", `${number(tokens)} tokens`),
    fact("Never called", number(found.unused.tools), `tools, in ${days}`, found.unused.tools ? "warn" : "good"),
    fact("Paid for nothing", money(found.unused.usd), found.prompt_tokens ? `${percent(Math.min(1, found.unused.tokens / found.prompt_tokens))} of all input tokens` : "", found.unused.usd ? "warn" : "good"),
  ];
  const rows = found.tools.map((tool) => [
    h("div", { class: "name-cell" }, h("span", {}, tool.server ? `${tool.server}/${tool.tool}` : tool.tool, tool.server ? null : h("span", { class: "soft small" }, " client's own"))),
    tool.never_called ? tag(`never in ${days}`, "warn") : number(tool.calls), number(tool.requests),
    h("div", {}, number(tool.definition_tokens), h("div", { class: "soft small" }, money(tool.definition_usd))),
    h("div", {}, number(tool.result_tokens), h("div", { class: "soft small" }, money(tool.result_usd))),
    h("div", {}, money(tool.usd), meter(tool.usd / most, tool.never_called ? "warn" : "")),
  ]);
  const each = new Map();
  for (const tool of found.tools) {
    const sum = each.get(tool.server) || { server: tool.server, tools: 0, unused: 0, tokens: 0, usd: 0 };
    each.set(tool.server, { ...sum, tools: sum.tools + 1, unused: sum.unused + tool.never_called, tokens: sum.tokens + tool.tokens, usd: sum.usd + tool.usd });
  }
  const servers = [...each.values()].sort((a, b) => b.usd - a.usd).map((server) => [server.server || "client's own", number(server.tools), server.unused ? tag(number(server.unused), "warn") : "0", number(server.tokens), h("div", {}, money(server.usd), meter(all ? server.usd / all : 0))]);
  const perServer = card("Each server", table([["Server", "grow"], ["Tools", "n rare"], [`Never in ${days}`, "n"], ["Tokens", "n rare"], ["Dollars", "n"]], servers, ""));
  return [h("div", { class: "grid facts" }, facts), servers.length ? perServer : null, card("Each tool", table([["Tool", "grow"], ["Calls", "n"], ["In requests", "n rare"], ["Definitions", "n rare"], ["Results", "n rare"], ["Dollars", "n"]], rows, "No request with tools in this time."), h("span", { class: "note" }, "tokens read from a cache are priced as cached"))].filter(Boolean);
}
