"""`gateway serve` from outside: what it prints, how it changes, and how it ends."""

import asyncio
import json
import signal
import socket
import ssl
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from gateway.stores import open_store
from gateway.types import Receive, Scope, Send
from tests.whole.process import serving
from tests.whole.running import KEY, POLICIES, served, until

QUIET = "listen: {port: 0, metrics: 0, admin: 0}\ntelemetry: {log: 'off'}\n"
ASKED = {"model": "claude-demo", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}
BEARER = {"authorization": f"Bearer {KEY}"}


def route(url: str, path: str = "/") -> str:
    return f"- {{path: {path}, llm: {{providers: {{p: {{dialect: anthropic, base_url: '{url}'}}}}}}}}\n"


class Slow:
    """A streaming provider that waits for leave to go on."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send(
            {
                "type": "http.response.body",
                "body": b'event: ping\ndata: {"type": "ping"}\n\n',
                "more_body": True,
            }
        )
        self.begun.set()
        await self.go_on.wait()
        await send(
            {"type": "http.response.body", "body": b'event: message_stop\ndata: {"type": "message_stop"}\n\n'}
        )


async def no_longer_accepts(url: str) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                async with httpx.AsyncClient() as late:
                    await late.get(url + "/healthz")
            except httpx.HTTPError:
                return


async def test_the_demo_needs_nothing_and_its_printed_lines_work(tmp_path: Path) -> None:
    clean = dict.fromkeys(("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY"), "")
    async with serving("--demo", "--port", "0", cwd=tmp_path, env=clean) as process:
        token = (await process.line("  token ")).split()[-1]
        commands = "\n".join(process.lines).split("\n  curl ")[1:]
        assert len(commands) == 3
        for command in commands:
            ended = await asyncio.to_thread(
                subprocess.run,
                ["bash", "-c", "curl -sS " + command.split("\n\n")[0]],
                capture_output=True,
                check=True,
            )
            answer = json.loads(ended.stdout)
            assert answer.get("stop_reason") == "end_turn" or answer["result"].keys() & {"tools", "content"}
        await _the_page_shows_both_calls((await process.line("the page")).split()[-1], process.url, token)
        assert any(f"export ANTHROPIC_AUTH_TOKEN={token}" in line for line in process.lines)


@pytest.mark.parametrize(
    ("variable", "provider", "model"),
    [
        ("ANTHROPIC_API_KEY", "anthropic", "claude-sonnet-5"),
        ("OPENAI_API_KEY", "openai", "gpt-5-mini"),
        ("GEMINI_API_KEY", "gemini", "gemini-3.8-flash"),
    ],
)
async def test_with_a_key_the_real_provider_takes_the_demo_models_place(
    tmp_path: Path, variable: str, provider: str, model: str
) -> None:
    env = dict.fromkeys(("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY"), "")
    async with serving("--demo", "--port", "0", cwd=tmp_path, env={**env, variable: "sk-no"}) as process:
        page = (await process.line("the page")).split()[-1]
        said = "\n".join(process.lines)
        assert f"with {provider} itself" in said
        assert f'"model": "{model}"' in said
        assert (f"export ANTHROPIC_MODEL={model} " in said) == (provider != "anthropic")
        async with httpx.AsyncClient(base_url=page) as client:
            routes = (await client.get("/api/configuration")).json()["routes"]
        models = [list(route["llm"]["providers"]) for route in routes if "llm" in route]
        assert models == [[provider], [provider]]


async def _the_page_shows_both_calls(page: str, gateway: str, token: str) -> None:
    async with httpx.AsyncClient(base_url=page) as client:
        shown: dict[str, int] = {}

        async def all_there() -> bool:
            groups = (await client.get("/api/overview")).json()["groups"]
            shown.update({group["group"][0]: group["calls"] for group in groups})
            return len(shown) == 2

        await until(all_there)  # records wait a moment for company
        assert shown == {"claude-sonnet-5": 1, "": 1}
        (tool,) = (await client.get("/api/tools")).json()["tools"]
        assert (tool["server"], tool["tool"], tool["outcomes"]) == ("math", "add", {"ok": 1})
        assert "routes" in (await client.get("/api/configuration")).json()
        told = (await client.get("/api/configuration")).text
        assert token not in told
        switch = {"kind": "tool", "name": "math/add"}
        signed = {"authorization": f"Bearer {token}"}
        assert (await client.post("/api/switches", json=switch)).status_code == 401
        assert (await client.post("/api/switches", json=switch, headers=signed)).status_code == 200
        call = {"name": "add", "arguments": {"a": 1, "b": 2}}
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}

        async def off() -> bool:
            answer = await client.post(f"{gateway}/mcp", json=message, headers=signed)
            return bool(answer.json()["result"]["isError"])

        await until(off)


async def test_port_comes_from_the_environment(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with serving("--demo", cwd=tmp_path, env={"PORT": str(port)}) as process:
        assert process.url == f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("port", ["", "abc", "-1", "²"])
async def test_a_port_that_is_none_is_said_and_not_a_traceback(tmp_path: Path, port: str) -> None:
    with pytest.raises(AssertionError, match=f"PORT must be a number, not '{port}'"):
        async with serving("--demo", cwd=tmp_path, env={"PORT": port}):
            pass


async def test_json_says_in_one_line_where_it_listens(tmp_path: Path) -> None:
    file = "admin: {}\nroutes:\n" + route("http://127.0.0.1:9")
    (tmp_path / "gateway.yaml").write_text("listen: {port: 0}\n" + POLICIES + file)
    async with serving("--config", "gateway.yaml", "--json", cwd=tmp_path) as process:
        (line,) = process.lines
        told = json.loads(line)
        assert told.keys() == {"ready", "metrics", "admin"}
        async with httpx.AsyncClient() as client:
            for place in (told["ready"] + "/healthz", told["metrics"] + "/metrics", told["admin"] + "/"):
                assert (await client.get(place)).status_code == 200


async def test_json_of_the_demo_has_the_token_too(tmp_path: Path) -> None:
    async with serving("--demo", "--port", "0", "--json", cwd=tmp_path) as process:
        (line,) = process.lines
        told = json.loads(line)
        headers = {"authorization": f"Bearer {told['token']}"}
        async with httpx.AsyncClient(headers=headers) as client:
            assert (await client.get(told["ready"] + "/v1/models")).status_code == 200


async def test_a_busy_port_is_said_and_not_a_traceback(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(AssertionError, match=f"cannot listen on 127.0.0.1:{port}"):
            async with serving("--demo", "--port", str(port), cwd=tmp_path):
                pass


@pytest.mark.parametrize(
    ("words", "more", "said"),
    [
        (("--port", "99999"), "", "99999 is no port"),
        (("--host", "203.0.113.7"), "", "cannot listen on 203.0.113.7"),
        ((), "store: sqlite:///nowhere/deep/gateway.db", "cannot open the SQLite store"),
        ((), "telemetry: {audit: {file: taken/audit.jsonl}}", "taken/audit.jsonl cannot be written"),
    ],
)
async def test_what_cannot_be_used_is_said_in_one_line(
    tmp_path: Path, words: tuple[str, ...], more: str, said: str
) -> None:
    (tmp_path / "taken").write_text("a file where a folder should be")
    (tmp_path / "gateway.yaml").write_text(f"routes: []\n{more}\n")
    gateway = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", "serve", "--config", "gateway.yaml", "--port", "0", *words,
        cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await gateway.communicate()
    assert (gateway.returncode, out, len(err.splitlines())) == (2, b"", 1)
    assert said in err.decode()


async def test_metrics_take_the_next_port_when_theirs_is_busy(tmp_path: Path) -> None:
    async with (
        serving("--demo", "--port", "0", cwd=tmp_path) as first,
        serving("--demo", "--port", "0", cwd=tmp_path) as second,
    ):
        places = [(await each.line("  metrics")).split()[-1] for each in (first, second)]
        assert places[0] != places[1]
        await second.line(f"port 15020 is busy; metrics: {places[1]}", errors=True)
        async with httpx.AsyncClient() as client:
            for place in places:
                assert (await client.get(place + "/metrics")).status_code == 200


async def test_a_changed_file_serves_the_next_request_and_drops_no_connection(tmp_path: Path) -> None:
    slow = Slow()
    async with served(slow) as behind:
        file = tmp_path / "gateway.yaml"
        file.write_text(POLICIES + QUIET + "routes:\n" + route(behind))
        async with (
            serving("--config", "gateway.yaml", cwd=tmp_path) as process,
            httpx.AsyncClient(headers=BEARER) as client,
        ):
            async with client.stream(
                "POST", process.url + "/v1/messages", json={**ASKED, "stream": True}
            ) as stream:
                pieces = stream.aiter_raw()
                await anext(pieces)
                file.write_text(POLICIES + QUIET + "routes:\n" + route(behind, "/new"))
                await process.line("new requests use it", errors=True)
                gone = await client.post(process.url + "/v1/messages", json=ASKED)
                assert gone.status_code == 404
                slow.go_on.set()
                rest = b"".join([piece async for piece in pieces])
            assert b"message_stop" in rest


async def test_a_file_that_changes_while_the_gateway_starts_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"

    async def tools(scope: Scope, receive: Receive, send: Send) -> None:
        """Asked for the first time before the gateway is ready."""
        with suppress(FileNotFoundError):  # when it is asked again
            (tmp_path / "next.yaml").replace(file)
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body"})

    async with served(tools) as behind:
        file.write_text(
            POLICIES + QUIET + f"routes:\n- {{path: /mcp, mcp: {{servers: {{s: {{url: {behind}}}}}}}}}\n"
        )
        (tmp_path / "next.yaml").write_text(POLICIES + QUIET + "routes:\n" + route("http://127.0.0.1:9"))
        async with (
            serving("--config", "gateway.yaml", cwd=tmp_path) as process,
            httpx.AsyncClient(headers=BEARER) as client,
        ):
            await process.line("new requests use it", errors=True)
            assert (await client.post(process.url + "/v1/messages", json=ASKED)).status_code == 502


async def test_a_broken_file_is_refused_and_the_old_one_stays(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    good = POLICIES + QUIET + "routes:\n" + route("http://127.0.0.1:9")
    file.write_text(good)
    async with (
        serving("--config", "gateway.yaml", cwd=tmp_path) as process,
        httpx.AsyncClient(headers=BEARER) as client,
    ):
        file.write_text(good + "storee: nothing\n")
        await process.line("did you mean store?", errors=True)
        assert (await client.post(process.url + "/v1/messages", json=ASKED)).status_code == 502


async def test_a_stream_that_runs_when_the_end_is_asked_for_finishes(tmp_path: Path) -> None:
    slow = Slow()
    async with served(slow) as behind:
        (tmp_path / "gateway.yaml").write_text(POLICIES + QUIET + "routes:\n" + route(behind))
        async with (
            serving("--config", "gateway.yaml", cwd=tmp_path) as process,
            httpx.AsyncClient(headers=BEARER) as client,
        ):
            async with client.stream(
                "POST", process.url + "/v1/messages", json={**ASKED, "stream": True}
            ) as stream:
                pieces = stream.aiter_raw()
                await anext(pieces)
                process.stop()
                await no_longer_accepts(process.url)
                slow.go_on.set()
                assert b"message_stop" in b"".join([piece async for piece in pieces])
            assert await process.ended() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_what_still_runs_and_its_usage_is_kept(
    tmp_path: Path, number: int
) -> None:
    slow = Slow()
    async with served(slow) as behind:
        store = f"store: 'sqlite:///{tmp_path}/g.db'\n"
        (tmp_path / "gateway.yaml").write_text(store + POLICIES + QUIET + "routes:\n" + route(behind))
        async with (
            serving("--config", "gateway.yaml", cwd=tmp_path) as process,
            httpx.AsyncClient(headers=BEARER) as client,
        ):
            asked = {**ASKED, "stream": True}
            async with client.stream("POST", process.url + "/v1/messages", json=asked) as stream:
                pieces = stream.aiter_raw()
                await anext(pieces)
                process.process.send_signal(number)
                await process.line("running requests may finish: 1", errors=True)
                process.process.send_signal(number)
                with pytest.raises(httpx.RemoteProtocolError):
                    await anext(pieces)
            assert await process.ended() == 0
    store = open_store(f"sqlite:///{tmp_path}/g.db")
    [total] = await store.usage(since=0, until=1e12)
    await store.close()
    assert total.calls == 1


async def test_usage_is_in_the_file_after_the_end(tmp_path: Path) -> None:
    from gateway.demo.model import DemoModel

    async with served(DemoModel()) as behind:
        (tmp_path / "gateway.yaml").write_text(
            f"store: 'sqlite:///{tmp_path}/g.db'\n" + POLICIES + QUIET + "routes:\n" + route(behind)
        )
        async with (
            serving("--config", "gateway.yaml", cwd=tmp_path) as process,
            httpx.AsyncClient(headers=BEARER) as client,
        ):
            for _ in range(5):
                assert (await client.post(process.url + "/v1/messages", json=ASKED)).status_code == 200
            process.stop()
            assert await process.ended() == 0
    store = open_store(f"sqlite:///{tmp_path}/g.db")
    [total] = await store.usage(since=0, until=1e12)
    await store.close()
    assert (total.calls, total.output) == (5, 15)


def certificate(folder: Path, name: str) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "2",
         "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip


async def shown(url: str) -> str:
    """The certificate that a new connection meets."""
    host, _, port = url.removeprefix("https://").partition(":")
    return await asyncio.to_thread(ssl.get_server_certificate, (host, int(port)))


async def test_it_ends_tls_itself_and_takes_up_a_new_certificate(tmp_path: Path) -> None:
    certificate(tmp_path, "first")
    tls = "listen: {port: 0, metrics: 0, admin: 0, tls: {cert: cert.pem, key: key.pem}}\n"
    (tmp_path / "gateway.yaml").write_text(
        POLICIES + tls + "telemetry: {log: 'off'}\nroutes:\n" + route("http://127.0.0.1:9")
    )
    async with serving("--config", str(tmp_path / "gateway.yaml"), cwd=Path("/")) as process:
        trust = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        async with httpx.AsyncClient(verify=trust) as client:
            assert process.url.startswith("https://")
            assert (await client.get(process.url + "/healthz")).json() == {"status": "ok"}
        before = await shown(process.url)
        (tmp_path / "new").mkdir()
        certificate(tmp_path / "new", "second")
        (tmp_path / "new/cert.pem").replace(tmp_path / "cert.pem")
        await process.line("the old one stays", errors=True)
        assert await shown(process.url) == before
        (tmp_path / "new/key.pem").replace(tmp_path / "key.pem")
        await process.line("new connections use it", errors=True)
        assert await shown(process.url) != before


async def test_port_takes_the_place_of_the_first_port_only(tmp_path: Path) -> None:
    with socket.socket() as probe, socket.socket() as second:
        probe.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        port, other = probe.getsockname()[1], second.getsockname()[1]
    ports = f"listen: {{port: [1, {other}], metrics: 0, admin: 0}}\ntelemetry: {{log: 'off'}}\n"
    (tmp_path / "gateway.yaml").write_text(POLICIES + ports + "routes:\n" + route("http://127.0.0.1:9"))
    async with (
        serving("--config", "gateway.yaml", cwd=tmp_path, env={"PORT": str(port)}) as process,
        httpx.AsyncClient() as client,
    ):
        assert process.url == f"http://127.0.0.1:{port}"
        assert (await client.get(f"http://127.0.0.1:{other}/healthz")).status_code == 200
