"""The demo model and tools in a thread of their own: Mangum keeps the event loop for itself."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from gateway.cli import listening
from gateway.cli.serve import url
from gateway.demo.app import demo_app


@contextlib.contextmanager
def demo(folder: Path) -> Iterator[str]:
    """Its URL, while it runs."""
    sock = listening.bind("127.0.0.1", 0)
    ready = threading.Event()
    server = listening.server(demo_app(folder), grace=1, ready=ready.set)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([sock])))
    thread.start()
    ready.wait(10)
    try:
        yield url(sock)
    finally:
        server.should_exit = True
        thread.join()
