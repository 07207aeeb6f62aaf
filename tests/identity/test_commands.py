import json
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main
from gateway.cli.keys import limit
from gateway.errors import ConfigError
from gateway.identity import jwt


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert main(words) == code
    return capsys.readouterr().out.strip()


STORE = ("--store", "sqlite:///gateway.db")
CONFIG = """
public_url: https://tools.example.com
routes:
  - path: /mcp
    mcp: {servers: {files: {url: https://files.example.com/mcp}}}
    policies:
      auth:
        jwt: [{issuer: gateway, audiences: [gateway], jwks: {file: jwt-public.pem}, scopes: [mcp]}]
"""


def test_a_token_is_made_with_a_key_pair_that_is_made_first(
    capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    text = told(capsys, "token", "--sub", "ada", "--claim", "role=user", "--claim", "level=3", "--scope", "mcp", "--expires", "1h")  # fmt: skip
    token = jwt.parse(text)
    assert {k: token.claims[k] for k in ("iss", "sub", "aud", "role", "level", "scope")} == {
        "iss": "gateway", "sub": "ada", "aud": "gateway", "role": "user", "level": 3, "scope": "mcp"}  # fmt: skip
    assert token.claims["exp"] - token.claims["iat"] in (3599, 3600, 3601)
    assert (here / "jwt-private.pem").stat().st_mode & 0o077 == 0
    again = told(capsys, "token", "--sub", "ada", "--audience", "a", "--audience", "b")
    assert jwt.parse(again).claims["aud"] == ["a", "b"]


def test_a_pair_is_never_overwritten(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    told(capsys, "token", "pair", "--algorithm", "EdDSA")
    made = {file.name: file.read_bytes() for file in here.glob("*.pem")}
    told(capsys, "token", "pair", code=2)
    assert {file.name: file.read_bytes() for file in here.glob("*.pem")} == made != {}


def test_a_token_can_be_signed_with_a_secret_from_the_environment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCP_JWT_SECRET", "x" * 32)
    assert (
        jwt.parse(told(capsys, "token", "--sub", "ada", "--secret-env", "MCP_JWT_SECRET")).algorithm
        == "HS256"
    )
    monkeypatch.setenv("MCP_JWT_SECRET", "short")
    told(capsys, "token", "--sub", "ada", "--secret-env", "MCP_JWT_SECRET", code=2)


def test_explain_says_which_check_fails(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    (here / "gateway.yaml").write_text(CONFIG)
    good = told(capsys, "token", "--sub", "ada", "--scope", "mcp")
    assert "accepted by route /mcp" in told(capsys, "token", "explain", good)
    without = told(capsys, "token", "--sub", "ada", "--audience", "other")
    report = told(capsys, "token", "explain", without, "--config", "gateway.yaml", code=1)
    assert "FAIL  route /mcp: audience: the token is for other, not for gateway" in report
    assert "FAIL  route /mcp: scopes: the token lacks the scope mcp" in report
    assert "ok    route /mcp: signature" in report
    forged = good.rpartition(".")[0] + "." + without.rpartition(".")[2]
    assert "signature is wrong" in told(capsys, "token", "explain", forged, code=1)
    rows = json.loads(told(capsys, "token", "explain", "no.token.atall", "--json", code=1))
    assert rows["accepted"] == []


def test_a_key_is_shown_once_listed_and_revoked(capsys: pytest.CaptureFixture[str]) -> None:
    made = json.loads(told(capsys, "keys", "create", "--owner", "ada", "--groups", "dev", "ops", "--models", "claude-*",
                           "--limits", "requests=120/60s", "usd=50/month", "--expires", "30d", "--json", *STORE))  # fmt: skip
    assert made["limits"] == [{"requests": 120.0, "per": 60.0}, {"usd": 50.0, "per": "month"}]
    assert made["key"].startswith(f"gwk_{made['id']}_")
    listed = told(capsys, "keys", "list", *STORE)
    assert (made["id"] in listed, "ada (dev, ops)" in listed, made["key"] in listed) == (True, True, False)
    assert "hash" not in told(capsys, "keys", "list", "--json", *STORE)
    assert "is revoked" in told(capsys, "keys", "revoke", made["key"], *STORE)
    assert "revoked" in told(capsys, "keys", "list", *STORE)
    assert f"key {made['id']}" in told(capsys, "kill", "--list", *STORE)
    told(capsys, "keys", "revoke", "missing", *STORE, code=1)


@pytest.mark.parametrize(
    "text", ["requests=120", "usd=5/60s", "tokens=5/month", "calls=5/60s", "requests=x/60s"]
)
def test_a_limit_that_is_none_is_said_to_be_none(text: str) -> None:
    with pytest.raises(ConfigError):
        limit(text)


def test_a_switch_is_thrown_listed_and_restored(capsys: pytest.CaptureFixture[str]) -> None:
    told(capsys, "kill", "--list", *STORE, code=1)
    out = told(capsys, "kill", "--tool", "delete_file", "--reason", "incident 7", "--for", "2h", *STORE)
    assert out.startswith("tool delete_file is off until 20")
    listed: list[dict[str, Any]] = json.loads(told(capsys, "kill", "--list", "--json", *STORE))
    assert [(each["kind"], each["name"], each["reason"]) for each in listed] == [
        ("tool", "delete_file", "incident 7")
    ]
    assert told(capsys, "restore", "--tool", "delete_file", *STORE) == "tool delete_file is on again"
    told(capsys, "restore", "--tool", "delete_file", *STORE, code=1)


def test_a_switch_of_nothing_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    told(capsys, "kill", *STORE, code=2)
    told(capsys, "kill", "--user", "x", "--for", "soon", *STORE, code=2)
    told(capsys, "kill", "--user", "x", "--store", "memory:", code=2)


@pytest.mark.parametrize("words", [("keys", "create", "--owner", "ada", "--expires"), ("kill", "--user", "x", "--for"), ("token", "--sub", "x", "--expires")])  # fmt: skip
def test_what_would_end_in_the_past_is_refused(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    where = () if words[0] == "token" else STORE
    told(capsys, *words, "2020-01-01", *where, code=2)
