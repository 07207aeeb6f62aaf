"""Cold starts of the built package, in turn with those of a bare Starlette app under Mangum in the same package.

A cold start is the first answer of a fresh environment under AWS's emulator: interpreter, imports, configuration, one request.
Its wall time is what a user waits; the processor time that the function's process took until then is the same on a busy machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.config import tree
from scripts.lambda_emulator import ROOT, emulated

BARE = """
from mangum import Mangum
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

async def answer(request):
    return JSONResponse({"status": "ok"})

handler = Mangum(Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])]), lifespan="off")
"""
TIMED = """
import os, time
from importlib import import_module

module, _, name = os.environ["TIMED"].rpartition(".")
inner = getattr(import_module(module), name)

def handler(event, context):
    answer = inner(event, context)
    return {**answer, "cpu_ms": time.process_time() * 1000}
"""
SHIPPED = {
    "GATEWAY_CONFIG": "gateway.yaml",
    "GATEWAY_STORE": "dynamodb://gateway?region=eu-west-1",
    "GATEWAY_SEAL_KEY": "a-seal-key-of-thirty-two-bytes-and-more",
    "ANTHROPIC_API_KEY": "sk-ant-none",
    "MCP_SERVER_URL": "http://127.0.0.1:9/mcp",
    "AWS_ACCESS_KEY_ID": "cold",
    "AWS_SECRET_ACCESS_KEY": "start",
    "AWS_REGION": "eu-west-1",
    "AWS_LAMBDA_FUNCTION_NAME": "gateway",
}
ISSUER = "[{issuer: me, audiences: [tools], secret: a-secret-of-thirty-two-bytes-or-more}]"
WITH = {
    "with JWT": ("{keys: true}", f"{{keys: true, jwt: {ISSUER}}}"),
    "with CEL": (
        "routes:",
        "routes:\n  - {path: /ruled, llm: {providers: {anthropic: {api_key: none}}}, policies: {authz: [principal.id != 'x']}}",
    ),
}


def event(name: str) -> Any:
    return json.loads((ROOT / "events" / f"{name}.json").read_text())


def configurations(package: Path, folder: Path) -> dict[str, Mapping[str, str]]:
    """By name: the environment of each."""
    (folder / "bare.py").write_text(BARE)
    (folder / "timed.py").write_text(TIMED)
    path = {"PYTHONPATH": f"{folder}:{package}"}
    text = (package / "gateway.yaml").read_text()
    shipped = {**SHIPPED, **path, "TIMED": "gateway.aws.handler"}
    found: dict[str, Mapping[str, str]] = {"bare": {**path, "TIMED": "bare.handler"}, "shipped": shipped}
    for name, (old, new) in WITH.items():
        file = folder / f"{name.replace(' ', '-')}.yaml"
        file.write_text(text.replace(old, new))
        tree.keep(file)  # as the build does with the file that is shipped
        found[name] = {**shipped, "GATEWAY_CONFIG": str(file)}
    return found


@dataclass(frozen=True, slots=True)
class Start:
    """Milliseconds until the first answer."""

    wall: float
    cpu: float


def measured(package: Path, rounds: int, asked: Mapping[str, Any]) -> dict[str, list[Start]]:
    """In turn, so that a busy machine slows all alike; one round before them writes bytecode."""
    taken: dict[str, list[Start]] = {}
    with tempfile.TemporaryDirectory() as folder:
        todo = configurations(package, Path(folder))
        for number in range(rounds + 1):
            for name, env in todo.items():
                with emulated(package, handler="timed.handler", env=env) as lambda_:
                    wall, answer = lambda_.timed(asked)
                    assert answer.get("statusCode") in (200, 401), answer
                    if number:
                        taken.setdefault(name, []).append(Start(wall, answer["cpu_ms"]))
    return taken


def summary(found: Mapping[str, Sequence[Start]]) -> dict[str, dict[str, float]]:
    """Medians; a ratio is the median of each start against the bare one of its round."""
    out: dict[str, dict[str, float]] = {}
    for name, starts in found.items():
        pairs = list(zip(starts, found["bare"], strict=True))
        out[name] = {
            "ms": statistics.median(each.wall for each in starts),
            "ratio": statistics.median(ours.wall / bare.wall for ours, bare in pairs),
            "cpu_ms": statistics.median(each.cpu for each in starts),
            "cpu_ratio": statistics.median(ours.cpu / bare.cpu for ours, bare in pairs),
        }
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--package", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    found = summary(measured(args.package.resolve(), args.rounds, event("http-api-unauthenticated")))
    if args.json:
        told = {kind: {name: round(each[kind], 3) for name, each in found.items()} for kind in found["bare"]}
        return print(json.dumps({f"cold_start_{kind}": each for kind, each in told.items()}))
    for name, each in found.items():
        print(
            "{:10} {ms:5.0f} ms {ratio:5.2f} x   processor {cpu_ms:5.0f} ms {cpu_ratio:5.2f} x".format(
                name, **each
            )
        )


if __name__ == "__main__":
    main()
