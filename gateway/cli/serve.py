"""`gateway serve`: the gateway as a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import os
import socket
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, cast

from gateway.app import Gateway, Reloader, Running
from gateway.cli import listening
from gateway.config.build import build
from gateway.config.build_policies import prepare
from gateway.config.load import Loaded, load
from gateway.config.resources import Resources
from gateway.errors import ConfigError
from gateway.types import App

log = logging.getLogger("gateway")
PORT, METRICS, ADMIN = 3000, 15020, 15000
GRACE = 110.0  # seconds in which running streams may finish


def add_parser(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "serve",
        help="serve a configuration, or the demo",
        description="Serve a configuration. It is read again when it changes; a broken file is refused, the old one stays.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--config", metavar="FILE", type=Path, help="the configuration to serve")
    what.add_argument(
        "--demo", action="store_true", help="a demo model and demo tools: no file, no key, no network"
    )
    parser.add_argument("--host", help="the address to listen on (the file's listen.host, else 127.0.0.1)")
    parser.add_argument("--port", type=int, help="the first port (PORT, the file's listen.port, else 3000)")
    parser.add_argument("--json", action="store_true", help="tell where it listens as one JSON line")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    if args.demo:
        from gateway.cli.demo import serve_demo

        return _main(serve_demo(args))
    return _main(serve_file(args))


def _main(serving: Coroutine[Any, Any, None]) -> int:
    """In the fastest loop there is, with the start-up's objects out of the collector's way."""
    try:
        import uvloop

        factory: Callable[[], asyncio.AbstractEventLoop] | None = uvloop.new_event_loop
    except ImportError:
        factory = None
    sys.setswitchinterval(0.0005)
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serving)
    return 0


async def serve_file(args: argparse.Namespace) -> None:
    resources = Resources()

    def read() -> Loaded:
        loaded = load(args.config)
        prepare(loaded.data)
        return loaded

    async def rebuild() -> Running:
        return build(await asyncio.to_thread(read), resources)

    loaded = read()
    listen = loaded.data.get("listen") or {}
    gateway = Gateway(build(loaded, resources))
    host = args.host or listen.get("host", "127.0.0.1")
    ports = listen.get("port", PORT)
    chosen = chosen_port(args)
    first, *others = _listed(ports)
    sockets = [listening.bind(host, port) for port in (first if chosen is None else chosen, *others)]
    await serve(
        gateway,
        sockets,
        listen=listen,
        resources=resources,
        host=host,
        folder=args.config.parent,
        rebuild=rebuild,
        say=_ready_json if args.json else _ready,
    )


def chosen_port(args: argparse.Namespace) -> int | None:
    """`--port`, else PORT, else none: the file's, or the usual one."""
    text = os.environ.get("PORT")
    if args.port is not None or text is None:
        return cast("int | None", args.port)
    if not text.isdecimal():
        raise ConfigError(f"PORT must be a number, not {text!r}")
    return int(text)


def _listed(ports: int | list[int]) -> list[int]:
    return ports if isinstance(ports, list) else [ports]


def _ready(url: str, metrics: str, admin: str) -> None:
    print(f"ready {url}", flush=True)


def _ready_json(url: str, metrics: str, admin: str) -> None:
    print(json.dumps({"ready": url, "metrics": metrics, "admin": admin}), flush=True)


async def serve(
    gateway: Gateway,
    sockets: list[socket.socket],
    *,
    listen: dict[str, Any],
    resources: Resources,
    host: str,
    folder: Path,
    say: Callable[[str, str, str], None],
    rebuild: Callable[[], Coroutine[Any, Any, Running]] | None = None,
) -> None:
    """Until a signal ends it; then running requests finish, and what they owe is written."""
    side, places = [], {"metrics": "", "admin": ""}
    for name, app, place, port in _side_doors(gateway, listen, host):
        sock = listening.bind(place, port, or_next=True)
        side.append((listening.server(app, grace=1), sock))
        places[name] = url(sock)
        if port != sock.getsockname()[1]:
            log.warning("port %d is busy; %s: %s", port, name, places[name])
    pair = _pair(listen, folder)

    def ready() -> None:
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        say(url(sockets[0], secure=pair is not None), places["metrics"], places["admin"])

    main = listening.server(gateway, grace=GRACE, ready=ready, ending=gateway.end_streams, tls=pair)
    # Made now, so that it sees what changes while servers are waited for.
    reloader = Reloader(gateway, rebuild) if rebuild else None
    if gateway.running.open is not None:
        await gateway.running.open()
    watching = [asyncio.create_task(reloader.watch())] if reloader else []
    watching += [asyncio.create_task(listening.Certificates(main, pair).watch())] if pair else []
    try:
        await listening.run(main, sockets, side)
    finally:
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        await gateway.close()
        await resources.close()


def _pair(listen: dict[str, Any], folder: Path) -> tuple[str, str] | None:
    """Certificate and key, as the file names them: beside itself."""
    tls = listen.get("tls")
    return (str(folder / tls["cert"]), str(folder / tls["key"])) if tls else None


def _side_doors(gateway: Gateway, listen: dict[str, Any], host: str) -> list[tuple[str, App, str, int]]:
    """The metrics go where the gateway goes; the page stays on this machine unless it has a credential."""
    doors: list[tuple[str, App, str, int]] = []
    running = gateway.running
    if running.metrics is not None:
        doors.append(("metrics", gateway.metrics, host, listen.get("metrics", METRICS)))
    if running.admin is not None:
        place = host if running.admin_open else "127.0.0.1"
        doors.append(("admin", gateway.admin, place, listen.get("admin", ADMIN)))
    return doors


def url(sock: socket.socket, *, secure: bool = False) -> str:
    host, port = sock.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if secure else 'http'}://{shown}:{port}"
