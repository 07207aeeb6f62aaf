"""Everything that the demo gateway stands in front of, as one Starlette app: the model, `/math` and `/filesystem`."""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import Mount, Route

from gateway.demo import filesystem, math
from gateway.demo.model import DemoModel


def demo_app(folder: Path) -> Starlette:
    """`folder` is the demo filesystem's."""
    return Starlette(
        routes=[
            Route("/math", math.app()),
            Route("/filesystem", filesystem.app(folder)),
            Mount("/", DemoModel()),
        ]
    )
