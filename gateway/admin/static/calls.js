// Calls one by one: as they end, as the ledger has them, one from client to upstream and back, and those of a session.
import { api, asked, go, panel, say, state } from "./app.js";
import { ACTIONS, OUTCOMES, card, empty, outcome, pair, table, tag } from "./blocks.js";
import { bytes, duration, h, moment, money, number } from "./charts.js";

// One line of a call, from the tail or from the ledger.
function callRow(call) {
  const what = call.tool ? `${call.server}/${call.tool}` : call.model || call.method || call.path;
  const tokens = call.tokens ?? (call.usage ? call.usage.input + call.usage.output + call.usage.cache_read + call.usage.cache_write + call.usage.cache_write_1h : 0);
  const id = call.call || call.id;
  const open = () => inspect(id, call);
  return { open, cells: [moment(call.at), h("button", { class: "plain", onclick: open }, what), call.user || call.principal, h("span", {}, outcome(call.outcome), call.policy ? ` ${call.policy}` : "", (call.verdicts || []).filter((v) => v.action !== "refuse").map((v) => [" ", tag(`${v.policy}: ${ACTIONS[v.action][0]}`, ACTIONS[v.action][1])])), number(tokens), money(call.usd), duration(call.ms ?? call.duration_ms)] };
}
const CALL_HEAD = [["When", "when"], ["What", "grow"], ["Who", "rare"], ["Outcome"], ["Tokens", "n rare"], ["Dollars", "n rare"], ["Took", "n"]];

export async function calls() {
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

export function live() {
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

export async function inspect(id, known) {
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

export async function sessions() {
  const open = state.query.get("open");
  if (open) return session(open);
  const found = await api("sessions?" + asked());
  const note = found.newest_since > found.since ? h("span", { class: "note" }, `of the newest calls, since ${moment(found.newest_since)}`) : null;
  return card("Sessions", table([["Session"], ["Who"], ["Calls", "n"], ["Refused", "n rare"], ["Tokens", "n rare"], ["Dollars", "n"]], found.sessions.map((one) => ({
    open: () => go({ open: one.session }),
    cells: [h("button", { class: "plain code", onclick: () => go({ open: one.session }) }, one.session), one.user || "–", number(one.calls), one.refused ? tag(number(one.refused), "warn") : "0", number(one.tokens), money(one.usd)],
  })), "No call named a session in this time."), note);
}

async function session(id) {
  const found = await api(`session/${encodeURIComponent(id)}?` + asked());
  const line = (one, text) => h("div", { class: "line" }, h("span", { class: "soft small" }, moment(one.at)), h("button", { class: "plain", onclick: () => inspect(one.call, one) }, text), outcome(one.outcome), one.policy ? h("span", { class: "small soft" }, `${one.policy} ${one.rule}`) : null, h("span", { class: "push small soft" }, one.kind === "llm" ? `${number(one.usage ? one.usage.input + one.usage.cache_read + one.usage.cache_write + one.usage.cache_write_1h + one.usage.output : 0)} tokens · ${money(one.usd)} · ` : "", duration(one.duration_ms)));
  return [
    h("div", { class: "fields above" }, h("button", { onclick: () => go({ open: "" }) }, "← All sessions"), h("code", {}, id), outcomePicker()),
    h("div", { class: "turns" }, found.turns.length ? found.turns.map((turn) => h("div", { class: "card" }, turn.call ? line(turn.call, `${turn.call.model}`) : h("div", { class: "line soft" }, "Tools without a model call"), turn.tools.length ? h("div", { class: "turn" }, turn.tools.map((tool) => line(tool, `${tool.server}/${tool.tool || tool.method}`))) : null)) : empty("No call of this session in this time.")),
  ];
}
