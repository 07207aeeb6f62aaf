"""Everything that the demo gateway stands in front of, as one ASGI app: the model, `/math` and `/filesystem`."""

from __future__ import annotations

from pathlib import Path

from gateway.demo import filesystem, math
from gateway.demo.model import DemoModel
from gateway.types import App, Receive, Scope, Send


class DemoApp:
    """`folder` is the demo filesystem's."""

    def __init__(self, folder: Path) -> None:
        self.model = DemoModel()
        self.servers: dict[str, App] = {"/math": math.app(), "/filesystem": filesystem.app(folder)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.servers.get(scope["path"], self.model)(scope, receive, send)
