"""One event through the handler that Lambda would call, or through the streaming loop where the event asks for a stream."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from gateway import lambda_events
from scripts.lambda_demo import demo

DEMO = """
store: "memory:"
policies: {{auth: {{keys: [{{key: gw-event-key, id: event, owner: you@example.com}}]}}}}
routes:
- {{path: /, llm: {{providers: {{demo: {{dialect: anthropic, base_url: "{demo}"}}}}}}}}
- {{path: /mcp, mcp: {{servers: {{math: {{url: "{demo}/math"}}}}}}}}
telemetry: {{log: "off"}}
"""


def streams(event: dict[str, Any]) -> bool:
    body = event.get("body") or ""
    return '"stream": true' in body or '"stream":true' in body


def invoke(event: dict[str, Any]) -> None:
    if streams(event):
        asyncio.run(_streamed(event))
        return
    from gateway.aws import handler

    print(json.dumps(handler(event, None), indent=2))


async def _streamed(event: dict[str, Any]) -> None:
    from gateway.aws import application
    from gateway.lambda_runtime import prelude

    scope, body = lambda_events.scope_and_body(event, "")
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        return messages.pop() if messages else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            print(json.dumps(prelude(message)), flush=True)
        else:
            sys.stdout.write(message.get("body", b"").decode("utf-8", "replace"))
            sys.stdout.flush()

    await application()(scope, receive, send)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("event", type=Path, help="a file of events/, or of your own")
    parser.add_argument("--config", type=Path, help="the configuration; the demo's, where it is not given")
    args = parser.parse_args()
    event = json.loads(args.event.read_text())
    os.environ["AWS_LAMBDA_EXEC_WRAPPER" if streams(event) else "GATEWAY_WHOLE"] = "1"
    if args.config:
        os.environ["GATEWAY_CONFIG"] = str(args.config)
        return invoke(event)
    with tempfile.TemporaryDirectory() as folder, demo(Path(folder)) as behind:
        file = Path(folder) / "gateway.yaml"
        file.write_text(DEMO.format(demo=behind))
        os.environ["GATEWAY_CONFIG"] = str(file)
        invoke(event)


if __name__ == "__main__":
    main()
