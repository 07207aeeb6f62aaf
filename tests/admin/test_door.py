"""Who may look at the page, and who may change anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.admin.app import AdminApp
from gateway.admin.door import Door
from gateway.limits.spend_api import PREFIX
from gateway.stores.memory import MemoryStore
from gateway.telemetry import sinks
from gateway.telemetry.audit import Audit
from gateway.telemetry.recent import Recent
from gateway.telemetry.sinks import FileSink
from tests.admin.world import TOKEN
from tests.driver import Driver, Reply

HERE = {"host": "localhost:15000"}
KILL = {"kind": "user", "name": "mallory"}


def page(token: str = TOKEN, **options: Any) -> AdminApp:
    return AdminApp(MemoryStore(), recent=Recent(), token=token, **options)


async def signed_in(driver: Driver, token: str = TOKEN) -> dict[str, str]:
    """The headers of a browser that signed in, without its CSRF token."""
    reply = await post(driver, "/api/session-state", {"token": token}, HERE)
    assert reply.status == 200, reply.body
    return {**HERE, "cookie": reply.headers["set-cookie"].split(";")[0]}


async def post(driver: Driver, path: str, body: Any, headers: dict[str, str]) -> Reply:
    return await driver.post(path, body, headers={"content-type": "application/json", **headers})


async def csrf(driver: Driver, headers: dict[str, str]) -> dict[str, str]:
    state = (await driver.get("/api/session-state", headers=headers)).json
    return {**headers, "x-gateway-csrf": state["csrf"], "origin": "http://localhost:15000"}


@pytest.mark.parametrize(
    ("client", "headers", "status"),
    [
        ("127.0.0.1", HERE, 200),
        ("::1", {"host": "[::1]:15000"}, 200),
        ("10.0.0.9", HERE, 401),
        ("127.0.0.1", {"host": "rebound.evil.example"}, 401),
        ("127.0.0.1", {**HERE, "x-forwarded-for": "203.0.113.9"}, 401),
        ("127.0.0.1", {"host": "[broken"}, 401),
    ],
)
async def test_the_machine_itself_may_look_and_others_sign_in(
    client: str, headers: dict[str, str], status: int
) -> None:
    assert (await Driver(page(), client=client).get("/api/switches", headers=headers)).status == status


@pytest.mark.parametrize("path", ["/", "/app.js", "/api/session-state", "/api/switches"])
async def test_without_a_credential_nobody_from_elsewhere_sees_anything(path: str) -> None:
    reply = await Driver(page(token=""), client="10.0.0.9").get(path, headers=HERE)
    assert reply.status == 403
    assert "admin.token" in reply.json["error"]["message"]


async def test_without_a_credential_nobody_changes_anything() -> None:
    driver = Driver(page(token=""))
    assert (await driver.get("/api/switches", headers=HERE)).status == 200
    assert (await post(driver, "/api/switches", KILL, HERE)).status == 401
    assert (await post(driver, "/api/session-state", {"token": ""}, HERE)).status == 400
    assert (await post(driver, "/api/session-state", {"token": "x"}, HERE)).status == 401


async def test_an_admin_who_signed_in_on_the_page_changes_things_and_signs_out() -> None:
    driver = Driver(page())
    headers = await csrf(driver, await signed_in(driver))
    assert (await post(driver, "/api/switches", {**KILL, "reason": "stolen"}, headers)).status == 200
    (switch,) = (await driver.get("/api/switches", headers=HERE)).json["switches"]
    assert (switch["name"], switch["reason"]) == ("mallory", "stolen")
    left = await driver.request(
        "DELETE", "/api/session-state", body={}, headers={**headers, "content-type": "application/json"}
    )
    assert "Max-Age=0" in left.headers["set-cookie"]
    assert (await post(driver, "/api/switches", KILL, headers)).status == 401


async def test_the_cookie_is_for_this_site_only_and_out_of_reach_of_scripts() -> None:
    driver = Driver(page())
    reply = await driver.post(
        "/api/session-state", {"token": TOKEN},
        headers={**HERE, "content-type": "application/json", "x-forwarded-proto": "https"},
    )  # fmt: skip
    cookie = reply.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Secure" in cookie
    assert TOKEN not in cookie


@pytest.mark.parametrize(
    "without",
    [
        {"x-gateway-csrf": ""},
        {"x-gateway-csrf": "é"},
        {"origin": "https://evil.example"},
        {"sec-fetch-site": "cross-site"},
    ],
)
async def test_another_site_cannot_use_the_admins_cookie(without: dict[str, str]) -> None:
    driver = Driver(page())
    headers = {**await csrf(driver, await signed_in(driver)), **without}
    assert (await post(driver, "/api/switches", KILL, headers)).status == 403


async def test_a_form_of_another_site_cannot_post() -> None:
    driver = Driver(page())
    headers = await csrf(driver, await signed_in(driver))
    reply = await driver.post(
        "/api/switches", KILL, headers={**headers, "content-type": "application/x-www-form-urlencoded"}
    )
    assert reply.status == 415


@pytest.mark.parametrize("value", ["", "x", "1.x.y", "9999999999.forged.0000", 'a"b', "é.é.é"])
async def test_a_forged_cookie_signs_nobody_in(value: str) -> None:
    headers = {**HERE, "cookie": f"gateway_admin={value}"}
    state = (await Driver(page()).get("/api/session-state", headers=headers)).json
    assert state["signed_in"] is False


async def test_a_session_ends_after_half_a_day_and_belongs_to_one_credential() -> None:
    now = [1_000_000.0]
    door, scope = Door(token=TOKEN, clock=lambda: now[0]), {"client": ("127.0.0.1", 1)}
    cookie = {"cookie": f"gateway_admin={door.sign_in(TOKEN, '127.0.0.1')}", "host": "localhost"}
    assert door.visitor(scope, cookie).signed_in
    assert not Door(token="another", clock=lambda: now[0]).visitor(scope, cookie).signed_in
    now[0] += 12 * 3600
    assert not door.visitor(scope, cookie).signed_in


async def test_a_script_may_use_the_credential_as_a_bearer_token_from_anywhere() -> None:
    headers = {"host": "gateway.example", "authorization": f"Bearer {TOKEN}"}
    driver = Driver(page(), client="10.0.0.9")
    assert (await driver.get("/api/switches", headers=headers)).status == 200
    assert (await post(driver, "/api/switches", KILL, headers)).status == 200
    wrong = {**headers, "authorization": "Bearer nonsense"}
    assert (await driver.get("/api/switches", headers=wrong)).status == 401


async def test_guessing_is_slowed_down_for_the_guesser_only() -> None:
    app = page()
    guesser, other = Driver(app, client="10.0.0.9"), Driver(app)
    replies = [await post(guesser, "/api/session-state", {"token": f"guess {n}"}, HERE) for n in range(7)]
    assert [reply.status for reply in replies] == [401] * 5 + [429] * 2
    assert (await post(guesser, "/api/session-state", {"token": TOKEN}, HERE)).status == 429
    assert (await post(other, "/api/session-state", {"token": TOKEN}, HERE)).status == 200


async def test_guessing_by_bearer_token_is_slowed_down_as_well() -> None:
    driver = Driver(page(), client="10.0.0.9")
    headers = {"host": "gateway.example"}
    replies = [
        await driver.get("/api/switches", headers={**headers, "authorization": f"Bearer {n}"}) for n in range(7)
    ]  # fmt: skip
    assert [reply.status for reply in replies] == [401] * 5 + [429] * 2


async def test_every_change_and_every_sign_in_is_audited(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    audit = Audit(FileSink(path))
    driver = Driver(page(audit=audit))
    await post(driver, "/api/session-state", {"token": "wrong"}, HERE)
    headers = await csrf(driver, await signed_in(driver))
    await post(driver, "/api/switches", {**KILL, "reason": "stolen"}, headers)
    await driver.request(
        "DELETE", "/api/switches", body=KILL, headers={**headers, "content-type": "application/json"}
    )
    limit = {"scope": {"type": "user", "user_id": "ann"}, "amount": "100", "period": "daily"}
    made = await post(driver, PREFIX, limit, headers)
    audit.close()
    lines = [orjson.loads(line) for _, line in sinks.lines(path)]
    assert [(line["action"], line["outcome"]) for line in lines] == [
        ("sign in", "refused"),
        ("sign in", "ok"),
        ("kill", "ok"),
        ("restore", "ok"),
        ("spend limit post", "ok"),
    ]
    assert lines[2]["target"] == "user:mallory"
    assert lines[4]["target"] == made.json["id"]
    assert TOKEN not in path.read_text()


@pytest.mark.parametrize("path", ["/", "/app.js", "/style.css", "/api/switches", "/nothing"])
async def test_no_answer_may_be_framed_sniffed_or_run_from_elsewhere(path: str) -> None:
    headers = (await Driver(page()).get(path, headers=HERE)).headers
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"


async def test_the_page_asks_nobody_else_for_anything() -> None:
    for path in ("/", "/app.js", "/views.js", "/charts.js", "/style.css"):
        text = (await Driver(page()).get(path, headers=HERE)).body.decode()
        assert "innerHTML" not in text
        assert "https://" not in text.replace("http://www.w3.org/2000/svg", "")


async def test_under_a_path_of_another_port_the_page_finds_itself() -> None:
    driver = Driver(page(prefix="/admin"))
    moved = await driver.get("/admin", headers=HERE)
    assert (moved.status, moved.headers["location"]) == (308, "/admin/")
    assert (await driver.get("/admin/", headers=HERE)).status == 200
    assert (await driver.get("/admin/api/switches", headers=HERE)).status == 200


async def test_an_unchanged_file_is_not_sent_again() -> None:
    driver = Driver(page())
    first = await driver.get("/app.js", headers=HERE)
    again = await driver.get("/app.js", headers={**HERE, "if-none-match": first.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
