// What the policies did and what they are, and a place to try a rule.
import { api, asked, change, go, panel, signIn, state } from "./app.js";
import { ACTIONS, admin, card, empty, limitTable, pair, table, tag } from "./blocks.js";
import { inspect } from "./calls.js";
import { h, moment, number } from "./charts.js";

export async function findings() {
  const found = await api("findings?" + asked());
  const rows = found.findings.map((finding) => ({
    open: () => findingPanel(finding),
    cells: [h("div", {}, h("button", { class: "plain", onclick: () => findingPanel(finding) }, `${finding.policy}: ${finding.rule || finding.reason || "–"}`), h("div", { class: "soft small" }, finding.subject)), tag(ACTIONS[finding.action]?.[0] || finding.action, ACTIONS[finding.action]?.[1]), number(finding.count), finding.last],
  }));
  return card("Alike ones are one row", table([["Finding", "grow"], ["Said"], ["Calls", "n"], ["Last", "when rare"]], rows, "No policy had anything to say in this time."));
}

function findingPanel(finding) {
  panel(`${finding.policy}: ${ACTIONS[finding.action]?.[0] || finding.action}`,
    h("section", {}, pair([["Rule", h("code", {}, finding.rule)], ["On", finding.subject], ["Reason", finding.reason], ["Calls", number(finding.count)], ["First", finding.first], ["Last", finding.last], ["Newest callers", finding.users.join(", ")]])),
    h("section", {}, h("button", { onclick: () => { document.getElementById("panel").close(); go({ findings: finding.findings }, "calls"); } }, "Show such calls")),
    finding.calls.length ? h("section", {}, h("h2", {}, "Newest of this process"), h("ul", {}, finding.calls.map((id) => h("li", {}, h("button", { class: "plain code", onclick: () => inspect(id, { call: id }) }, id))))) : null);
}

export async function limits() {
  const found = await api("limits");
  if (!found.limits) return card("Limits", empty("No limit is configured."));
  return card("Limits and budgets in use", limitTable(found.limits, "Nothing was counted against a limit yet."));
}

const NAMED = { user: "name, e-mail or id", key: "the key's id", model: "as asked for, or as billed", tool: "tool, or server/tool", server: "as the file names it", route: "its path" };

export async function switches() {
  const found = await api("switches");
  const rows = found.switches.map((one) => [h("span", {}, tag(one.kind), " ", one.name), one.reason || "–", moment(one.since), one.until ? new Date(one.until * 1000).toLocaleString("en-GB") : "until restored", admin(h("button", { onclick: () => change("switches", { method: "DELETE", body: { kind: one.kind, name: one.name } }, "Restored.") }, "Restore")) || ""]);
  const kind = h("select", { onchange: () => name.setAttribute("placeholder", NAMED[kind.value]) }, found.kinds.map((name) => h("option", {}, name)));
  const name = h("input", { required: true, placeholder: NAMED[found.kinds[0]] });
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

export async function rules() {
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

export async function configuration() {
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
