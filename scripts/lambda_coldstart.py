"""Cold starts of the built package, in turn with those of a bare Starlette app under Mangum in the same package.

A cold start is the first answer of a fresh environment under AWS's emulator: interpreter, imports, configuration, one request.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Mapping
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


def configurations(package: Path, folder: Path) -> dict[str, tuple[str, Mapping[str, str]]]:
    """By name: handler and environment."""
    (folder / "bare.py").write_text(BARE)
    text = (package / "gateway.yaml").read_text()
    found: dict[str, tuple[str, Mapping[str, str]]] = {
        "bare": ("bare.handler", {"PYTHONPATH": f"{folder}:{package}"}),
        "shipped": ("gateway.aws.handler", SHIPPED),
    }
    for name, (old, new) in WITH.items():
        file = folder / f"{name.replace(' ', '-')}.yaml"
        file.write_text(text.replace(old, new))
        tree.keep(file)  # as the build does with the file that is shipped
        found[name] = ("gateway.aws.handler", {**SHIPPED, "GATEWAY_CONFIG": str(file)})
    return found


def measured(package: Path, rounds: int, asked: Mapping[str, Any]) -> dict[str, float]:
    """Milliseconds, medians; one round before that writes bytecode."""
    taken: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        todo = configurations(package, Path(folder))
        for number in range(rounds + 1):
            for name, (handler, env) in todo.items():
                with emulated(package, handler=handler, env=env) as lambda_:
                    ms, answer = lambda_.timed(asked)
                    assert answer.get("statusCode") in (200, 401), answer
                    if number:
                        taken.setdefault(name, []).append(ms)
    return {name: statistics.median(each) for name, each in taken.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--package", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    found = measured(args.package.resolve(), args.rounds, event("http-api-unauthenticated"))
    ratios = {name: round(ms / found["bare"], 3) for name, ms in found.items()}
    if args.json:
        print(
            json.dumps(
                {"cold_start_ms": {k: round(v, 1) for k, v in found.items()}, "cold_start_ratio": ratios}
            )
        )
        return
    for name, ms in found.items():
        print(f"{name:10} {ms:7.0f} ms  {ratios[name]:5.2f} x")


if __name__ == "__main__":
    main()
