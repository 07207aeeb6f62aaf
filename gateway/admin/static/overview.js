// The first view: what was used, by whom, how well and how fast.
import { api, asked, choice, go, state } from "./app.js";
import { OUTCOMES, card, empty, fact, limitTable, table, tag } from "./blocks.js";
import { columns, duration, h, meter, money, number, parts, percent, shade } from "./charts.js";

const UNITS = { usd: ["Dollars", money], tokens: ["Tokens", number], calls: ["Calls", number] };
const DIMENSIONS = ["model", "user", "team", "agent", "project", "provider", "server", "tool", "route"];
// What stands where a call has no such thing: a tool call has no model.
const NOTHING = { model: "tool calls", provider: "tool calls", server: "model calls", tool: "model calls", team: "no team" };
const nameless = (by) => `(${NOTHING[by] || "none"})`;
const plain = (dimension) => dimension.replace("label.", "");

export async function overview() {
  const by = state.query.get("by") || "model";
  const unit = state.query.get("unit") || "usd";
  const [found, latency, limits] = await Promise.all([api("overview?" + asked({ by })), api("latency?" + asked()), api("limits")]);
  const { total, groups } = found;
  const tools = latency.groups.filter((group) => group.kind === "mcp");
  const outcomes = Object.fromEntries(found.outcomes.map((group) => [group.group[0], group.calls]));
  const [p50, p95] = latency.all.duration;
  const [title, format] = UNITS[unit];
  const facts = [
    toolSuccess(tools),
    fact("Dollars", money(total.usd), total.unpriced ? `${number(total.unpriced)} calls at the ceiling price` : "priced by provider and model"),
    fact("Tokens", number(total.tokens), `${number(total.input + total.cache_read + total.cache_write)} in, ${number(total.output)} out`),
    fact("Cached input", total.tokens ? percent(total.cache_read / Math.max(1, total.input + total.cache_read + total.cache_write)) : "–", "of all input tokens"),
    fact("Calls", number(total.calls), `${number(total.failed)} failed`, total.failed > total.calls * 0.05 ? "bad" : ""),
    fact("Refused", number(total.refused), "by a policy", total.refused ? "warn" : ""),
    fact("Latency", duration(p50), `p95 ${duration(p95)}`),
    fact("Gateway's own", duration(latency.all.overhead[0]), `p95 ${duration(latency.all.overhead[1])}`),
  ];
  const picker = h("label", { class: "inline" }, "by", h("select", { onchange: (event) => go({ by: event.target.value }) }, [...DIMENSIONS, ...found.labels].map((name) => h("option", { value: name, selected: name === by }, name.replace("label.", "")))));
  const sum = (line) => line[unit].reduce((a, b) => a + b, 0);
  for (const line of found.series.lines) line.label = line.name || nameless(by);
  found.series.lines = found.series.lines.filter(sum).sort((a, b) => (a.name === "other") - (b.name === "other") || sum(b) - sum(a));
  const chart = found.series.lines.length ? h("div", { class: "body" }, columns(found.series, unit, format, `${title} over time by ${plain(by)}`)) : empty("No traffic in this time.");
  return [
    h("div", { class: "grid facts" }, facts),
    h("div", { class: "grid" },
      card(`${title} by ${plain(by)}`, chart, h("div", { class: "controls" }, picker, choice(Object.entries(UNITS).map(([key, [name]]) => [key, name]), unit, (chosen) => go({ unit: chosen }), "Unit"))),
      card(`Every ${plain(by)}`, groupTable(groups, by, found.series.lines), found.unattributed ? h("span", { class: "note" }, `${percent(found.unattributed.calls / Math.max(1, total.calls))} of calls name no user`) : null),
      h("div", { class: "grid sides" },
        card("Latency", latencyTable(latency.groups.slice(0, 12)), h("span", { class: "note" }, `newest ${number(latency.sampled)} calls`)),
        h("div", { class: "grid" },
          card("What came of it", h("div", { class: "body" }, outcomeList(outcomes, total.calls))),
          card("Near a limit", limitTable((limits.limits || []).filter((limit) => limit.used / limit.of >= 0.5).slice(0, 8), "Nobody is past half of a limit."), h("a", { href: "#limits" }, "All limits")),
          card("Refusals", refusals(found.refusals), h("a", { href: "#findings" }, "Findings")),
        ))),
  ];
}

function toolSuccess(tools) {
  const calls = tools.reduce((sum, tool) => sum + tool.calls - tool.refused, 0);
  const bad = tools.reduce((sum, tool) => sum + tool.failed, 0);
  if (!calls) return fact("Tool success", "–", "no tool calls");
  const share = 1 - bad / calls;
  return fact("Tool success", percent(share), `${number(calls)} tool calls`, share >= 0.98 ? "good" : share >= 0.95 ? "warn" : "bad");
}

function groupTable(groups, by, lines) {
  const most = Math.max(...groups.map((group) => group.usd), 1e-9);
  const names = lines.map((line) => line.name);
  return table([[plain(by)[0].toUpperCase() + plain(by).slice(1)], ["Calls", "n"], ["Tokens", "n"], ["Refused", "n rare"], ["Failed", "n rare"], ["Dollars", "n"]], groups.slice(0, 25).map((group) => {
    const [name] = group.group;
    const index = names.indexOf(name);
    return [
      h("div", { class: "name-cell" }, h("i", { class: `swatch ${index < 0 ? "f8" : shade({ name }, index)}` }), h("button", { class: "plain", onclick: () => go({ [by]: name }, "calls") }, name || nameless(by))),
      number(group.calls), number(group.tokens), group.refused ? tag(number(group.refused), "warn") : "0", group.failed ? tag(number(group.failed), "bad") : "0",
      h("div", {}, money(group.usd), meter(group.usd / most)),
    ];
  }), "Nothing yet. Point a client at the gateway and call a model.");
}

const refusals = (groups) => table([["Policy"], ["Refused", "n"]], groups.map((group) => [h("button", { class: "plain", onclick: () => go({ policy: group.group[0], outcome: "refused" }, "calls") }, group.group[0] || "(none)"), number(group.calls)]), "No policy refused anything.");

function outcomeList(outcomes, all) {
  const pairs = Object.entries(OUTCOMES).filter(([name]) => outcomes[name]).map(([name, [text, , fill]]) => [text, outcomes[name], fill]);
  if (!pairs.length) return empty("No calls.");
  return h("div", { class: "grid" }, parts(pairs), h("div", { class: "legend" }, pairs.map(([text, value, fill]) => h("span", {}, h("i", { class: `swatch ${fill}` }), `${text} ${number(value)} (${percent(value / all)})`))));
}

const latencyTable = (groups) => table([["Model or tool", "grow"], ["Calls", "n rare"], ["p50", "n"], ["p95", "n"], ["p99", "n rare"], ["First byte p50", "n rare"], ["Own p95", "n"]],
  groups.map((g) => [g.name || g.kind, number(g.calls), duration(g.duration[0]), slow(g), duration(g.duration[2]), duration(g.first_byte[0]), duration(g.overhead[1])]), "No calls in this time.");

function slow(group) {
  const p95 = group.duration[1];
  const level = group.kind !== "mcp" ? "" : p95 > 400 ? "bad" : p95 > 250 ? "warn" : "";
  return level ? tag(duration(p95), level) : duration(p95);
}
