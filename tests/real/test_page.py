"""The page in a real browser: what a person sees and does, and what a hostile server cannot."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from playwright.async_api import Browser, Page, async_playwright

from tests.admin.world import HOSTILE, TOKEN, Pinned, world
from tests.whole.process import serving
from tests.whole.running import until

pytestmark = pytest.mark.real
VIEWS = ("overview", "live", "calls", "sessions", "tools", "costs", "findings", "limits", "switches", "rules", "configuration")  # fmt: skip


@dataclass
class Opened:
    browser: Browser
    url: str
    pins: Pinned
    said: list[str] = field(default_factory=list)  # what the browser complained about

    async def page(self, **options: Any) -> Page:
        context = await self.browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        page = await context.new_page()
        page.on("console", lambda message: self.said.append(message.text) if message.type in ("error", "warning") else None)  # fmt: skip
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", lambda request: self._own(request.url))
        return page

    def _own(self, url: str) -> None:
        if not url.startswith((self.url, "data:")):
            self.said.append(f"asked {url}")

    async def show(self, page: Page, view: str, query: str = "") -> None:
        await page.goto(f"{self.url}/#{view}?{query}")
        await page.locator("#view:not([aria-busy]) > *").first.wait_for()


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    program = shutil.which("chromium")
    assert program, "chromium is missing: run scripts/tools/debian"
    app, _, pins = await world(records=1500)
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="warning", lifespan="off", ws="none", timeout_graceful_shutdown=5)
    )
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
            yield Opened(browser, f"http://127.0.0.1:{listening.getsockname()[1]}", pins)
            await browser.close()
    finally:
        server.should_exit = True
        await serving
        listening.close()


@pytest.mark.parametrize("width", [400, 1600])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_view_fits_runs_nothing_hostile_and_breaks_no_rule_of_its_own(
    opened: Opened, width: int, scheme: Any
) -> None:
    page = await opened.page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    for view in VIEWS:
        await opened.show(page, view, "range=30d")
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{view} overflows"
        assert await page.title() != "owned"
        assert await page.locator("main .error").count() == 0, await page.locator("main .error").all_text_contents()  # fmt: skip
    assert opened.said == []


async def contrast(page: Page, selector: str) -> float:
    script = """(element) => {
      const channels = (text) => text.match(/[\\d.]+/g).slice(0, 3).map(Number);
      const light = (rgb) => { const [r, g, b] = rgb.map((v) => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
      let behind = element, ground = "rgba(0, 0, 0, 0)";
      while (behind && /rgba\\(.*, 0\\)/.test(ground)) { ground = getComputedStyle(behind).backgroundColor; behind = behind.parentElement; }
      const [a, b] = [light(channels(getComputedStyle(element).color)), light(channels(ground))].sort((x, y) => y - x);
      return (a + .05) / (b + .05);
    }"""
    return float(await page.locator(selector).first.evaluate(script))


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_text_can_be_read_in_both_schemes(opened: Opened, scheme: Any) -> None:
    page = await opened.page(color_scheme=scheme)
    await opened.show(page, "overview", "range=30d")
    for selector in ("h1", "#lead", ".fact .name", ".fact .value", ".fact.warn .value", "th", "td", "button.plain",
                     "nav a", ".tag.warn", ".tag.bad", ".legend span"):  # fmt: skip
        assert await contrast(page, selector) >= 4.5, f"{selector} in {scheme}"


async def test_what_a_server_calls_its_tool_is_shown_as_text(opened: Opened) -> None:
    page = await opened.page()
    await opened.show(page, "tools")
    await page.get_by_role("button", name=f"weather/{HOSTILE}").click()
    assert HOSTILE in (await page.locator("dialog pre").inner_text())
    assert await page.locator("dialog img, main img, dialog script").count() == 0
    assert await page.title() != "owned"
    assert opened.said == []


async def test_the_overview_leads_by_keyboard_to_one_call_and_back(opened: Opened) -> None:
    page = await opened.page()
    await opened.show(page, "overview", "range=30d")
    chart = page.locator(".chart")
    await chart.focus()
    await page.keyboard.press("End")
    assert "$" in await page.locator(".tip").inner_text()
    await page.keyboard.press("Escape")
    await page.keyboard.press("3")
    await page.locator("h1", has_text="Calls").wait_for()
    first = page.locator("tbody button").nth(1)
    await first.focus()
    await page.keyboard.press("Enter")
    panel = page.locator("dialog[open]")
    await panel.get_by_text("From client to upstream and back").wait_for()
    text = await panel.inner_text()
    assert "attempt: anthropic 200" in text
    assert "authorization" in text
    assert "never-shown" not in text
    await page.keyboard.press("Escape")
    assert await page.locator("dialog[open]").count() == 0
    assert opened.said == []


async def test_an_admin_signs_in_throws_a_switch_restores_it_and_signs_out(opened: Opened) -> None:
    page = await opened.page()
    await opened.show(page, "switches")
    assert await page.get_by_role("button", name="Switch off").count() == 0
    await page.get_by_role("button", name="Sign in", exact=True).click()
    await page.get_by_label("Admin credential").fill("wrong")
    await page.keyboard.press("Enter")
    await page.get_by_text("that is not the admin credential").wait_for()
    await page.get_by_label("Admin credential").fill(TOKEN)
    await page.keyboard.press("Enter")
    await page.get_by_label("Name").fill("eve@example.com")
    await page.get_by_label("Reason").fill("left the company")
    await page.get_by_role("button", name="Switch off").click()
    row = page.locator("tr", has_text="eve@example.com")
    await row.get_by_text("left the company").wait_for()
    await row.get_by_role("button", name="Restore").click()
    await row.wait_for(state="detached")
    await opened.show(page, "tools")
    await page.locator("tr", has_text="postgres/query").get_by_role("button", name="Approve").click()
    await page.get_by_text("Approved.", exact=True).wait_for()
    assert opened.pins.approved == [("postgres", "query")]
    await page.get_by_role("button", name="Sign out").click()
    await page.get_by_role("button", name="Sign in", exact=True).wait_for()
    await page.get_by_role("button", name="Approve").first.wait_for(state="detached")
    # A browser notes each answer that is an error: here the wrong credential's, and no other.
    assert [text for text in opened.said if "401" not in text] == []


async def test_the_live_tail_shows_calls_and_can_be_paused(opened: Opened) -> None:
    page = await opened.page()
    await opened.show(page, "live")
    await page.locator("tbody tr").nth(10).wait_for()
    await page.get_by_role("button", name="Pause").click()
    assert await page.get_by_text("paused").count() == 1
    assert opened.said == []


async def test_a_rule_is_tried_against_a_past_call(opened: Opened) -> None:
    page = await opened.page()
    await opened.show(page, "rules", "kind=mcp")
    await page.get_by_label("Expression").last.fill('jwt.role == "developer"')
    await page.get_by_role("button", name="Evaluate").click()
    await page.locator(".tag", has_text="true").wait_for()
    await page.get_by_label("Expression").last.fill('request.body.contains("x")')
    await page.get_by_role("button", name="Evaluate").click()
    await page.locator(".tag", has_text="undecidable").wait_for()
    assert opened.said == []


async def test_a_site_elsewhere_can_neither_read_nor_change_nor_frame_the_page(opened: Opened) -> None:
    page = await opened.page()
    await opened.show(page, "switches")
    await page.get_by_role("button", name="Sign in", exact=True).click()
    await page.get_by_label("Admin credential").fill(TOKEN)
    await page.keyboard.press("Enter")
    await page.get_by_role("button", name="Sign out").wait_for()
    elsewhere = await page.context.new_page()
    attack = """async (url) => {
      const body = JSON.stringify({kind: "user", name: "alice@example.com"});
      const tries = [
        fetch(url + "/api/switches", {method: "POST", credentials: "include", mode: "no-cors", body}),
        fetch(url + "/api/switches", {method: "POST", credentials: "include", body, headers: {"content-type": "application/json"}}),
        fetch(url + "/api/calls", {credentials: "include"}).then((r) => r.json()),
      ];
      const frame = document.createElement("iframe");
      frame.src = url;
      document.body.append(frame);
      await new Promise((done) => (frame.onload = done));
      const read = await Promise.allSettled(tries);
      return {framed: frame.contentDocument !== null && frame.contentDocument.title === "Gateway", read: read.map((r) => r.status)};
    }"""
    await elsewhere.goto("data:text/html,<body>elsewhere</body>")
    found = await elsewhere.evaluate(attack, opened.url)
    assert found["read"][1:] == ["rejected", "rejected"]
    assert not found["framed"]
    await opened.show(page, "switches")
    assert await page.locator("tr", has_text="alice@example.com").count() == 0


async def ask(client: httpx.AsyncClient, text: str, **headers: str) -> httpx.Response:
    tools = [{"name": "mcp__math__add", "description": "Adds.", "input_schema": {"type": "object"}}]
    body = {
        "model": "claude-sonnet-5",
        "max_tokens": 99,
        "tools": tools,
        "messages": [{"role": "user", "content": text}],
    }
    return await client.post("/v1/messages", json=body, headers=headers)


async def add(client: httpx.AsyncClient, use: str = "") -> Any:
    params = {"name": "add", "arguments": {"a": 1, "b": 2}, "_meta": {"claudecode/toolUseId": use}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    return (await client.post("/mcp", json=message)).json()["result"]


async def test_the_demos_page_shows_an_agents_turn_and_switches_its_tool_off(tmp_path: Path) -> None:
    program = shutil.which("chromium")
    assert program, "chromium is missing: run scripts/tools/debian"
    async with (
        serving("--demo", "--port", "0", cwd=tmp_path, env={"GATEWAY_DEMO_KEY": TOKEN}) as demo,
        async_playwright() as playwright,
        httpx.AsyncClient(base_url=demo.url, headers={"authorization": f"Bearer {TOKEN}"}) as client,
    ):
        url = (await demo.line("the page")).split()[-1]
        answer = await ask(
            client, 'call mcp__math__add {"a": 1, "b": 2}', **{"x-claude-code-session-id": "turn-1"}
        )
        assert (await add(client, answer.json()["content"][0]["id"]))["content"][0]["text"] == "3"
        await client.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        opened = Opened(browser, url, Pinned())
        page = await opened.page()
        await opened.show(page, "sessions", "open=turn-1")
        turn = page.locator(".turns .card")
        assert "claude-sonnet-5" in await turn.locator("> .line").inner_text()
        assert "math/add" in await turn.locator(".turn .line").inner_text()
        await turn.get_by_role("button", name="claude-sonnet-5").click()
        for told in ("guard", "attempt: demo 200", "Not shown: "):
            await page.locator("dialog[open]").get_by_text(told).first.wait_for()
        assert "call mcp__math__add" in await page.locator("dialog pre").inner_text()
        await page.keyboard.press("Escape")
        await opened.show(page, "costs")
        await page.locator("tr", has_text="math/add").get_by_text("never in a day").wait_for()
        await opened.show(page, "tools")
        await page.locator("tr", has_text="math/multiply").get_by_text("approved").wait_for()
        await opened.show(page, "configuration")
        assert TOKEN not in await page.locator("main").inner_text()
        await page.get_by_role("button", name="Sign in", exact=True).click()
        await page.get_by_label("Admin credential").fill(TOKEN)
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="Sign out").wait_for()
        await opened.show(page, "switches")
        await page.get_by_label("What").select_option("tool")
        await page.get_by_label("Name").fill("math/add")
        await page.get_by_role("button", name="Switch off").click()
        await page.locator("tr", has_text="math/add").wait_for()

        async def off() -> bool:
            return bool((await add(client)).get("isError"))

        await until(off)

        async def told_of() -> bool:  # a record waits a moment before it is in the ledger
            await opened.show(page, "switches")
            await opened.show(page, "findings")
            return bool(await page.locator("tr", has_text="kill").count())

        await until(told_of)
        assert opened.said == []
        await browser.close()
