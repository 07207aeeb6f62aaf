"""`gateway serve --demo`: a gateway with everything behind it in the same process, and the lines to try it with."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import secrets
import tempfile
from importlib.resources import files
from pathlib import Path

from gateway.app import Gateway
from gateway.cli import listening, serve
from gateway.config.build import build
from gateway.config.load import Loaded, loads
from gateway.config.resources import Resources
from gateway.demo.app import demo_app

# The real provider is used instead of the demo model where its key is in the environment.
_PROVIDERS = {"ANTHROPIC_API_KEY": "anthropic", "OPENAI_API_KEY": "openai", "GEMINI_API_KEY": "gemini"}


async def serve_demo(args: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="gateway-demo-") as folder:
        (Path(folder) / "hello.txt").write_text("This is a test file for MCP access.\n")
        behind = listening.bind("127.0.0.1", 0)
        server = listening.server(demo_app(Path(folder)), grace=1)
        task = asyncio.create_task(server.serve([behind]))
        try:
            await _serve(args, serve.url(behind))
        finally:
            server.should_exit = True
            await task


async def _serve(args: argparse.Namespace, demo: str) -> None:
    key = os.environ.get("GATEWAY_DEMO_KEY") or "gw_demo_" + secrets.token_urlsafe(18)
    real = next((name for name in _PROVIDERS if os.environ.get(name)), "")
    loaded = _loaded(demo, key, real)
    resources = Resources()
    gateway = Gateway(build(loaded, resources))
    host = args.host or "127.0.0.1"
    port = serve.chosen_port(args)
    sockets = [listening.bind(host, serve.PORT if port is None else port)]

    def say(url: str, metrics: str, admin: str) -> None:
        if args.json:
            told = {"ready": url, "metrics": metrics, "admin": admin, "token": key}
            print(json.dumps(told), flush=True)
        else:
            print(banner(url, metrics, admin, key, _PROVIDERS.get(real, "")), flush=True)
            print(f"ready {url}", flush=True)

    await serve.serve(gateway, sockets, listen={}, resources=resources, host=host, folder=Path.cwd(), say=say)


def _loaded(demo: str, key: str, real: str) -> Loaded:
    text = files("gateway.demo").joinpath("demo.yaml").read_text()
    if real:
        llm = f'    llm: {{providers: {{{_PROVIDERS[real]}: {{api_key: "${{{real}}}"}}}}}}'
        text = re.sub("^    llm: .*$", llm, text, flags=re.MULTILINE)
    env = {**os.environ, "GATEWAY_DEMO_URL": demo, "GATEWAY_DEMO_KEY": key}
    return loads(text, source="demo.yaml", folder=Path.cwd(), env=env)


def banner(url: str, metrics: str, admin: str, key: str, provider: str) -> str:
    behind = (
        f"{provider} itself, by the key in your environment"
        if provider
        else "a demo model that repeats what you say"
    )
    other = {"openai": "gpt-5-mini", "gemini": "gemini-3.8-flash"}.get(provider, "")
    model = other or "claude-sonnet-5"
    wire = "" if provider else f"            (Gemini's wire under {url}/gemini)"
    asks = f"\n  export ANTHROPIC_MODEL={other} ANTHROPIC_DEFAULT_HAIKU_MODEL={other}" if other else ""
    side = "".join(
        f"\n  {name:<9}{place}" for name, place in (("metrics", metrics), ("the page", admin)) if place
    )
    seen = f"\nWhat was used, by whom and for how much: {admin} (the token signs you in)\n" if admin else ""
    return f"""
asgi-gateway, with {behind} and demo tools behind it

  models   {url}{wire}
  tools    {url}/mcp        (math)  {url}/mcp/filesystem{side}
  token    {key}

Ask the model:

  curl {url}/v1/messages -H "authorization: Bearer {key}" -H "content-type: application/json" \\
    -d '{{"model": "{model}", "max_tokens": 100, "messages": [{{"role": "user", "content": "hello"}}]}}'

List the tools:

  curl {url}/mcp -H "authorization: Bearer {key}" -H "content-type: application/json" \\
    -d '{{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}}'

Call one:

  curl {url}/mcp -H "authorization: Bearer {key}" -H "content-type: application/json" \\
    -d '{{"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {{"name": "add", "arguments": {{"a": 1, "b": 2}}}}}}'

Claude Code:

  export ANTHROPIC_BASE_URL={url}
  export ANTHROPIC_AUTH_TOKEN={key}{asks}

and its tools, in .mcp.json:

  {{"mcpServers": {{"math": {{"type": "http", "url": "{url}/mcp",
    "headers": {{"Authorization": "Bearer {key}"}}}}}}}}
{seen}
Ctrl-C ends it.
"""
