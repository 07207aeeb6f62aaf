"""A document of one operation, and what is found in a document."""

from __future__ import annotations

from typing import Any

from gateway.mcp.openapi.document import Document
from gateway.mcp.openapi.operations import Found, read
from tests.mcp.apis import OK, document


def one(**said: Any) -> dict[str, Any]:
    return {"/x": {"post": {"operationId": "x", **OK, **said}}}


def found(paths: Any, *, version: str = "3.1.0", wanted: tuple[str, ...] = (), **more: Any) -> Found:
    return read(Document(document(paths, version=version, **more)), wanted=wanted, based=True)
