"""Other people's MCP servers and clients, for the length of a test."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.real.programs import ROOT, TOOLS

SERVER = ROOT / "tests/vectors/mcp-everything-server/server.py"
MCP = TOOLS / "mcp"
MODULES = MCP / "node_modules"
NODE = MODULES / "node/bin/node"
ENVIRONMENT = {"PATH": f"{NODE.parent}:{os.environ['PATH']}", "HOME": str(MCP), "NO_COLOR": "1"}


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@asynccontextmanager
async def running(
    command: Sequence[str | Path], *, port: int, env: Mapping[str, str] | None = None
) -> AsyncIterator[None]:
    """From when it accepts connections; ended with all that it started."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        env={**ENVIRONMENT, **(env or {})},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(60):
            await _accepting(process, port)
        yield
    finally:
        if process.returncode is None:
            os.killpg(process.pid, 9)
        await process.wait()


async def _accepting(process: asyncio.subprocess.Process, port: int) -> None:
    while True:
        assert process.returncode is None, "it ended instead of serving"
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


@asynccontextmanager
async def everything() -> AsyncIterator[str]:
    """The Python SDK's everything-server, of both eras."""
    port = free_port()
    command = [sys.executable, SERVER, "--port", str(port), "--log-level", "ERROR"]
    async with running(command, port=port):
        yield f"http://127.0.0.1:{port}/mcp"
