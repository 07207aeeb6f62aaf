"""Imports point downward only."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "gateway"
# From the ground up; a module may import what stands below its own row, and its own row.
ROWS = (
    ("types", "errors", "known", "tasks", "heads", "sse", "metering.usage", "metering.record", "endpoints"),
    ("answer", "call", "refusals", "policies", "body", "operations", "limits", "metering", "telemetry.log"),
    ("stores", "identity", "policy", "guards", "net", "llm.dialects", "llm.signing", "telemetry"),
    ("middleware", "llm", "mcp", "compose", "app", "demo", "admin"),
    ("config",),
    ("aws", "lambda_runtime", "lambda_events", "cli", "__main__"),
)


def row(module: str) -> int:
    best = max(
        (
            (len(name), at)
            for at, names in enumerate(ROWS)
            for name in names
            if module == name or module.startswith(name + ".")
        ),
        default=None,
    )
    assert best is not None, f"gateway.{module} stands in no row"
    return best[1]


def imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("gateway"):
            inner = node.module.removeprefix("gateway").removeprefix(".")
            for name in node.names:
                target = f"{inner}.{name.name}" if inner else name.name
                is_module = (PACKAGE / target.replace(".", "/")).with_suffix(".py").exists() or (
                    PACKAGE / target.replace(".", "/")
                ).is_dir()
                found.add(target if is_module else inner)
        elif isinstance(node, ast.Import):
            found |= {
                name.name.removeprefix("gateway.") for name in node.names if name.name.startswith("gateway.")
            }
    return {name for name in found if name and name != "__version__"}


MODULES = sorted(
    str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"
)


@pytest.mark.parametrize("file", MODULES)
def test_a_module_imports_only_what_stands_below_it(file: str) -> None:
    module = file.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    above = {name for name in imports(PACKAGE / file) if row(name) > row(module)}
    assert not above, f"{module} imports from above: {sorted(above)}"


def test_nobody_uses_base_http_middleware() -> None:
    users = [str(path) for path in PACKAGE.rglob("*.py") if "BaseHTTPMiddleware" in path.read_text()]
    assert users == []
