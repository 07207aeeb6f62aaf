"""Every stream that is translated in these tests obeys its dialect's grammar. What passes untouched is the upstream's."""

from __future__ import annotations

from gateway.call import Call
from gateway.types import App, Message, Receive, Scope, Send
from tests.dialects.driving import CHECKS

STREAMS = (b"text/event-stream", b"application/vnd.amazon.eventstream")


class Checked:
    """An app whose translated streams are checked when they have ended."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sent: list[Message] = []

        async def noting(message: Message) -> None:
            sent.append(message)
            await send(message)

        await self._app(scope, receive, noting)
        call = Call.of(scope)
        if call.endpoint is not None and call.wire not in ("", call.endpoint.dialect) and _streams(sent):
            CHECKS[call.endpoint.dialect](b"".join(message.get("body", b"") for message in sent[1:]))


def _streams(sent: list[Message]) -> bool:
    """A stream that was told to its end."""
    if not sent or sent[-1].get("more_body", False):
        return False
    kinds = [value.partition(b";")[0] for name, value in sent[0]["headers"] if name == b"content-type"]
    return any(kind in STREAMS for kind in kinds)
