import asyncio
import json
from typing import Any

import pytest

from gateway.call import Call
from gateway.errors import StoreError
from gateway.identity import keys
from gateway.identity.attribution import Attributing
from gateway.identity.jwt import Verifier
from gateway.identity.keys import ListedKeys, StoredKeys
from gateway.mcp.metadata import Resource
from gateway.middleware.access import AccessMiddleware
from gateway.middleware.auth import AuthMiddleware
from gateway.middleware.authz import AuthzMiddleware
from gateway.stores.memory import MemoryStore
from gateway.types import Receive, Scope, Send
from tests.driver import Driver, Reply
from tests.identity.issuer import AUDIENCE, ISSUER, Clock, Issuer

ADA, BOB = "sk-team-a-0123456789", "sk-team-b-0123456789"
LISTED = [{"key": ADA, "id": "a", "owner": "ada", "groups": ["dev"]}, {"key": BOB, "id": "b", "owner": "bob"}]
RESOURCE = Resource(AUDIENCE, authorization_servers=(ISSUER,), scopes=("read:all",))


async def seen(scope: Scope, receive: Receive, send: Send) -> None:
    """What everything behind the middleware sees."""
    call = Call.of(scope)
    facts = {"id": call.principal.id, "ip": call.ip, "query": scope["query_string"].decode(), "call_query": call.query,
             "headers": [[k.decode(), v.decode()] for k, v in scope["headers"]], "call_headers": dict(call.headers),
             "user": call.attribution.user, "agent": call.attribution.agent, "project": call.attribution.project,
             "session": call.attribution.session, "unverified": sorted(call.attribution.unverified)}  # fmt: skip
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(facts).encode()})


def verifier(issuer: Issuer) -> Verifier:
    return Verifier(issuer=ISSUER, audiences=[AUDIENCE], keys=issuer, clock=issuer.clock)  # fmt: skip


def guarded(**options: Any) -> Driver:
    """As a gateway composes it: heads that come again are known."""
    return Driver(AccessMiddleware(AuthMiddleware(seen, **{"keys": [ListedKeys(LISTED)], **options})))


async def ask(driver: Driver, *headers: tuple[str, str], path: str = "/v1/messages") -> Reply:
    first, again = [await driver.post(path, b"{}", headers=headers) for _ in range(2)]
    assert (again.status, again.body) == (first.status, first.body) or first.status >= 400
    return again


async def test_row_10_an_authorization_header_that_stands_twice_is_400() -> None:
    for name, value in (("authorization", f"Bearer {ADA}"), ("x-api-key", ADA)):
        assert (await ask(guarded(), (name, value), (name, value))).status == 400
        assert (await ask(guarded(), (name, value), (name.upper(), "Bearer other"))).status == 400


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("authorization", f"Bearer {ADA}"),
        ("authorization", f"bearer  {ADA} "),
        ("x-api-key", ADA),
        ("x-goog-api-key", ADA),
        ("x-gateway-key", ADA),
    ],
)
async def test_row_11_the_credential_goes_no_further_than_the_middleware(name: str, value: str) -> None:
    reply = await ask(guarded(), (name, value), ("x-other", "stays"))
    assert reply.json["id"] == "key:a"
    assert ADA not in reply.body.decode()
    assert ["x-other", "stays"] in reply.json["headers"]


async def test_row_11_a_token_goes_no_further_either() -> None:
    issuer = Issuer(Clock())
    token = issuer.token()
    driver = guarded(jwt=[verifier(issuer)], clock=issuer.clock)
    reply = await ask(driver, ("authorization", f"Bearer {token}"))
    assert reply.status == 200
    assert token not in reply.body.decode()


async def test_bearer_and_api_key_may_be_the_same() -> None:
    reply = await ask(guarded(), ("authorization", f"Bearer {ADA}"), ("x-api-key", ADA))
    assert (reply.json["id"], ADA in reply.body.decode()) == ("key:a", False)


async def test_a_providers_own_credential_may_stand_beside_the_gateways_key_and_is_left_there() -> None:
    reply = await ask(guarded(), ("authorization", "Bearer sk-ant-oat-1"), ("x-gateway-key", ADA))
    assert reply.json["id"] == "key:a"
    assert ["authorization", "Bearer sk-ant-oat-1"] in reply.json["headers"]


async def test_credentials_of_two_callers_are_400() -> None:
    assert (await ask(guarded(), ("authorization", f"Bearer {ADA}"), ("x-api-key", BOB))).status == 400


@pytest.mark.parametrize(
    ("headers", "path", "status"),
    [
        ([("x-api-key", ADA)], "/v1/messages", 400),
        ([("x-api-key", BOB)], "/v1/messages", 400),
        ([("x-goog-api-key", BOB)], "/v1/messages", 400),
        ([("x-gateway-key", BOB)], "/v1/messages", 400),
        ([("authorization", f"Bearer {BOB}")], "/v1/messages", 400),
        ([], f"/v1/messages?access_token={BOB}", 401),
        ([], f"/v1/messages?access_t%6fken={BOB}", 401),
        ([], "/v1/messages?beta=true", 200),
        ([("accept", "*/*"), ("accept", "text/html")], "/v1/messages", 200),
    ],
)
async def test_whoever_was_recognised_a_moment_ago_is_looked_at_again_when_anything_else_stands_beside(
    headers: list[tuple[str, str]], path: str, status: int
) -> None:
    driver, own = guarded(), ("x-api-key", ADA)
    for _ in range(2):
        assert (await ask(driver, own)).json["id"] == "key:a"
    for _ in range(2):
        reply = await ask(driver, own, *headers, path=path)
        assert reply.status == status
        assert ADA not in reply.body.decode()
    assert (await ask(driver, ("authorization", f"Bearer {ADA}"))).json["id"] == "key:a"
    assert (await ask(driver, ("x-api-key", BOB))).json["id"] == "key:b"
    assert (await ask(driver, ("x-api-key", f"Bearer {ADA}"))).status == 401


async def test_two_credentials_of_one_caller_last_as_long_as_the_shorter() -> None:
    clock, store = Clock(), MemoryStore()
    first, second = (keys.make(owner="ada", expires=clock() + life, at=clock()) for life in (40, 20))
    await store.put("key", first.id, first.document)
    await store.put("key", second.id, {**second.document, "id": first.id})
    driver = guarded(keys=[StoredKeys(store, clock=clock)], clock=clock)
    both = (("x-api-key", first.text), ("authorization", f"Bearer {second.text}"))
    assert (await ask(driver, *both)).json["id"] == f"key:{first.id}"
    clock.now += 19
    reply = await ask(driver, *both)
    assert second.text not in reply.body.decode()
    clock.now += 2
    assert second.text in (await ask(driver, *both)).body.decode()  # it is nothing to us any more
    clock.now += 20
    assert (await ask(driver, *both)).status == 401


async def test_what_was_nothing_to_us_beside_a_good_credential_is_looked_at_again() -> None:
    clock, store = Clock(), MemoryStore()
    key = keys.make(owner="bob", at=clock())
    driver = guarded(keys=[ListedKeys(LISTED, clock=clock), StoredKeys(store, clock=clock)], clock=clock)
    both = (("x-api-key", ADA), ("authorization", f"Bearer {key.text}"))
    assert (await ask(driver, *both)).json["id"] == "key:a"
    await keys.add(store, key)
    clock.now += 2
    assert (await ask(driver, *both)).status == 400


async def test_a_remembered_caller_is_still_charged_by_what_each_request_says() -> None:
    driver = guarded(attribution=Attributing(user=["header:x-fi-user"], required=["user"]))
    for user, status in (("a", 200), ("b", 200), ("", 403), ("a", 200)):
        reply = await ask(driver, ("x-api-key", ADA), ("x-fi-user", user))
        assert reply.status == status
        assert status != 200 or reply.json["user"] == user


async def test_a_remembered_caller_may_be_charged_by_a_header_that_names_the_single_request() -> None:
    driver = guarded(attribution=Attributing(user=["header:X-Request-Id"]))
    for user in ("a", "b", "a"):
        reply = await ask(driver, ("x-api-key", ADA), ("x-request-id", user))
        assert reply.json["user"] == user


@pytest.mark.parametrize("headers", [[], [("authorization", "Basic YWRhOnB3")], [("authorization", "Bearer ")], [("x-api-key", "")]])  # fmt: skip
async def test_nothing_that_we_can_read_is_no_credential(headers: list[tuple[str, str]]) -> None:
    reply = await ask(guarded(), *headers)
    assert (reply.status, reply.headers["x-should-retry"]) == (401, "false")
    assert "Authorization: Bearer" in reply.json["error"]["message"]


async def test_the_refusal_is_in_the_callers_dialect() -> None:
    assert (await ask(guarded())).json["error"]["type"] == "authentication_error"
    assert (await ask(guarded(), path="/v1beta/models/gemini-3:generateContent")).json["error"]["status"] == "UNAUTHENTICATED"  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "none", "bad"), [("strict", 401, 401), ("optional", 200, 401), ("permissive", 200, 200)]
)
async def test_the_mode_says_what_becomes_of_a_missing_and_of_a_bad_credential(
    mode: str, none: int, bad: int
) -> None:
    driver = guarded(mode=mode)
    assert (await ask(driver)).status == none
    assert (await ask(driver, ("x-api-key", "wrong"))).status == bad
    assert (await ask(driver, ("x-api-key", ADA))).json["id"] == "key:a"


async def test_observing_lets_everybody_pass_and_notes_it() -> None:
    reply = await ask(guarded(enforce=False))
    assert (reply.status, reply.json["id"]) == (200, "anonymous")


@pytest.mark.parametrize("path", ["/", "/api/hello"])
async def test_a_probe_is_answered_without_a_credential(path: str) -> None:
    reply = await guarded().request("HEAD", path)
    assert (reply.status, reply.body) == (200, b"")
    assert (await guarded().request("HEAD", "/v1/messages")).status == 401


async def test_a_probe_of_a_routes_own_base_is_answered() -> None:
    app = AuthMiddleware(seen, keys=[ListedKeys(LISTED)])

    async def routed(scope: Scope, receive: Receive, send: Send) -> None:
        Call.of(scope).route = "/gemini"
        await app(scope, receive, send)

    for path in ("/gemini", "/gemini/", "/gemini/api/hello"):
        assert (await Driver(routed).request("HEAD", path)).status == 200
    assert (await Driver(routed).request("HEAD", "/gemini/v1/messages")).status == 401


@pytest.mark.parametrize("path", ["/healthz", "/health", "/readyz"])
async def test_health_needs_no_credential(path: str) -> None:
    assert (await guarded().get(path)).status == 200


@pytest.mark.parametrize("query", [f"access_token={ADA}", f"key={ADA}", f"token={ADA}"])
async def test_a_token_in_the_query_is_refused_with_the_reason(query: str) -> None:
    reply = await guarded().post(f"/v1/messages?{query}")
    assert reply.status == 401
    assert "query string" in reply.json["error"]["message"]


async def test_a_token_in_the_query_is_refused_beside_a_good_header_too() -> None:
    reply = await guarded().post(f"/v1/messages?access_token={ADA}", headers={"x-api-key": ADA})
    assert reply.status == 401


async def test_a_query_parameter_of_the_apps_own_is_left_alone() -> None:
    reply = await guarded().post("/v1/messages?beta=true&key=value", headers={"x-api-key": ADA})
    assert (reply.status, reply.json["query"]) == (200, "beta=true&key=value")


async def test_a_token_in_the_query_is_taken_where_the_operator_says_so_and_goes_no_further() -> None:
    reply = await guarded(query_tokens=True).post(f"/v1/messages?beta=true&access_token={ADA}")
    assert reply.json["id"] == "key:a"
    assert (reply.json["query"], reply.json["call_query"]) == ("beta=true", "beta=true")
    assert ADA not in reply.body.decode()


@pytest.mark.parametrize(
    ("hops", "forwarded", "expected"),
    [
        (0, ["10.0.0.1"], "203.0.113.9"),
        (1, ["10.0.0.1"], "10.0.0.1"),
        (1, ["6.6.6.6, 10.0.0.1"], "10.0.0.1"),
        (1, ["6.6.6.6", "10.0.0.1"], "10.0.0.1"),
        (2, ["6.6.6.6, 10.0.0.1, 10.0.0.2"], "10.0.0.1"),
        (2, ["10.0.0.2"], "203.0.113.9"),
        (1, ["10.0.0.1:4711"], "10.0.0.1"),
        (1, ["[2001:db8::1]:4711"], "2001:db8::1"),
        (1, ["2001:DB8::1"], "2001:db8::1"),
        (1, ["not-an-address"], "203.0.113.9"),
        (1, [""], "203.0.113.9"),
        (1, [], "203.0.113.9"),
    ],
)
async def test_row_14_the_address_is_read_off_configured_hops_only(
    hops: int, forwarded: list[str], expected: str
) -> None:
    driver = Driver(AuthMiddleware(seen, mode="optional", trusted_hops=hops), client="203.0.113.9")
    reply = await ask(driver, *[("x-forwarded-for", value) for value in forwarded])
    assert reply.json["ip"] == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [(["198.51.100.7"], "198.51.100.7"), (["198.51.100.7", "6.6.6.6"], "172.16.0.1"), (["a, b"], "172.16.0.1"), ([], "172.16.0.1")],
)  # fmt: skip
async def test_row_14_a_platforms_own_header_counts_only_when_it_stands_once(
    values: list[str], expected: str
) -> None:
    app = AuthMiddleware(seen, mode="optional", ip_header="Fly-Client-IP")
    forged = ("x-forwarded-for", "6.6.6.6")
    reply = await ask(
        Driver(app, client="172.16.0.1"), forged, *[("fly-client-ip", value) for value in values]
    )
    assert reply.json["ip"] == expected


async def test_row_14_internal_headers_from_outside_are_removed_in_every_copy() -> None:
    headers = [("X-Gateway-Principal", "admin"), ("x-gateway-user", "admin"), ("x-gateway-principal", "root")]
    reply = await ask(guarded(), ("x-api-key", ADA), *headers)
    assert reply.json["id"] == "key:a"
    assert not [name for name, _ in reply.json["headers"] if name.startswith("x-gateway-")]
    assert not [name for name in reply.json["call_headers"] if name.startswith("x-gateway-")]


async def test_row_15_the_host_decides_nothing() -> None:
    for host in (
        "tools.example.com/healthz",
        "x@/healthz?",
        "evil.example/.well-known/oauth-protected-resource",
    ):
        reply = await guarded(resource=RESOURCE).post("/mcp", b"{}", headers={"host": host})
        assert reply.status == 401
        assert reply.headers["www-authenticate"].count("tools.example.com") == 1
        assert "evil" not in reply.headers["www-authenticate"]


@pytest.mark.parametrize("path", ["//healthz", "/healthz/", "/healthz;x", "/%2e/healthz", "/healthz%2f", "/x/../healthz", "/HEALTHZ", "/mcp/healthz"])  # fmt: skip
async def test_row_16_another_spelling_of_an_open_path_is_not_open(path: str) -> None:
    # Of a path like this nothing else is asked, either.
    alone = Driver(AuthMiddleware(seen, keys=[ListedKeys(LISTED)]))
    assert (await alone.get(path)).status == 401


@pytest.mark.parametrize("path", ["/admin%2fkeys", "/admin;x", "/ADMIN", "//admin", "/x/../admin"])
async def test_row_16_rules_read_the_one_path_that_routing_reads(path: str) -> None:
    """The access middleware refuses the ambiguous ones; alone, a rule sees exactly what the app is asked for."""
    seen_path = Call.new(Driver(seen)._scope("GET", path, (), 0, None)).path
    app = AuthzMiddleware(seen, allow=[f"request.path == {json.dumps(seen_path)}"])
    assert (await Driver(app).get(path)).status == 200
    app = AuthzMiddleware(seen, allow=['request.path == "/admin"'])
    assert (await Driver(app).get(path)).status == 403


async def test_row_20_a_foreign_origin_or_host_is_no_credential_and_changes_no_challenge() -> None:
    for headers in ([("origin", "https://evil.example")], [("host", "evil.example")], [("origin", "null")]):
        reply = await ask(guarded(resource=RESOURCE), *headers, path="/mcp")
        assert reply.status == 401
        assert "evil" not in reply.headers["www-authenticate"]


async def test_a_401_on_a_resource_says_where_to_get_a_token() -> None:
    driver = guarded(resource=RESOURCE)
    where = 'resource_metadata="https://tools.example.com/.well-known/oauth-protected-resource/mcp"'
    bare = (await ask(driver, path="/mcp")).headers["www-authenticate"]
    assert bare == f'Bearer scope="read:all", {where}'
    bad = (await ask(driver, ("authorization", "Bearer nope"), path="/mcp")).headers["www-authenticate"]
    assert bad.startswith('Bearer error="invalid_token", error_description="')
    assert where in bad


async def test_the_metadata_document_stands_at_the_path_inserted_place() -> None:
    reply = await guarded(resource=RESOURCE).get("/.well-known/oauth-protected-resource/mcp")
    assert reply.json == {"resource": AUDIENCE, "authorization_servers": [ISSUER], "scopes_supported": ["read:all"],
                          "bearer_methods_supported": ["header"]}  # fmt: skip
    assert (await guarded(resource=RESOURCE).get("/.well-known/oauth-protected-resource")).status == 401


async def test_a_stored_key_is_made_used_and_revoked() -> None:
    clock, store = Clock(), MemoryStore()
    key = keys.make(owner="ada", groups=["dev"], at=clock())
    await keys.add(store, key)
    driver = guarded(keys=[StoredKeys(store, clock=clock)], clock=clock)
    assert (await ask(driver, ("x-api-key", key.text))).json["id"] == f"key:{key.id}"
    assert await keys.revoke(store, key.id, at=clock())
    clock.now += 61
    assert (await ask(driver, ("x-api-key", key.text))).status == 401
    assert not await keys.revoke(store, "missing", at=clock())


async def test_only_the_hash_of_a_key_is_stored() -> None:
    store = MemoryStore()
    key = keys.make(owner="ada", at=0.0)
    await keys.add(store, key)
    held = json.dumps([dict(item.value) for _, item in await store.list("key")])
    assert key.text not in held
    assert key.text.rpartition("_")[2] not in held


async def test_a_key_ends_when_it_expires() -> None:
    clock, store = Clock(), MemoryStore()
    key = keys.make(owner="ada", expires=clock() + 30, at=clock())
    await store.put("key", key.id, key.document)
    driver = guarded(keys=[StoredKeys(store, clock=clock)], clock=clock)
    assert (await ask(driver, ("x-api-key", key.text))).status == 200
    clock.now += 31
    assert (await ask(driver, ("x-api-key", key.text))).status == 401


@pytest.mark.parametrize("text", ["gwk_", "gwk_../../x_y", "gwk_" + "a" * 10 + "_" + "b" * 31, "' OR 1=1 --", "x" * 100_000])  # fmt: skip
async def test_the_store_is_asked_only_for_what_has_the_shape_of_a_key(text: str) -> None:
    class Watched(MemoryStore):
        asked = 0

        async def get(self, kind: str, key: str) -> Any:
            self.asked += 1
            return await super().get(kind, key)

    store = Watched()
    assert (await ask(guarded(keys=[StoredKeys(store)]), ("x-api-key", text))).status == 401
    assert store.asked == 0


async def test_a_wrong_secret_for_a_real_id_is_refused() -> None:
    store = MemoryStore()
    key = keys.make(owner="ada", at=0.0)
    await keys.add(store, key)
    wrong = f"gwk_{key.id}_{'0' * 32}"
    assert (await ask(guarded(keys=[StoredKeys(store)]), ("x-api-key", wrong))).status == 401


async def test_a_store_that_fails_is_503_and_says_nothing_of_itself() -> None:
    class Broken(MemoryStore):
        async def get(self, kind: str, key: str) -> Any:
            raise StoreError("table secret-table throttled")

    key = keys.make(owner="ada", at=0.0)
    reply = await ask(guarded(keys=[StoredKeys(Broken())]), ("x-api-key", key.text))
    assert reply.status == 503
    assert "secret-table" not in reply.body.decode()


async def test_a_flood_with_one_unknown_key_asks_the_store_once_a_second() -> None:
    class Watched(MemoryStore):
        asked = 0

        async def get(self, kind: str, key: str) -> Any:
            self.asked += 1
            return await super().get(kind, key)

    clock, store = Clock(), Watched()
    driver = guarded(keys=[StoredKeys(store, clock=clock)], clock=clock)
    text = keys.make(owner="x", at=0.0).text
    await asyncio.gather(*[ask(driver, ("x-api-key", text)) for _ in range(20)])
    assert store.asked == 1


ATTRIBUTION = {
    "user": ["header:x-fi-user", "jwt.email"],
    "agent": ["header:X-FI-Agent"],
    "project": ["header:x-fi-project"],
}
FI = [("x-fi-user", "eve@example.com"), ("x-fi-agent", "claude-code"), ("x-fi-project", "p1")]


async def test_a_claim_beats_a_header_whatever_the_order() -> None:
    issuer = Issuer(Clock())
    driver = guarded(jwt=[verifier(issuer)], attribution=Attributing(**ATTRIBUTION), clock=issuer.clock)  # type: ignore[arg-type]
    reply = await ask(driver, ("authorization", f"Bearer {issuer.token()}"), *FI)
    assert (reply.json["user"], reply.json["agent"]) == ("ada@example.com", "claude-code")
    assert reply.json["unverified"] == ["agent", "project"]


async def test_what_only_a_header_says_is_marked_as_unverified() -> None:
    driver = guarded(attribution=Attributing(**ATTRIBUTION))  # type: ignore[arg-type]
    reply = await ask(driver, ("x-api-key", ADA), *FI, ("x-claude-code-session-id", "s1"))
    assert (reply.json["user"], reply.json["session"]) == ("eve@example.com", "s1")
    assert reply.json["unverified"] == ["agent", "project", "session", "user"]


async def test_a_call_that_nobody_can_be_charged_for_is_refused_where_somebody_must_be() -> None:
    driver = guarded(attribution=Attributing(**ATTRIBUTION, required=["user", "project"]))  # type: ignore[arg-type]
    reply = await ask(driver, ("x-api-key", ADA))
    assert reply.status == 403
    assert "header x-fi-user" in reply.json["error"]["message"]
    assert (await ask(driver, ("x-api-key", ADA), *FI)).status == 200


async def test_a_header_cannot_smuggle_control_characters_into_the_attribution() -> None:
    driver = guarded(attribution=Attributing(**ATTRIBUTION))  # type: ignore[arg-type]
    reply = await ask(driver, ("x-api-key", ADA), ("x-fi-user", "eve\x1b[31m\t" + "x" * 500))
    assert reply.json["user"].startswith("eve[31mx")
    assert len(reply.json["user"]) <= 200


async def test_without_any_configuration_a_key_is_its_owners_and_claude_codes_session_is_known() -> None:
    reply = await ask(guarded(), ("x-api-key", ADA), ("x-claude-code-session-id", "s1"))
    assert (reply.json["user"], reply.json["session"]) == ("ada", "s1")


async def test_what_is_no_http_request_passes_untouched() -> None:
    passed: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        passed.append(scope["type"])

    await AuthMiddleware(app)({"type": "lifespan"}, None, None)  # type: ignore[arg-type]
    assert passed == ["lifespan"]


async def test_headers_that_an_app_in_between_has_changed_are_those_that_count() -> None:
    given: list[tuple[bytes, bytes]] = []

    async def between(scope: Scope, receive: Receive, send: Send) -> None:
        kept = [pair for pair in scope["headers"] if pair[0] != b"x-secret"]
        await inner({**scope, "headers": [*kept, *given]}, receive, send)

    inner = AuthMiddleware(seen, keys=[ListedKeys(LISTED)])
    driver = Driver(AccessMiddleware(between))
    sent = (("x-secret", "1"), ("x-team", "a"))
    for key, who in ((ADA, "key:a"), (BOB, "key:b"), (ADA, "key:a")):
        given[:] = [(b"x-api-key", key.encode()), (b"traceparent", b"00-1")]
        reply = await ask(driver, *sent)
        assert reply.json["id"] == who
        names = {name for name, _ in reply.json["headers"]}
        assert {"x-team", "traceparent"} <= names == set(reply.json["call_headers"])
        assert not {"x-secret", "x-api-key"} & names
    given.clear()
    assert (await ask(driver, *sent)).status == 401
