"""What a cold start of the shipped configuration imports, and what it does not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.config import tree
from scripts.lambda_coldstart import SHIPPED, WITH

ROOT = Path(__file__).parents[2]
CONFIGURATION = ROOT / "infra/lambda/gateway.yaml"
UNUSED = ("aws_xray_sdk", "boto3", "botocore", "celpy", "cryptography", "google", "httpx", "jwt", "lark",
          "opentelemetry", "re2", "sqlglot", "sqlite3", "starlette", "uvicorn", "uvloop", "yaml")  # fmt: skip
ASK = """
import json, sys
from gateway.aws import handler
answer = handler(json.loads(sys.stdin.read()), None)
print(json.dumps([answer["statusCode"], sorted(sys.modules)]))
"""
DECLARED = """
import sys
import gateway.aws
gateway.aws.application()
ours = [(name, module) for name, module in sys.modules.items() if name.startswith("gateway.")]
print([f"{name}.{kind}" for name, module in ours for kind, each in vars(module).items()
       if isinstance(each, type) and each.__module__ == name and hasattr(each, "__dataclass_fields__")])
"""


def run(code: str, file: Path, given: str = "") -> str:
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **SHIPPED, "GATEWAY_CONFIG": str(file)}
    done = subprocess.run([sys.executable, "-c", code], input=given, env=env, capture_output=True, text=True, check=True)  # fmt: skip
    return done.stdout.splitlines()[-1]


def imported(tmp_path: Path, event: str, *, name: str = "") -> tuple[int, set[str]]:
    text = CONFIGURATION.read_text()
    file = tmp_path / "gateway.yaml"
    file.write_text(text.replace(*WITH[name]) if name else text)
    tree.keep(file)
    status, modules = json.loads(run(ASK, file, (ROOT / "events" / f"{event}.json").read_text()))
    return status, set(modules)


def test_nothing_is_imported_that_the_shipped_configuration_does_not_use(tmp_path: Path) -> None:
    status, modules = imported(tmp_path, "http-api-unauthenticated")
    assert status == 401
    assert [name for name in UNUSED if name in modules] == []
    assert not {
        name for name in modules if name.startswith(("gateway.mcp.app", "gateway.llm.app", "gateway.admin"))
    }


@pytest.mark.parametrize(
    ("name", "needed"), [("with JWT", {"cryptography"}), ("with CEL", {"celpy", "lark"})]
)
def test_what_a_configuration_uses_is_imported(tmp_path: Path, name: str, needed: set[str]) -> None:
    _, modules = imported(tmp_path, "http-api-unauthenticated", name=name)
    assert needed <= modules


def test_a_known_callers_request_loads_the_route_it_is_for_and_no_other(tmp_path: Path) -> None:
    """The key is looked up in a store that is not there: 503, and no client library was asked."""
    status, modules = imported(tmp_path, "http-api-chat")
    assert status in (401, 503, 529)
    assert [name for name in UNUSED if name in modules] == []
    assert "gateway.mcp.app" not in modules


def test_what_a_cold_start_builds_is_declared_with_structs() -> None:
    """A frozen dataclass writes and compiles its own methods when it is imported: a third of a millisecond each."""
    assert run(DECLARED, CONFIGURATION) == "[]"
