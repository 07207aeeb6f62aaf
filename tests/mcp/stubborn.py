"""A stdio server for tests, as bad as its first argument says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

how = sys.argv[1]
if how == "dies":
    sys.exit(3)
if how == "slow":
    time.sleep(1)
if how in {"never exits", "has children"}:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if how == "has children":
    child = subprocess.Popen(
        [sys.executable, "-c", "import signal,time; signal.signal(15, 1); time.sleep(600)"]
    )


def say(message: object) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


for line in sys.stdin:
    message = json.loads(line)
    method, ident = message.get("method"), message.get("id")
    if how == "prints":
        print("hello, I print what I like", flush=True)
        print("[1, 2", flush=True)
    if how == "floods":
        sys.stderr.write("x" * 3000 + "\n" + "noise\n" * 50000)
    if method == "server/discover" and how != "modern":
        say({"jsonrpc": "2.0", "id": ident, "error": {"code": -32601, "message": "Method not found"}})
    elif method == "server/discover":
        say(
            {
                "jsonrpc": "2.0",
                "id": ident,
                "result": {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}},
            }
        )
    elif method == "initialize":
        result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": how}}
        say({"jsonrpc": "2.0", "id": ident, "result": result})
    elif method == "tools/list":
        names = ["echo", "die", "hang", "deaf", "environ", "ask", "progress"]
        say(
            {
                "jsonrpc": "2.0",
                "id": ident,
                "result": {"tools": [{"name": each, "inputSchema": {}} for each in names]},
            }
        )
    elif method == "tools/call":
        name, params = message["params"]["name"], message["params"]
        if name == "die":
            os._exit(1)
        if name == "hang":
            continue
        if name == "deaf":
            time.sleep(600)
        said = json.dumps(params.get("arguments"))
        if name == "environ":
            said = json.dumps(sorted(os.environ))
        if name == "ask":
            say({"jsonrpc": "2.0", "id": "q1", "method": "elicitation/create", "params": {}})
            said = json.dumps(json.loads(sys.stdin.readline())["error"]["code"])
        if name == "progress":
            token = params["_meta"]["progressToken"]
            say(
                {
                    "jsonrpc": "2.0",
                    "method": "notifications/progress",
                    "params": {"progressToken": token, "progress": 1},
                }
            )
        say({"jsonrpc": "2.0", "id": ident, "result": {"content": [{"type": "text", "text": said}]}})
if how in {"never exits", "has children"}:
    time.sleep(600)
