"""What the audit writes, and what shows when somebody changes it afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from gateway.call import ANONYMOUS, Call, Verdict
from gateway.telemetry import chain, sinks
from gateway.telemetry.audit import Audit
from gateway.telemetry.masking import Masking
from gateway.telemetry.otlp import OtlpHttp, OtlpLogs
from gateway.telemetry.sinks import FdSink, FileSink
from tests.telemetry.calls import MODEL, TOOL, call, model_call, refused_call, tool_call
from tests.telemetry.receiver import receiving


def audited(path: Path, *calls: Call, **options: Any) -> list[dict[str, Any]]:
    audit = Audit(FileSink(path), after=sinks.last_hash(path), **options)
    for one in calls:
        audit.finished(one)
    audit.close()
    return [orjson.loads(line) for _, line in sinks.lines(path)]


def test_a_tool_call_says_who_what_and_which_policy_with_secrets_masked(tmp_path: Path) -> None:
    seen = tool_call(verdicts=[Verdict("guard", "audit", "pii", "an e-mail address")])
    (line,) = audited(tmp_path / "audit.jsonl", seen)
    assert line["user"] == "alice@example.com"
    assert (line["server"], line["tool"], line["outcome"]) == ("filesystem", "read_file", "ok")
    assert line["arguments"] == {"path": "/workspace/a.txt", "password": "***"}
    assert line["verdicts"] == [
        {"policy": "guard", "action": "audit", "rule": "pii", "reason": "an e-mail address"}
    ]
    assert line["caller"]["claims"] == {"sub": "alice", "email": "alice@example.com", "role": "developer"}
    assert line["tool_use_id"] == "toolu_1"


def test_a_model_call_has_tokens_and_dollars_and_no_text(tmp_path: Path) -> None:
    seen = model_call(
        body=b'{"messages":[{"role":"user","content":"a secret plan"}]}',
        headers={"authorization": "Bearer sk-ant-secret", "user-agent": "claude-cli"},
    )
    (line,) = audited(tmp_path / "audit.jsonl", seen)
    assert line["tokens"] == {"input": 1300, "output": 50}
    assert line["usd"] == 0.25
    assert line["headers"] == {"user-agent": "claude-cli"}
    text = (tmp_path / "audit.jsonl").read_text()
    assert "secret" not in text


def test_arguments_named_in_the_file_are_masked_at_any_depth_and_long_ones_cut() -> None:
    masking = Masking(["content"], scrub=lambda text: text.replace("4111", "****"))
    found = masking({"a": [{"Content": "x"}, {"API-Key": 1}], "b": "4111", "c": "y" * 5000})
    assert found["a"] == [{"Content": "***"}, {"API-Key": "***"}]
    assert found["b"] == "****"
    assert found["c"].endswith("… (+3000)")


def test_a_credential_is_masked_wherever_it_stands_and_ordinary_text_is_not() -> None:
    token = "ghp_" + "wWPw5k4aXcaT4fNP0UcnZwJUVFk6LO0pINUx"
    found = Masking()(
        {"body": f"use {token} please", "path": "/workspace/src/main.py", "long": "y" * 3000 + token}
    )
    assert found["body"] == "use *** please"
    assert found["path"] == "/workspace/src/main.py"
    assert "ghp_" not in found["long"]


def test_a_health_check_is_not_audited_and_a_refused_stranger_is(tmp_path: Path) -> None:
    healthy = call(operation=None, dialect="http", status=200, path="/healthz", principal=ANONYMOUS)
    lines = audited(tmp_path / "audit.jsonl", healthy, refused_call())
    assert [line["outcome"] for line in lines] == ["refused"]


def test_an_admin_action_is_a_line_of_the_same_chain(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    audit = Audit(FileSink(path))
    audit.finished(tool_call())
    audit.action("admin", "kill", target="user:mallory", reason="stolen key", ip="127.0.0.1")
    audit.close()
    assert chain.verify(sinks.lines(path)).problems == []
    assert orjson.loads(list(sinks.lines(path))[1][1])["target"] == "user:mallory"


def written(path: Path) -> list[bytes]:
    audited(path, *[tool_call() for _ in range(3)])
    audited(path, *[model_call() for _ in range(3)])
    return path.read_bytes().splitlines(keepends=True)


def without(number: int) -> Callable[[list[bytes]], list[bytes]]:
    return lambda lines: lines[:number] + lines[number + 1 :]


def swapped(lines: list[bytes]) -> list[bytes]:
    return [lines[0], lines[2], lines[1], *lines[3:]]


def changed(lines: list[bytes]) -> list[bytes]:
    return [lines[0], lines[1].replace(b"read_file", b"list_files"), *lines[2:]]


@pytest.mark.parametrize(
    ("meddle", "problem"),
    [
        (without(0), "1 lines before it are missing"),
        (without(1), "1 lines before it are missing"),
        (without(2), "begins after a line that is missing"),
        (without(3), "1 lines before it are missing"),
        (swapped, "missing"),
        (changed, "its hash does not fit"),
        (lambda lines: [*lines, lines[-1]], "stands twice"),
        (lambda lines: [*lines, b"nonsense\n"], "not a line of the audit"),
    ],
)
def test_meddling_shows(tmp_path: Path, meddle: Callable[[list[bytes]], list[bytes]], problem: str) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b"".join(meddle(written(path))))
    assert problem in "; ".join(chain.verify(sinks.lines(path)).problems)


def test_an_untouched_audit_of_two_processes_verifies_and_its_end_is_pinned_by_its_last_hash(
    tmp_path: Path,
) -> None:
    path = tmp_path / "audit.jsonl"
    lines = written(path)
    whole = chain.verify(sinks.lines(path))
    assert (whole.lines, whole.problems) == (6, [])
    path.write_bytes(b"".join(lines[:-1]))
    assert chain.verify(sinks.lines(path)).problems == []
    assert chain.verify(sinks.lines(path), last=whole.last).problems


def test_files_removed_when_their_time_was_over_are_no_meddling_and_removed_lines_still_are(
    tmp_path: Path,
) -> None:
    path, now = tmp_path / "audit.jsonl", [1000.0]
    sink = FileSink(path, max_bytes=2000, clock=lambda: now[0])
    two = chain.Chain(), chain.Chain()
    for number in range(60):
        now[0] += 1
        sink.write(two[number % 2].lines([{"event": "call", "number": number}]))
    sink.close()
    files = sinks.files(path)
    files[0].unlink()
    assert chain.verify(sinks.lines(path)).problems == []
    kept = files[2].read_bytes().splitlines(keepends=True)
    files[2].write_bytes(b"".join(kept[:2] + kept[3:]))
    assert len(chain.verify(sinks.lines(path)).problems) == 1


def test_with_a_key_nobody_without_it_can_write_a_line_that_fits(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    audited(path, tool_call(), key=b"k" * 32)
    assert chain.verify(sinks.lines(path), key=b"k" * 32).problems == []
    assert chain.verify(sinks.lines(path)).problems
    path.write_bytes(chain.Chain().lines([{"event": "forged"}])[0])
    assert chain.verify(sinks.lines(path), key=b"k" * 32).problems


def test_a_full_file_is_rotated_the_chain_goes_on_and_old_files_leave(tmp_path: Path) -> None:
    path, now = tmp_path / "audit.jsonl", [1_000_000.0]
    sink = FileSink(path, max_bytes=3000, retention=90 * 86400, clock=lambda: now[0])
    writer = chain.Chain()
    for number in range(40):
        now[0] += 1
        sink.write(writer.lines([{"event": "call", "number": number}]))
    files = sinks.files(path)
    assert len(files) > 2
    assert chain.verify(sinks.lines(path)).problems == []
    os.utime(files[0], (0, 0))
    now[0] = 100 * 86400.0
    for file in files[1:-1]:
        os.utime(file, (now[0], now[0]))
    for number in range(40):
        sink.write(writer.lines([{"event": "call", "number": number}]))
        now[0] += 1
    sink.close()
    assert not files[0].exists()
    assert files[1].exists()
    assert path.stat().st_mode & 0o077 == 0


def test_files_that_fill_in_the_same_millisecond_are_all_kept(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "audit.jsonl", max_bytes=10, clock=lambda: 1.0)
    for number in range(5):
        sink.write([b"line %d\n" % number])
    sink.close()
    lines = [line for _, line in sinks.lines(tmp_path / "audit.jsonl")]
    assert lines == [b"line %d\n" % number for number in range(5)]


def test_a_full_file_that_somebody_moved_away_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    sink = FileSink(path, max_bytes=100)
    sink.write([b"x" * 99 + b"\n"])
    path.rename(tmp_path / "moved")
    sink.write([b"new\n"])
    sink.close()
    assert path.read_bytes() == b"new\n"


def test_where_no_new_file_can_be_begun_lines_go_to_no_file_but_the_audits(tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    sink = FileSink(folder / "audit.jsonl", max_bytes=100)
    sink.write([b"x" * 99 + b"\n"])
    folder.rename(tmp_path / "moved")
    folder.write_bytes(b"")  # a file where the folder was
    for _ in range(2):
        with pytest.raises(OSError):
            sink.write([b"secret\n"])
        with (tmp_path / "other").open("ab") as other:  # whatever number the system gives it
            with pytest.raises(OSError):
                sink.write([b"secret\n"])
            other.write(b"mine\n")
    folder.unlink()
    sink.write([b"new\n"])
    sink.close()
    assert (tmp_path / "other").read_bytes() == b"mine\nmine\n"
    assert (folder / "audit.jsonl").read_bytes() == b"new\n"


FULL_DISK = """
import resource, signal, sys
from gateway.telemetry.sinks import FileSink

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sink = FileSink(sys.argv[1])
sink.write([b"first\\n"])
for most in (10, 20):
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
    for _ in range(3):
        try:
            sink.write([b"torn in the middle\\n", b"lost\\n"])
        except OSError:
            continue
        sys.exit("it was not full")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
sink.write([b"last\\n"])
sink.write([b"of all\\n"])
sink.close()
"""


def test_after_a_full_disk_the_next_line_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    subprocess.run([sys.executable, "-c", FULL_DISK, str(path)], check=True, timeout=30)
    assert path.read_bytes().splitlines()[0] == b"first"
    assert path.read_bytes().endswith(b"\nlast\nof all\n")
    assert b"\n\n" not in path.read_bytes()


def test_a_line_that_an_earlier_process_could_not_end_takes_none_of_this_one_along(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b"first\ntorn")
    for line in (b"next\n", b"last\n"):
        sink = FileSink(path)
        sink.write([line])
        sink.close()
    assert path.read_bytes() == b"first\ntorn\nnext\nlast\n"


def test_a_new_file_begins_with_a_line_though_the_full_one_ends_without(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    program = FULL_DISK.replace("(10, 20)", "(10,)").replace("sys.argv[1]", "sys.argv[1], max_bytes=35")
    program = program.replace("last", "x" * 30)
    subprocess.run([sys.executable, "-c", program, str(path)], check=True, timeout=30)
    full, new = sinks.files(path)[:2]
    assert full.read_bytes() == b"first\ntorn"
    assert new.read_bytes() == b"x" * 30 + b"\n"


def test_lines_can_go_to_standard_output_or_to_an_otlp_receiver() -> None:
    read, write = os.pipe()
    audit = Audit(FdSink(write))
    audit.finished(tool_call())
    audit.close()
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        assert orjson.loads(stream.read())["tool"] == "read_file"
    with receiving() as receiver:
        http = OtlpHttp("logs", endpoint=receiver.url, environ={})
        audit = Audit(OtlpLogs(http, environ={}))
        audit.finished(refused_call())
        audit.close()
        (record,) = receiver.logs[0].resource_logs[0].scope_logs[0].log_records
        assert orjson.loads(record.body.string_value)["outcome"] == "refused"


def test_a_sink_that_fails_loses_lines_and_the_loss_is_counted_and_shows() -> None:
    class Full:
        def write(self, lines: list[bytes]) -> None:
            raise OSError("no space left on device")

        def close(self) -> None:
            pass

    audit = Audit(Full())
    audit.finished(tool_call())
    assert audit.queue.flush()
    assert audit.queue.dropped == 1
    audit.close()


def test_no_value_can_forge_a_line_or_move_a_terminals_cursor(tmp_path: Path) -> None:
    hostile = 'x"}\n{"event":"forged"}\r\x1b[2J\x9b31m\u202e\u2028'
    path = tmp_path / "audit.jsonl"
    (line,) = audited(
        path, call(replace(TOOL, tool=hostile, user=hostile)), call(replace(MODEL, kind="http"))
    )
    assert line["tool"] == line["user"] == hostile
    raw = path.read_bytes()
    assert raw.count(b"\n") == 1
    assert raw.isascii()
    assert b"\x1b" not in raw
    assert b"\x7f" not in raw
