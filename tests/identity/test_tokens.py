import asyncio
import base64
import hashlib
import hmac
import json
from typing import Any

import httpx
import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.call import Call
from gateway.errors import ConfigError
from gateway.identity.issuers import FileKeys, RemoteKeys
from gateway.identity.jwks import SecretKeys
from gateway.identity.jwt import Verifier
from gateway.mcp.metadata import Resource
from gateway.middleware.auth import AuthMiddleware
from gateway.types import Receive, Scope, Send
from tests.driver import Driver, Reply
from tests.identity.issuer import AUDIENCE, ISSUER, Clock, Issuer, b64


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(clock: Clock) -> Issuer:
    return Issuer(clock)


async def whoami(scope: Scope, receive: Receive, send: Send) -> None:
    call = Call.of(scope)
    body = json.dumps({"id": call.principal.id, "claims": dict(call.principal.claims or {}),
                       "headers": {k.decode(): v.decode() for k, v in scope["headers"]},
                       "query": scope["query_string"].decode()})  # fmt: skip
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body.encode()})


def guarded(issuer: Issuer, **options: Any) -> Driver:
    keys = RemoteKeys(url=f"{ISSUER}/jwks", transport=issuer.transport, clock=issuer.clock)
    verifier = Verifier(issuer=ISSUER, audiences=[AUDIENCE], keys=keys, clock=issuer.clock, **options)
    return Driver(AuthMiddleware(whoami, jwt=[verifier], clock=issuer.clock))


async def ask(driver: Driver, token: str) -> Reply:
    return await driver.post("/v1/messages", headers={"authorization": f"Bearer {token}"})


async def reason(driver: Driver, token: str) -> str:
    reply = await ask(driver, token)
    assert reply.status == 401, reply.body
    return str(reply.json["error"]["message"])


async def test_a_good_token_is_its_subject(issuer: Issuer) -> None:
    reply = await ask(guarded(issuer), issuer.token())
    assert (reply.status, reply.json["id"]) == (200, f"jwt:{ISSUER}#ada")


@pytest.mark.parametrize("alg", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"])
async def test_an_rsa_key_verifies_every_rsa_algorithm(issuer: Issuer, alg: str) -> None:
    assert (await ask(guarded(issuer), issuer.token(alg=alg))).status == 200


@pytest.mark.parametrize(("alg", "curve"), [("ES256", ec.SECP256R1), ("ES384", ec.SECP384R1), ("ES512", ec.SECP521R1)])  # fmt: skip
async def test_a_curve_verifies_its_own_algorithm(issuer: Issuer, alg: str, curve: Any) -> None:
    issuer.curve("e1", curve)
    assert (await ask(guarded(issuer), issuer.token(kid="e1", alg=alg))).status == 200


async def test_an_edwards_key_verifies_eddsa(issuer: Issuer) -> None:
    issuer.edwards("d1")
    assert (await ask(guarded(issuer), issuer.token(kid="d1", alg="EdDSA"))).status == 200


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", ""])
async def test_row_01_a_token_without_signature_is_refused_in_any_spelling(issuer: Issuer, alg: str) -> None:
    header, claims = b64({"alg": alg, "typ": "JWT", "kid": "k1"}), b64(issuer.claims())
    driver = guarded(issuer)
    signed = issuer.token().rpartition(".")[2]
    for token in (f"{header}.{claims}.", f"{header}.{claims}", f"{header}.{claims}.{signed}"):
        assert (await ask(driver, token)).status == 401


async def test_row_02_the_public_key_is_not_taken_for_a_shared_secret(issuer: Issuer) -> None:
    public = issuer.private["k1"].public_key()
    for material in (public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), issuer.jwks()):
        head = f"{b64({'alg': 'HS256', 'kid': 'k1'})}.{b64(issuer.claims())}"
        mac = hmac.new(material, head.encode(), hashlib.sha256).digest()
        assert "no key" in await reason(guarded(issuer), f"{head}.{b64(mac)}")


async def test_row_02_a_shared_secret_in_a_published_set_is_no_key(issuer: Issuer) -> None:
    secret = b"s" * 32
    published = [*issuer.published(), {"kty": "oct", "k": b64(secret), "kid": "o1", "alg": "HS256"}]
    issuer.answer = lambda _: httpx.Response(200, json={"keys": published})
    token = pyjwt.encode(issuer.claims(), secret, "HS256", headers={"kid": "o1"})
    assert "no key" in await reason(guarded(issuer), token)


async def test_row_02_an_algorithm_other_than_the_one_a_key_is_published_for_is_refused(
    issuer: Issuer,
) -> None:
    issuer.extra["k1"] = {"alg": "RS256"}
    driver = guarded(issuer)
    assert (await ask(driver, issuer.token(alg="RS256"))).status == 200
    assert "no key" in await reason(driver, issuer.token(alg="PS256"))


@pytest.mark.parametrize(
    "kid", ["../../etc/passwd", "' OR 1=1 --", "https://evil.example/jwks", "", "k" * 5000]
)
async def test_row_03_a_kid_is_only_ever_a_name(issuer: Issuer, kid: str) -> None:
    driver = guarded(issuer)
    token = pyjwt.encode(issuer.claims(), issuer.private["k1"], "RS256", headers={"kid": kid})
    assert "no key" in await reason(driver, token)
    assert set(issuer.requests) == {f"{ISSUER}/jwks"}


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"]},
        {"crit": ["x"], "x": 1},
        {"jku": f"{ISSUER}/jwks"},
        {"x5u": "https://evil.example/cert"},
        {"jwk": {"kty": "oct", "k": "AAAA"}},
        {"x5c": ["AAAA"]},
        {"b64": False},
    ],
)
async def test_row_04_a_header_that_brings_or_points_at_a_key_is_refused(
    issuer: Issuer, header: dict[str, Any]
) -> None:
    head = b64({"alg": "RS256", "kid": "k1", **header})
    signing = f"{head}.{b64(issuer.claims())}"
    signature = pyjwt.get_algorithm_by_name("RS256").sign(signing.encode(), issuer.private["k1"])
    assert next(iter(header)) in await reason(guarded(issuer), f"{signing}.{b64(signature)}")


async def test_row_04_an_embedded_key_does_not_verify_its_own_token(issuer: Issuer) -> None:
    own = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    embedded = json.loads(pyjwt.algorithms.RSAAlgorithm.to_jwk(own.public_key()))
    token = pyjwt.encode(issuer.claims(), own, "RS256", headers={"jwk": embedded})
    assert "jwk" in await reason(guarded(issuer), token)


@pytest.mark.parametrize(
    ("claim", "offset", "accepted"),
    [
        ("exp", -59, True), ("exp", -61, False), ("nbf", 59, True), ("nbf", 61, False),
        ("iat", 59, True), ("iat", 61, False), ("iat", -86_400, True),
    ],
)  # fmt: skip
async def test_row_05_times_hold_to_the_leeway(
    issuer: Issuer, claim: str, offset: int, accepted: bool
) -> None:
    token = issuer.token(**{claim: issuer.clock() + offset})
    assert ((await ask(guarded(issuer), token)).status == 200) is accepted


@pytest.mark.parametrize("wrong", [-90, 90])
async def test_row_05_a_clock_ninety_seconds_wrong_is_refused_unless_the_leeway_allows_it(
    issuer: Issuer, wrong: int
) -> None:
    token = issuer.token(exp=issuer.clock() + 30, nbf=issuer.clock() - 30)
    issuer.clock.now -= wrong
    assert (await ask(guarded(issuer), token)).status == 401
    assert (await ask(guarded(issuer, leeway=120.0), token)).status == 200


@pytest.mark.parametrize("value", ["soon", None, True, [], 1e400])
@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
async def test_row_05_a_time_that_is_no_number_is_refused(issuer: Issuer, claim: str, value: Any) -> None:
    head = b64({"alg": "RS256", "kid": "k1"})
    signing = f"{head}.{b64({**issuer.claims(), claim: value})}"
    signature = pyjwt.get_algorithm_by_name("RS256").sign(signing.encode(), issuer.private["k1"])
    assert (await ask(guarded(issuer), f"{signing}.{b64(signature)}")).status == 401


async def test_row_05_a_token_without_exp_is_refused(issuer: Issuer) -> None:
    assert "no exp" in await reason(guarded(issuer), issuer.token(exp=...))


@pytest.mark.parametrize(
    ("audience", "accepted"),
    [
        (AUDIENCE, True), ([AUDIENCE], True), (["https://other.example", AUDIENCE], True),
        ("https://other.example", False), ([], False), (42, False), ([AUDIENCE, 42], False), (..., False),
        ({AUDIENCE: 1}, False), (AUDIENCE + "/", False), (None, False),
    ],
)  # fmt: skip
async def test_row_06_the_audience_is_named_as_a_string_or_in_a_list(
    issuer: Issuer, audience: Any, accepted: bool
) -> None:
    head = b64({"alg": "RS256", "kid": "k1"})
    signing = f"{head}.{b64(issuer.claims(aud=audience))}"
    signature = pyjwt.get_algorithm_by_name("RS256").sign(signing.encode(), issuer.private["k1"])
    assert ((await ask(guarded(issuer), f"{signing}.{b64(signature)}")).status == 200) is accepted


async def test_row_06_without_audiences_a_token_must_be_for_the_resource(issuer: Issuer) -> None:
    verifier = Verifier(issuer=ISSUER, keys=issuer, clock=issuer.clock)
    app = AuthMiddleware(whoami, jwt=[verifier], resource=Resource(AUDIENCE), clock=issuer.clock)
    assert (await ask(Driver(app), issuer.token())).status == 200
    assert (await ask(Driver(app), issuer.token(aud="https://tools.example.com/other"))).status == 401
    with pytest.raises(ConfigError, match="audiences"):
        AuthMiddleware(whoami, jwt=[verifier])


async def test_row_07_a_rotated_key_is_accepted_after_one_fetch(issuer: Issuer) -> None:
    driver = guarded(issuer)
    assert (await ask(driver, issuer.token())).status == 200
    issuer.rotate()
    assert (await ask(driver, issuer.token())).status == 200
    assert len(issuer.requests) == 2


async def test_row_08_a_flood_of_unknown_kids_fetches_once_in_a_cooldown(
    issuer: Issuer, clock: Clock
) -> None:
    driver = guarded(issuer)
    await ask(driver, issuer.token())
    for n in range(50):
        assert (await ask(driver, issuer.token(header={"kid": f"x{n}"}))).status == 401
    assert len(issuer.requests) == 2
    clock.now += 11
    await ask(driver, issuer.token(header={"kid": "x"}))
    assert len(issuer.requests) == 3


async def test_row_09_the_last_good_keys_stand_through_an_outage_and_then_nothing_does(
    issuer: Issuer, clock: Clock
) -> None:
    driver = guarded(issuer)
    assert (await ask(driver, issuer.token())).status == 200
    issuer.answer = lambda _: httpx.Response(500)
    clock.now += 3600
    assert (await ask(driver, issuer.token())).status == 200
    clock.now += 86_400
    assert (await ask(driver, issuer.token())).status == 503
    issuer.answer = None
    clock.now += 11
    assert (await ask(driver, issuer.token())).status == 200


async def test_row_09_without_any_keys_the_answer_is_503_and_not_401(issuer: Issuer) -> None:
    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("down")

    issuer.answer = broken
    reply = await ask(guarded(issuer), issuer.token())
    assert (reply.status, "retry-after" in reply.headers) == (503, True)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, content=b"x" * 600_000),
        httpx.Response(200, content=b"<html>"),
        httpx.Response(200, json={"keys": []}),
        httpx.Response(302, headers={"location": "https://evil.example/jwks"}),
        httpx.Response(302, headers={"location": "http://idp.example.com/jwks"}),
        httpx.Response(302, headers={"location": "/jwks"}),
    ],
)
async def test_row_09_a_set_of_keys_that_is_too_large_broken_or_elsewhere_is_not_taken(
    issuer: Issuer, answer: httpx.Response
) -> None:
    issuer.answer = lambda _: answer
    assert (await ask(guarded(issuer), issuer.token())).status == 503
    assert not any("evil" in url for url in issuer.requests)


async def test_keys_are_not_fetched_in_the_way_of_a_call_when_warm(issuer: Issuer, clock: Clock) -> None:
    driver = guarded(issuer)
    await ask(driver, issuer.token())
    for n in range(20):
        clock.now += 1
        assert (await ask(driver, issuer.token(sub=f"user-{n}"))).status == 200
    assert len(issuer.requests) == 1


async def test_keys_are_found_by_discovery(issuer: Issuer, clock: Clock) -> None:
    keys = RemoteKeys(issuer=ISSUER, transport=issuer.transport, clock=clock)
    verifier = Verifier(issuer=ISSUER, audiences=[AUDIENCE], keys=keys, clock=clock)
    driver = Driver(AuthMiddleware(whoami, jwt=[verifier], clock=clock))
    assert (await ask(driver, issuer.token())).status == 200
    assert issuer.requests == [f"{ISSUER}/.well-known/openid-configuration", f"{ISSUER}/jwks"]


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://evil.example", "jwks_uri": f"{ISSUER}/jwks"},
        {"issuer": ISSUER, "jwks_uri": "http://idp.example.com/jwks"},
        {"issuer": ISSUER, "jwks_uri": "file:///etc/passwd"},
        {"issuer": ISSUER},
        [],
    ],
)
async def test_a_hostile_discovery_document_is_not_followed(
    issuer: Issuer, clock: Clock, document: Any
) -> None:
    issuer.answer = lambda _: httpx.Response(200, json=document)
    keys = RemoteKeys(issuer=ISSUER, transport=issuer.transport, clock=clock)
    verifier = Verifier(issuer=ISSUER, audiences=[AUDIENCE], keys=keys, clock=clock)
    reply = await ask(Driver(AuthMiddleware(whoami, jwt=[verifier], clock=clock)), issuer.token())
    assert reply.status == 503
    assert issuer.requests == [f"{ISSUER}/.well-known/openid-configuration"]


@pytest.mark.parametrize("url", ["http://idp.example.com/jwks", "ftp://idp.example.com", "https://u:p@idp.example.com/jwks", "file:///k"])  # fmt: skip
def test_keys_come_over_https_only(url: str) -> None:
    with pytest.raises(ConfigError, match="https"):
        RemoteKeys(url=url)


def test_keys_may_come_over_http_from_this_machine() -> None:
    RemoteKeys(url="http://127.0.0.1:9000/jwks")


@pytest.mark.parametrize("extra", [{"use": "enc"}, {"key_ops": ["encrypt"]}, {"key_ops": "verify"}, {"alg": "RS1"}, {"kty": "oct"}])  # fmt: skip
async def test_a_key_for_another_use_verifies_nothing(issuer: Issuer, extra: dict[str, Any]) -> None:
    issuer.curve("e1")  # so that the set is not empty
    issuer.extra["k1"] = extra
    assert "no key" in await reason(guarded(issuer), issuer.token(kid="k1"))


async def test_a_small_rsa_key_verifies_nothing(issuer: Issuer) -> None:
    issuer.curve("e1")
    issuer.private["small"] = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    head = f"{b64({'alg': 'RS256', 'kid': 'small'})}.{b64(issuer.claims())}"
    signature = pyjwt.get_algorithm_by_name("RS256").sign(head.encode(), issuer.private["small"])
    assert "no key" in await reason(guarded(issuer), f"{head}.{b64(signature)}")


async def test_padding_and_other_spellings_of_a_token_are_refused(issuer: Issuer) -> None:
    token = issuer.token()
    head, claims, signature = token.split(".")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    # 256 bytes end in a character that carries four bits too many
    respelled = signature[:-1] + alphabet[alphabet.index(signature[-1]) ^ 1]
    assert base64.urlsafe_b64decode(respelled + "==") == base64.urlsafe_b64decode(signature + "==")
    driver = guarded(issuer)
    for bad in (f"{head}=.{claims}.{signature}", f"{head}.{claims}.{signature}==", f"{head}.{claims}.{respelled}",
                f" {head}.{claims}.{signature}x", f"{head}.{claims}.{signature}.x", f"{head}.{claims}\n.{signature}"):  # fmt: skip
        assert (await ask(driver, bad)).status in (401,)


@pytest.mark.parametrize("part", [b"[]", b"null", b"{", b'"x"', b"\xff"])
async def test_a_token_whose_parts_are_no_objects_is_refused(issuer: Issuer, part: bytes) -> None:
    _, claims, signature = issuer.token().split(".")
    driver = guarded(issuer)
    assert (await ask(driver, f"ey{b64(part)}.{claims}.{signature}")).status == 401
    assert (await ask(driver, f"{b64({'alg': 'RS256'})}.{b64(part)}.{signature}")).status == 401


async def test_a_token_of_another_issuer_is_refused(issuer: Issuer) -> None:
    assert "issuer" in await reason(guarded(issuer), issuer.token(iss="https://evil.example"))


async def test_two_issuers_do_not_share_keys(issuer: Issuer, clock: Clock) -> None:
    other = Issuer(clock)
    other.rotate()
    verifiers = [Verifier(issuer=name, audiences=[AUDIENCE], clock=clock, keys=source)
                 for name, source in ((ISSUER, issuer), ("https://other.example", other))]  # fmt: skip
    driver = Driver(AuthMiddleware(whoami, jwt=verifiers, clock=clock))
    assert (await ask(driver, issuer.token())).status == 200
    assert (await ask(driver, other.token(iss="https://other.example"))).status == 200
    assert (await ask(driver, other.token(iss=ISSUER))).status == 401


async def test_a_shared_secret_of_32_bytes_verifies_hs256_and_nothing_else(
    issuer: Issuer, clock: Clock
) -> None:
    secret = "a-secret-that-is-long-enough-to-be-one"
    verifier = Verifier(issuer=ISSUER, audiences=[AUDIENCE], keys=SecretKeys(secret), clock=clock)
    driver = Driver(AuthMiddleware(whoami, jwt=[verifier], clock=clock))
    assert (await ask(driver, pyjwt.encode(issuer.claims(), secret, "HS256"))).status == 200
    assert (await ask(driver, issuer.token())).status == 401
    with pytest.raises(ConfigError, match="32 bytes"):
        SecretKeys("too short")


async def test_a_pem_file_is_read_again_when_it_changes(issuer: Issuer, clock: Clock, tmp_path: Any) -> None:
    def pem(kid: str) -> bytes:
        return issuer.private[kid].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[no-any-return]

    file = tmp_path / "jwt-public.pem"
    file.write_bytes(pem("k1"))
    verifier = Verifier(issuer=ISSUER, audiences=[AUDIENCE], keys=FileKeys(file, clock=clock), clock=clock)
    driver = Driver(AuthMiddleware(whoami, jwt=[verifier], clock=clock))
    assert (await ask(driver, issuer.token())).status == 200
    issuer.rotate()
    file.write_bytes(pem("k2") + b"\n")
    clock.now += 6
    assert (await ask(driver, issuer.token())).status == 200
    file.write_bytes(b"-----BEGIN PUBLIC KEY-----\nbroken\n-----END PUBLIC KEY-----\n")
    clock.now += 6
    assert (await ask(driver, issuer.token(sub="eve"))).status == 200


def test_a_private_key_in_the_place_of_the_public_one_is_refused(tmp_path: Any) -> None:
    from gateway.identity import mint

    file = tmp_path / "key.pem"
    file.write_bytes(mint.pair("EdDSA")[0])
    with pytest.raises(ConfigError, match="private"):
        FileKeys(file)


async def test_tokens_that_begin_alike_are_told_apart(issuer: Issuer) -> None:
    driver = guarded(issuer)
    ada, bob = issuer.token(sub="ada"), issuer.token(sub="bob")
    assert ada[:20] == bob[:20]
    assert (await ask(driver, ada)).json["id"] == f"jwt:{ISSUER}#ada"
    assert (await ask(driver, bob)).json["id"] == f"jwt:{ISSUER}#bob"


async def test_a_remembered_token_is_not_remembered_beyond_its_end(issuer: Issuer, clock: Clock) -> None:
    driver = guarded(issuer)
    token = issuer.token(exp=clock.now + 30)
    assert (await ask(driver, token)).status == 200
    clock.now += 91
    assert "expired" in await reason(driver, token)


async def test_a_key_that_its_issuer_withdrew_is_noticed(issuer: Issuer, clock: Clock) -> None:
    driver = guarded(issuer)
    token = issuer.token(exp=clock.now + 7200)
    assert (await ask(driver, token)).status == 200
    issuer.rotate()
    clock.now += 601
    await ask(driver, token)  # starts a fetch, and does not wait for it
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})
    clock.now += 301
    assert (await ask(driver, token)).status == 401


async def test_a_scope_that_every_token_must_have(issuer: Issuer) -> None:
    driver = guarded(issuer, scopes=["models"])
    assert (await ask(driver, issuer.token(scope="openid models"))).status == 200
    assert "models" in await reason(driver, issuer.token(scope="openid"))
