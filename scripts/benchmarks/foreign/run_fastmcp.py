"""FastMCP's proxy, stateless, with JSON answers, on uvloop and httptools: run_fastmcp.py PORT UPSTREAM FOLDER"""

from __future__ import annotations

import sys

from fastmcp.server import create_proxy

_, port, upstream, _ = sys.argv
create_proxy(upstream + "/mcp", name="proxy").run(
    transport="http",
    host="127.0.0.1",
    port=int(port),
    path="/mcp",
    stateless_http=True,
    json_response=True,
    show_banner=False,
    log_level="error",
    uvicorn_config={"access_log": False, "loop": "uvloop", "http": "httptools"},
)
