// What the page shows. Each view is a title, a sentence, and a function that gives elements.
import { api, asked, choice, go, panel, render, say, signIn, state } from "./app.js";
import { bytes, columns, duration, h, meter, moment, money, number, parts, percent, shade } from "./charts.js";

const UNITS = { usd: ["Dollars", money], tokens: ["Tokens", number], calls: ["Calls", number] };
const DIMENSIONS = ["model", "user", "team", "agent", "project", "provider", "server", "tool", "route"];
const OUTCOMES = { ok: ["ok", "good", "fgood"], tool_error: ["tool error", "warn", "fwarn"], refused: ["refused", "bad", "f4"], timeout: ["timeout", "bad", "fbad"], upstream_error: ["upstream error", "bad", "fbad"], client_gone: ["client left", "", "f8"], error: ["error", "bad", "fbad"] };
const ACTIONS = { refuse: ["refused", "bad"], would_refuse: ["would refuse", "warn"], mask: ["masked", "warn"], audit: ["noted", ""], allow: ["allowed", "good"] };

const card = (title, content, ...aside) => h("section", { class: "card" }, h("div", { class: "top" }, h("h2", {}, title), ...aside), content);
const fact = (name, value, more = "", level = "") => h("div", { class: `fact ${level}` }, h("div", { class: "name" }, name), h("div", { class: "value" }, value), h("div", { class: "more" }, more));
const tag = (text, level = "") => h("span", { class: `tag ${level}` }, text);
const outcome = (name) => tag(OUTCOMES[name]?.[0] || name, OUTCOMES[name]?.[1]);
const empty = (text) => h("div", { class: "empty" }, text);
const pair = (pairs) => h("dl", { class: "pair" }, pairs.filter(([, value]) => value !== "" && value !== null && value !== undefined).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
// What stands where a call has no such thing: a tool call has no model.
const NOTHING = { model: "tool calls", provider: "tool calls", server: "model calls", tool: "model calls", team: "no team" };
const nameless = (by) => `(${NOTHING[by] || "none"})`;
const plain = (dimension) => dimension.replace("label.", "");
const admin = (button) => (state.session.signed_in ? button : null);

// head: [title, class]; a row is a list of cells, or {cells, open}
function table(head, rows, none) {
  if (!rows.length) return empty(none);
  return h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, head.map(([title, kind = ""]) => h("th", { class: kind, scope: "col" }, title)))),
    h("tbody", {}, rows.map((row) => {
      const cells = row.cells || row;
      return h("tr", row.open ? { class: "opens", onclick: (event) => event.target.closest("a, button") || row.open() } : {}, cells.map((cell, i) => h("td", { class: head[i][1] || "" }, cell)));
    }))));
}

async function overview() {
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

function limitTable(limits, none) {
  return table([["Who"], ["Limit"], ["Used", "n"], ["Resets", "n rare"]], limits.map((limit) => {
    const share = limit.used / limit.of;
    const shown = limit.unit === "usd" ? money : number;
    return [limit.who, limit.limit, h("div", {}, `${shown(limit.used)} of ${shown(limit.of)}`, meter(share, share >= 0.95 ? "bad" : share >= 0.75 ? "warn" : "")), limit.resets ? moment(limit.resets) : "–"];
  }), none);
}

// One line of a call, from the tail or from the ledger.
function callRow(call) {
  const what = call.tool ? `${call.server}/${call.tool}` : call.model || call.method || call.path;
  const tokens = call.tokens ?? (call.usage ? call.usage.input + call.usage.output + call.usage.cache_read + call.usage.cache_write + call.usage.cache_write_1h : 0);
  const id = call.call || call.id;
  const open = () => inspect(id, call);
  return { open, cells: [moment(call.at), h("button", { class: "plain", onclick: open }, what), call.user || call.principal, h("span", {}, outcome(call.outcome), call.policy ? ` ${call.policy}` : "", (call.verdicts || []).filter((v) => v.action !== "refuse").map((v) => [" ", tag(`${v.policy}: ${ACTIONS[v.action][0]}`, ACTIONS[v.action][1])])), number(tokens), money(call.usd), duration(call.ms ?? call.duration_ms)] };
}
const CALL_HEAD = [["When", "when"], ["What", "grow"], ["Who", "rare"], ["Outcome"], ["Tokens", "n rare"], ["Dollars", "n rare"], ["Took", "n"]];

async function calls() {
  const found = await api("calls?" + asked({ limit: 100 }));
  const rows = found.calls.map(callRow);
  const place = h("div", {}, table(CALL_HEAD, rows, "No call of this kind in this time."));
  const more = h("button", { hidden: !found.next, onclick: async () => {
    const page = await api("calls?" + asked({ limit: 100, before: found.next }));
    found.next = page.next;
    rows.push(...page.calls.map(callRow));
    more.hidden = !page.next;
    place.replaceChildren(table(CALL_HEAD, rows, ""));
  } }, "Older calls");
  return h("div", { class: "grid" }, card("Calls", place, outcomePicker()), h("div", {}, more));
}

const outcomePicker = () => h("select", { onchange: (event) => go({ outcome: event.target.value }), "aria-label": "Outcome" }, h("option", { value: "" }, "every outcome"), Object.entries(OUTCOMES).map(([name, [text]]) => h("option", { value: name, selected: state.query.get("outcome") === name }, text)));

function live() {
  const rows = [];
  let waiting = false;
  let running = true;
  const place = h("div", {}, empty("Waiting for the next call."));
  const lamp = tag("live", "good");
  const stop = h("button", { onclick: () => { running = !running; stop.textContent = running ? "Pause" : "Go on"; lamp.textContent = running ? "live" : "paused"; lamp.className = running ? "tag good" : "tag"; draw(); } }, "Pause");
  const source = new EventSource("api/tail");
  state.leave.push(() => source.close());
  function draw() {
    waiting = false;
    if (running && rows.length) place.replaceChildren(table(CALL_HEAD, rows, ""));
  }
  source.onmessage = (event) => {
    rows.unshift(callRow(JSON.parse(event.data)));
    rows.length = Math.min(rows.length, 200);
    if (!waiting) { waiting = true; requestAnimationFrame(draw); }
  };
  source.onerror = () => { lamp.textContent = "reconnecting"; lamp.className = "tag warn"; };
  source.onopen = () => { lamp.textContent = running ? "live" : "paused"; lamp.className = "tag good"; };
  return card("As it happens", place, h("div", { class: "controls" }, lamp, stop));
}

async function inspect(id, known) {
  let call;
  try {
    call = await api("call/" + encodeURIComponent(id));
  } catch (error) {
    if (error.status !== 404) return say(error.message);
    panel("Call " + id, h("p", { class: "soft" }, "This process no longer holds the phases of this call; the ledger has this."), record(known));
    return;
  }
  panel("Call " + id,
    h("section", {}, pair([["When", new Date(call.at * 1000).toLocaleString("en-GB")], ["Request", `${call.verb} ${call.path}`], ["Route", call.route], ["Status", String(call.status)], ["Caller", `${call.principal.name || call.principal.id} (${call.principal.kind})`], ["Groups", call.principal.groups.join(", ")], ["Address", call.ip], ["Refusal", call.refusal], ["Trace", call.trace_id]])),
    h("section", {}, h("h2", {}, "From client to upstream and back"), phases(call)),
    h("section", {}, h("h2", {}, "Verdicts"), call.all_verdicts.length ? verdicts(call.all_verdicts) : h("p", { class: "soft" }, "No policy had anything to say.")),
    ...call.records.map((one) => h("section", {}, h("h2", {}, one.kind === "llm" ? "Model call" : one.kind === "mcp" ? "Tool call" : "Request"), record(one))),
    h("section", {}, h("h2", {}, "Headers"), pair(Object.entries(call.headers)), call.hidden_headers.length ? h("p", { class: "soft small" }, `Not shown: ${call.hidden_headers.join(", ")}`) : null),
    h("section", {}, h("h2", {}, "Content"), call.body ? h("pre", {}, JSON.stringify(call.body, null, 2)) : h("p", { class: "soft" }, call.content ? "Nothing was kept." : "Not kept: content is switched off.")),
    h("section", {}, h("button", { onclick: () => { document.getElementById("panel").close(); go({ open: id }, "rules"); } }, "Try a rule against this call")),
  );
}

function phases(call) {
  const whole = Math.max(call.ms, 0.001);
  const lanes = call.phases.map((phase, i) => [phase.name + (phase.detail ? `: ${phase.detail}` : ""), phase.from, phase.to, `f${i % 8}`]);
  if (!lanes.length && call.upstream_ms) lanes.push(["upstream", 0, Math.min(call.upstream_ms, whole), "f1"]);
  if (call.first_byte) lanes.push(["first byte", call.first_byte, call.first_byte, "fwarn"]);
  lanes.push(["whole call", 0, whole, "f0"]);
  return h("div", { class: "phases" }, lanes.flatMap(([name, from, to, fill]) => {
    const bar = h("i", { class: fill });
    bar.style.left = (from / whole) * 100 + "%";
    bar.style.width = ((to - from) / whole) * 100 + "%";
    return [h("span", {}, name), h("div", { class: "lane" }, bar), h("span", { class: "soft" }, duration(to - from || to))];
  }));
}

const verdicts = (found) => table([["Policy"], ["Said"], ["Rule"], ["Reason", "rare"]], found.map((v) => [v.policy, tag(ACTIONS[v.action]?.[0] || v.action, ACTIONS[v.action]?.[1]), h("code", {}, v.rule), v.reason]), "");

function record(one) {
  const u = one.usage;
  return pair([
    ["Outcome", h("span", {}, outcome(one.outcome), one.policy ? ` by ${one.policy}` : "")], ["Rule", one.rule ? h("code", {}, one.rule) : ""], ["Why", one.reason],
    ["Model", one.model && one.upstream_model && one.upstream_model !== one.model ? `${one.model} → ${one.upstream_model}` : one.model], ["Provider", one.provider],
    ["Tool", one.tool ? `${one.server}/${one.tool}` : ""], ["Tool use", one.tool_use_id], ["User", one.user || one.principal], ["Agent", one.agent], ["Project", one.project],
    ["Session", one.session ? h("a", { href: `#sessions?open=${encodeURIComponent(one.session)}` }, one.session) : ""],
    ["Tokens", u ? `${number(u.input)} in, ${number(u.cache_read)} from cache, ${number(u.cache_write + u.cache_write_1h)} to cache, ${number(u.output)} out${u.estimated ? " (estimated)" : ""}` : ""],
    ["Dollars", one.usd ? money(one.usd) + (one.priced === false ? " (ceiling price)" : "") : ""],
    ["Took", one.duration_ms ? `${duration(one.duration_ms)}, ${duration(one.upstream_ms)} of it upstream` : ""], ["First byte", one.first_byte_ms ? duration(one.first_byte_ms) : ""],
    ["Sizes", one.bytes_in || one.bytes_out ? `${bytes(one.bytes_in)} in, ${bytes(one.bytes_out)} out` : ""], ["Attempts", one.attempts > 1 ? String(one.attempts) : ""],
    ...Object.entries(one.labels || {}),
  ]);
}

async function sessions() {
  const open = state.query.get("open");
  if (open) return session(open);
  const found = await api("sessions?" + asked());
  return card("Sessions", table([["Session"], ["Who"], ["Calls", "n"], ["Refused", "n rare"], ["Tokens", "n rare"], ["Dollars", "n"]], found.sessions.map((one) => ({
    open: () => go({ open: one.session }),
    cells: [h("button", { class: "plain code", onclick: () => go({ open: one.session }) }, one.session), one.user, number(one.calls), one.refused ? tag(number(one.refused), "warn") : "0", number(one.tokens), money(one.usd)],
  })), "No call named a session in this time."));
}

async function session(id) {
  const found = await api(`session/${encodeURIComponent(id)}?` + asked());
  const line = (one, text) => h("div", { class: "line" }, h("span", { class: "soft small" }, moment(one.at)), h("button", { class: "plain", onclick: () => inspect(one.call, one) }, text), outcome(one.outcome), one.policy ? h("span", { class: "small soft" }, `${one.policy} ${one.rule}`) : null, h("span", { class: "push small soft" }, one.kind === "llm" ? `${number(one.usage ? one.usage.input + one.usage.cache_read + one.usage.cache_write + one.usage.cache_write_1h + one.usage.output : 0)} tokens · ${money(one.usd)} · ` : "", duration(one.duration_ms)));
  return [
    h("p", { class: "fields" }, h("button", { onclick: () => go({ open: "" }) }, "← All sessions"), h("code", {}, id), outcomePicker()),
    h("div", { class: "turns" }, found.turns.length ? found.turns.map((turn) => h("div", { class: "card" }, turn.call ? line(turn.call, `${turn.call.model}`) : h("div", { class: "line soft" }, "Tools without a model call"), turn.tools.length ? h("div", { class: "turn" }, turn.tools.map((tool) => line(tool, `${tool.server}/${tool.tool || tool.method}`))) : null)) : empty("No call of this session in this time.")),
  ];
}

async function tools() {
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

async function costs() {
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
  return [h("div", { class: "grid facts" }, facts), card("Each tool", table([["Tool", "grow"], ["Calls", "n"], ["In requests", "n rare"], ["Definitions", "n rare"], ["Results", "n rare"], ["Dollars", "n"]], rows, "No request with tools in this time."), h("span", { class: "note" }, "tokens read from a cache are priced as cached"))];
}

async function findings() {
  const found = await api("findings?" + asked());
  const rows = found.findings.map((finding) => ({
    open: () => findingPanel(finding),
    cells: [h("button", { class: "plain", onclick: () => findingPanel(finding) }, `${finding.policy}: ${finding.rule || finding.reason || "–"}`), tag(ACTIONS[finding.action][0], ACTIONS[finding.action][1]), finding.subject, number(finding.count), number(finding.users.length), moment(finding.last)],
  }));
  const refused = found.refused.map((group) => [group.policy || "(none)", group.tool ? `${group.server}/${group.tool}` : group.model || "–", number(group.count)]);
  return h("div", { class: "grid" },
    card("Grouped", table([["Finding", "grow"], ["Said"], ["On", "rare"], ["Times", "n"], ["People", "n rare"], ["Last", "when rare"]], rows, "No policy had anything to say in this time."), h("span", { class: "note" }, "of this process")),
    card("Refused, from the ledger", table([["Policy"], ["On"], ["Times", "n"]], refused, "Nothing was refused in this time.")));
}

function findingPanel(finding) {
  panel(`${finding.policy}: ${ACTIONS[finding.action][0]}`,
    h("section", {}, pair([["Rule", h("code", {}, finding.rule)], ["On", finding.subject], ["Reason", finding.reason], ["Times", number(finding.count)], ["First", new Date(finding.first * 1000).toLocaleString("en-GB")], ["Last", new Date(finding.last * 1000).toLocaleString("en-GB")], ["People", finding.users.join(", ")]])),
    h("section", {}, h("h2", {}, "Newest calls"), h("ul", {}, finding.calls.map((id) => h("li", {}, h("button", { class: "plain code", onclick: () => inspect(id, { call: id }) }, id))))));
}

async function limits() {
  const found = await api("limits");
  if (!found.limits) return card("Limits", empty("No limit is configured."));
  return card("Limits and budgets in use", limitTable(found.limits, "Nothing was counted against a limit yet."));
}

async function change(path, options, done) {
  try {
    await api(path, options);
    say(done);
    document.getElementById("panel").close();
    await render({ quiet: true });
  } catch (error) {
    say(error.message);
  }
}

async function switches() {
  const found = await api("switches");
  const rows = found.switches.map((one) => [h("span", {}, tag(one.kind), " ", one.name), one.reason || "–", moment(one.since), one.until ? new Date(one.until * 1000).toLocaleString("en-GB") : "until restored", admin(h("button", { onclick: () => change("switches", { method: "DELETE", body: { kind: one.kind, name: one.name } }, "Restored.") }, "Restore")) || ""]);
  const kind = h("select", {}, found.kinds.map((name) => h("option", {}, name)));
  const name = h("input", { required: true });
  const reason = h("input");
  const minutes = h("input", { type: "number", min: "1", placeholder: "for ever" });
  const form = h("form", { class: "fields body", onsubmit: (event) => {
    event.preventDefault();
    change("switches", { method: "POST", body: { kind: kind.value, name: name.value, reason: reason.value, ...(minutes.value ? { minutes: Number(minutes.value) } : {}) } }, `${kind.value} ${name.value} is off.`);
  } }, h("label", {}, "What", kind), h("label", { class: "wide" }, "Name", name), h("label", { class: "wide" }, "Reason", reason), h("label", {}, "Minutes", minutes), h("button", { class: "main" }, "Switch off"));
  return h("div", { class: "grid" },
    card("Off now", table([["What"], ["Reason"], ["Since", "when rare"], ["Until", "rare"], ["", "n"]], rows, "Nothing is switched off.")),
    state.session.signed_in ? card("Switch something off", form) : card("Switch something off", empty(state.session.has_credential ? h("button", { onclick: signIn }, "Sign in to change anything") : "Set admin.token in the configuration, then sign in.")));
}

async function rules() {
  const found = await api("calls?" + asked({ limit: 60 }));
  const open = state.query.get("open");
  const calls = found.calls.map((one) => [one.call, `${moment(one.at)}  ${one.tool ? `${one.server}/${one.tool}` : one.model}  ${one.user || one.principal}  ${one.outcome}`]);
  if (open && !calls.some(([id]) => id === open)) calls.unshift([open, open]);
  const call = h("select", {}, calls.map(([id, text]) => h("option", { value: id, selected: id === open }, text)));
  const expression = h("textarea", { spellcheck: "false", required: true, "aria-label": "Expression" });
  expression.value = 'mcp.tool.name == "delete_file" && jwt.role != "admin"';
  const answer = h("div", { "aria-live": "polite" });
  const form = h("form", { class: "grid body", onsubmit: async (event) => {
    event.preventDefault();
    try {
      const said = await api("playground", { method: "POST", body: { expression: expression.value, call: call.value } });
      const level = { true: "good", false: "", undecidable: "warn", error: "bad" }[said.answer] || "";
      answer.replaceChildren(h("p", {}, tag(said.answer, level), " ", said.why), said.reads.length ? table([["It reads"], ["Value"]], said.reads.map((read) => [h("code", {}, read.path), h("code", {}, read.value)]), "") : "");
    } catch (error) {
      answer.replaceChildren(h("p", { class: "del" }, error.message));
    }
  } }, h("label", {}, "Expression", expression), h("label", {}, "Against this call", call), h("div", {}, h("button", { class: "main" }, "Evaluate")), answer);
  call.style.width = "100%";
  return card("Try a rule", found.calls.length ? form : empty("There is no call to try a rule against in this time."));
}

async function configuration() {
  const found = await api("configuration");
  const blocks = Object.entries(found).map(([name, value]) => card(name, h("div", { class: "body" }, h("pre", {}, yaml(value).trimEnd()))));
  return blocks.length ? h("div", { class: "grid" }, blocks) : card("Configuration", empty("This gateway runs without a file."));
}

function yaml(value, indent = 0) {
  const pad = "  ".repeat(indent);
  if (Array.isArray(value)) return value.map((item) => pad + "- " + (item && typeof item === "object" ? yaml(item, indent + 1).trimStart() : yaml(item))).join("");
  if (value && typeof value === "object") return Object.entries(value).map(([key, inner]) => pad + key + ":" + (inner && typeof inner === "object" ? "\n" + yaml(inner, indent + 1) : " " + yaml(inner))).join("");
  return String(value) + "\n";
}

export const VIEWS = {
  overview: { title: "Overview", lead: "What was used, by whom, and how well it went.", ranged: true, show: overview },
  live: { title: "Live", lead: "Each call of this process as it ends.", show: live },
  calls: { title: "Calls", lead: "Every model and tool call in the ledger.", ranged: true, show: calls },
  sessions: { title: "Sessions", lead: "What an agent did: each model call, and the tools it asked for beneath it.", ranged: true, show: sessions },
  tools: { title: "Tools", lead: "How often tools are called, how well that goes, and whether they are still what was approved.", ranged: true, show: tools },
  costs: { title: "Tool costs", lead: "A tool is paid for in every request that defines it, and its results in every later turn.", ranged: true, show: costs },
  findings: { title: "Findings", lead: "What policies refused, masked or noted; alike ones are one row.", ranged: true, show: findings },
  limits: { title: "Limits", lead: "Who is near a limit, the nearest first.", show: limits },
  switches: { title: "Kill switches", lead: "What is off, everywhere, within a second.", show: switches },
  rules: { title: "Rules", lead: "Try an expression against a call that happened.", ranged: true, show: rules },
  configuration: { title: "Configuration", lead: "What is in force. Secrets are hidden.", show: configuration },
};
