"""`gateway audit` as it is typed."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from gateway.call import ANONYMOUS, Call, Verdict
from gateway.cli import audit as command
from gateway.cli import main
from gateway.telemetry import sinks
from gateway.telemetry.audit import Audit
from gateway.telemetry.sinks import FileSink
from tests.telemetry.calls import MODEL, TOOL, call, model_call, refused_call, tool_call

ROUTES = """
routes:
  - path: /
    llm: {providers: {anthropic: {api_key: x}}}
  - path: /mcp
    mcp: {servers: {filesystem: {url: "http://127.0.0.1:1/mcp"}}}
"""


def write(path: Path, *calls: Call) -> Path:
    audit = Audit(FileSink(path), after=sinks.last_hash(path))
    for one in calls:
        audit.finished(one)
    audit.close()
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    observed = tool_call(verdicts=[Verdict("guard", "would_refuse", "pii")])
    stranger = call(replace(TOOL, user="bob", session="s-2", tool="list_directory", exposed="list_directory"))
    return write(tmp_path / "audit.jsonl", model_call(), tool_call(), refused_call(), observed, stranger)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ([], 5),
        (["--denied"], 1),
        (["--would-refuse"], 1),
        (["--user", "bob"], 1),
        (["--tool", "read_file"], 2),
        (["--tool", "filesystem_read_file"], 2),
        (["--session", "s-1", "--server", "filesystem"], 3),
        (["--user", "nobody"], 0),
    ],
)
def test_lines_are_filtered_and_the_exit_code_says_whether_there_are_any(
    file: Path, capsys: pytest.CaptureFixture[str], filters: list[str], count: int
) -> None:
    assert main(["audit", "--file", str(file), "--json", *filters]) == (0 if count else 1)
    assert len(lines(capsys)) == count


def test_for_people_a_line_says_when_what_who_and_why(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["audit", "--file", str(file), "--denied"])
    told = capsys.readouterr().out
    for word in (
        "refused",
        "alice@example.com",
        "filesystem/delete_file",
        'authz: mcp.tool.name == "delete_file"',
    ):
        assert word in told


def test_what_others_wrote_cannot_move_the_terminals_cursor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "a.jsonl", call(replace(TOOL, tool="x\x1b[2J\r\nforged\u202e")))
    main(["audit", "--file", str(file)])
    assert "\x1b" not in (told := capsys.readouterr().out)
    assert len(told.splitlines()) == 1


def test_verify_says_whether_a_line_was_changed(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "verify", "--file", str(file)]) == 0
    assert "5 lines, no problems" in capsys.readouterr().out
    file.write_bytes(file.read_bytes().replace(b"delete_file", b"create_file"))
    assert main(["audit", "verify", "--file", str(file), "--json"]) == 1
    (found,) = lines(capsys)
    assert "audit.jsonl:3" in found["problems"][0]


def test_verify_with_a_key_and_with_a_hash_seen_earlier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "audit.jsonl"
    audit = Audit(FileSink(path), key=b"a key")
    audit.finished(tool_call())
    audit.close()
    monkeypatch.setenv("AUDIT_KEY", "a key")
    assert main(["audit", "verify", "--file", str(path), "--key-env", "AUDIT_KEY"]) == 0
    assert main(["audit", "verify", "--file", str(path)]) == 1
    gone = ["--key-env", "AUDIT_KEY", "--last", "0" * 64]
    assert main(["audit", "verify", "--file", str(path), *gone]) == 1
    assert "is missing" in capsys.readouterr().out


def test_following_goes_on_into_the_next_file(file: Path) -> None:
    turns = itertools.count()

    def wait(seconds: float) -> None:
        match next(turns):
            case 0:
                write(file, tool_call())
            case 1:
                file.rename(file.with_name("audit.jsonl.000000000000001"))
                write(file, model_call())

    followed = command.followed(file, wait=wait)
    seen = [line["kind"] for line in itertools.islice(followed, 7)]
    assert seen[-2:] == ["mcp", "llm"]
    followed.close()  # type: ignore[attr-defined]


def replayed(tmp_path: Path, policy: str, capsys: pytest.CaptureFixture[str], *calls: Call) -> dict[str, Any]:
    config = tmp_path / "new.yaml"
    config.write_text(f"policies:\n  authz: {policy}\n{ROUTES}")
    file = write(tmp_path / "replay.jsonl", *calls)
    main(["audit", "replay", "--file", str(file), "--config", str(config), "--json"])
    *changed, summary = lines(capsys)
    return {**summary, "changed": changed}


ROLE = 'jwt.role == "developer"'


@pytest.mark.parametrize(
    ("policy", "then", "expected"),
    [
        ("{deny: ['mcp.tool.name == \"read_file\"']}", tool_call(), "would be refused"),
        ("{deny: ['mcp.tool.name == \"delete_file\"']}", tool_call(), "as before"),
        (f"{{allow: ['{ROLE}']}}", tool_call(), "as before"),
        (f"{{require: ['!({ROLE})']}}", tool_call(), "would be refused"),
        (f"{{allow: ['{ROLE}']}}", refused_call(), "would be allowed"),
        (f"{{allow: ['{ROLE}']}}", tool_call(principal=ANONYMOUS), "would be refused"),
        ("{deny: ['request.body.contains(\"x\")']}", model_call(), "undecidable"),
        ("{deny: ['mcp.tool.arguments.password == \"x\"']}", tool_call(), "undecidable"),
        ("{deny: ['mcp.tool.arguments.path == \"/workspace/a.txt\"']}", tool_call(), "would be refused"),
        ("{allow: ['jwt.phone == \"1\"']}", tool_call(), "undecidable"),
        (f"{{allow: ['jwt.phone == \"1\"', '{ROLE}']}}", tool_call(), "as before"),
        (f"{{allow: ['jwt.phone == \"1\" || {ROLE}']}}", tool_call(), "as before"),
        (f"{{deny: ['jwt.phone == \"1\" && !({ROLE})']}}", tool_call(), "as before"),
        ("{deny: ['jwt.phone == \"1\"'], require: ['mcp.tool.name == \"other\"']}", tool_call(), "would be refused"),
        ("{require: ['mcp.tool.name == \"other\"']}", model_call(), "as before"),
        ("{deny: ['request.headers[\"x-odd\"] == \"1\"']}", tool_call(), "undecidable"),
        ("{deny: ['llm.model.startsWith(\"claude\")']}", model_call(), "would be refused"),
    ],
)  # fmt: skip
def test_a_replay_says_what_other_policies_would_have_decided(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], policy: str, then: Call, expected: str
) -> None:
    found = replayed(tmp_path, policy, capsys, then)
    assert found[expected] == 1, found
    assert len(found["changed"]) == (expected != "as before")


def test_a_replay_names_what_it_could_not_know(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (changed,) = replayed(tmp_path, "{allow: ['jwt.phone == \"1\"']}", capsys, tool_call())["changed"]
    assert changed["unknown"] == ["jwt.phone"]
    assert changed["rule"] == 'jwt.phone == "1"'


def test_what_a_guard_refused_is_undecidable_unless_a_rule_refuses_it_now(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    by_guard = call(replace(TOOL, outcome="refused", policy="guard"))
    found = replayed(tmp_path, "{allow: ['true']}", capsys, by_guard, call(MODEL))
    (changed,) = found["changed"]
    assert (changed["now"], changed["unknown"]) == ("undecidable", ["what guard would say"])
    assert (found["as before"], found["undecidable"]) == (1, 1)
    assert "guard" in found["not replayed"]
    found = replayed(tmp_path, "{deny: ['mcp.tool.name == \"read_file\"']}", capsys, by_guard)
    assert (found["as before"], found["changed"]) == (3, [])


def test_what_is_missing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit"]) == 2
    assert main(["audit", "--file", str(tmp_path / "none.jsonl")]) == 2
    assert "there is no audit" in capsys.readouterr().err


def test_status_shows_routes_policies_and_what_is_off_without_secrets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "gateway.yaml"
    database = tmp_path / "g.db"
    config.write_text(
        f"store: sqlite:///{database}\npolicies:\n  authz: {{enforce: false, deny: ['mcp.tool.name == \"x\"']}}\n"
        + ROUTES.replace("api_key: x", "api_key: sk-never-shown")
    )
    assert main(["status", "--config", str(config)]) == 0
    told = capsys.readouterr().out
    for word in ("anthropic", "filesystem: http://127.0.0.1:1/mcp", "1 deny, observes only", "nothing is switched off"):  # fmt: skip
        assert word in told
    assert "sk-never-shown" not in told
    assert main(["status", "--config", str(config), "--json"]) == 0
    assert lines(capsys)[0]["off"] == []
