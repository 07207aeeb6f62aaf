// The frame: which view, over which time, for whom.
import { h } from "./charts.js";
import { VIEWS } from "./views.js";

const RANGES = { "1h": 3600, "24h": 86400, "7d": 7 * 86400, "30d": 30 * 86400, "1y": 365 * 86400 };
const $ = (id) => document.getElementById(id);
export const state = { session: {}, view: "overview", query: new URLSearchParams(), leave: [] };

export async function api(path, { method = "GET", body } = {}) {
  const headers = body === undefined ? {} : { "content-type": "application/json" };
  if (method !== "GET" && state.session.csrf) headers["x-gateway-csrf"] = state.session.csrf;
  const response = await fetch("api/" + path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), credentials: "same-origin" });
  const found = await response.json().catch(() => ({}));
  if (!response.ok) throw Object.assign(new Error(found.error?.message || `status ${response.status}`), { status: response.status });
  return found;
}

// The window and the filters of the address, for the API.
export function asked(more = {}) {
  const until = Math.ceil(Date.now() / 1000) + 1;
  const query = new URLSearchParams(state.query);
  const range = query.get("range") || "24h";
  for (const name of ["range", "unit", "open"]) query.delete(name);
  query.set("since", until - (RANGES[range] || RANGES["24h"]));
  query.set("until", until);
  for (const [name, value] of Object.entries(more)) query.set(name, value);
  return query.toString();
}

export function go(changes, view = state.view) {
  const query = view === state.view ? new URLSearchParams(state.query) : new URLSearchParams({ range: state.query.get("range") || "24h" });
  for (const [name, value] of Object.entries(changes)) value ? query.set(name, value) : query.delete(name);
  location.hash = `${view}?${query}`;
}

export function say(text) {
  $("said").textContent = text;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => ($("said").textContent = ""), 5000);
}

export async function change(path, options, done) {
  try {
    await api(path, options);
    say(done);
    $("panel").close();
    await render({ quiet: true });
  } catch (error) {
    say(error.message);
  }
}

export function panel(title, ...content) {
  const dialog = $("panel");
  dialog.className = "";
  dialog.replaceChildren(
    h("div", { class: "top" }, h("h2", {}, title), h("button", { onclick: () => dialog.close(), "aria-label": "Close" }, "Close")),
    h("div", { class: "body" }, ...content),
  );
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  return dialog;
}

export function choice(options, current, pick, label) {
  return h("div", { class: "choice", role: "group", "aria-label": label }, options.map(([value, text]) =>
    h("button", { type: "button", "aria-pressed": String(value === current), onclick: () => pick(value) }, text)));
}

function controls(view) {
  const parts = [];
  const filters = [...state.query].filter(([name]) => !["range", "by", "unit", "open"].includes(name));
  for (const [name, value] of filters)
    parts.push(h("button", { onclick: () => go({ [name]: "" }), title: "Remove this filter" }, `${name}: ${value}  ×`));
  if (view.ranged) parts.push(choice(Object.keys(RANGES).map((r) => [r, r]), state.query.get("range") || "24h", (range) => go({ range }), "Time"));
  $("controls").replaceChildren(...parts);
}

function who() {
  const { signed_in, has_credential } = state.session;
  if (signed_in) $("who").replaceChildren(h("span", { class: "tag good" }, "admin"), h("button", { onclick: signOut }, "Sign out"));
  else if (has_credential) $("who").replaceChildren(h("span", { class: "rare" }, "read-only"), h("button", { onclick: signIn }, "Sign in"));
  else $("who").replaceChildren(h("span", { class: "tag", title: "Set admin.token in the configuration to allow changes" }, "read-only"));
}

export function signIn() {
  const input = h("input", { type: "password", autocomplete: "current-password", required: true, "aria-label": "Admin credential" });
  const wrong = h("p", { class: "small", role: "alert" });
  const form = h("form", { onsubmit: submit }, h("p", { class: "soft small" }, "With the credential that stands as admin.token in the configuration."), h("label", {}, "Admin credential", input), wrong, h("button", { class: "main" }, "Sign in"));
  async function submit(event) {
    event.preventDefault();
    try {
      await api("session-state", { method: "POST", body: { token: input.value } });
      $("panel").close();
      await start();
    } catch (error) {
      wrong.textContent = error.message;
      wrong.className = "small del";
      input.select();
    }
  }
  form.className = "grid";
  panel("Sign in", form).classList.add("small-box");
  input.focus();
}

async function signOut() {
  await api("session-state", { method: "DELETE", body: {} });
  await start();
}

let turn = 0;
export async function render({ quiet = false } = {}) {
  const [name, query] = location.hash.slice(1).split("?");
  const moved = name !== state.view;
  state.view = VIEWS[name] ? name : "overview";
  state.query = new URLSearchParams(query || "");
  state.leave.splice(0).forEach((leave) => leave());
  const view = VIEWS[state.view];
  $("nav").replaceChildren(...Object.entries(VIEWS).map(([key, { title }]) =>
    h("a", { href: `#${key}?range=${state.query.get("range") || "24h"}`, "aria-current": key === state.view ? "page" : false }, title)));
  $("nav").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  document.title = `${view.title} · gateway`;
  $("title").textContent = view.title;
  $("lead").textContent = view.lead;
  controls(view);
  const mine = ++turn;
  if (!state.session.may_look) {
    $("view").replaceChildren(h("div", { class: "card empty" }, h("p", {}, "Sign in with the admin credential to see the gateway's traffic."), h("p", {}, h("button", { class: "main", onclick: signIn }, "Sign in"))));
    return;
  }
  if (!quiet) $("view").setAttribute("aria-busy", "true");
  try {
    const content = await view.show();
    if (mine === turn) $("view").replaceChildren(...[content].flat());
  } catch (error) {
    if (mine === turn) $("view").replaceChildren(h("div", { class: "error", role: "alert" }, error.message));
  }
  if (mine === turn) $("view").removeAttribute("aria-busy");
  if (moved) $("main").focus({ preventScroll: true });
}

export async function start() {
  state.session = await api("session-state").catch(() => ({}));
  who();
  await render();
}

addEventListener("hashchange", () => render());
addEventListener("keydown", (event) => {
  if (event.target.closest("input, textarea, select, dialog") || event.ctrlKey || event.metaKey || event.altKey) return;
  const index = "1234567890".indexOf(event.key);
  if (index >= 0 && Object.keys(VIEWS)[index]) go({}, Object.keys(VIEWS)[index]);
});
$("panel").addEventListener("click", (event) => event.target === $("panel") && $("panel").close());
start();
