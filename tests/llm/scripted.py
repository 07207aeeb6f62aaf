"""A provider without a network: a client whose answers are given beforehand, for tests that make hundreds of calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.compose import Route, compose
from gateway.llm.app import LLMApp
from gateway.llm.upstream import Upstream
from gateway.middleware.access import Observer
from gateway.net.client import DEFAULT_TIMEOUTS, Response, Take, Timeouts
from gateway.types import App, Headers
from tests.driver import Driver
from tests.llm.checking import Checked
from tests.llm.gateways import provider

MEDIA = {
    "bedrock": b"application/vnd.amazon.eventstream",
    "bedrock-converse": b"application/vnd.amazon.eventstream",
}


@dataclass
class Given:
    """An answer that has arrived; each piece is one chunk."""

    pieces: list[bytes]
    headers: Headers
    status: int = 200
    ended: bool = False

    def take(self) -> bytes:
        piece = self.pieces.pop(0) if self.pieces else b""
        self.ended = not self.pieces
        return piece

    async def pour(self, take: Take) -> None:
        pass

    async def chunk(self) -> bytes:
        return self.take()

    async def read(self, limit: int = 0) -> bytes:
        whole, self.pieces, self.ended = b"".join(self.pieces), [], True
        return whole

    def close(self) -> None:
        self.ended = True


@dataclass
class Scripted:
    """Answers every request with what `answers` holds next."""

    answers: list[Given] = field(default_factory=list)
    asked: list[bytes] = field(default_factory=list)

    async def send(
        self, method: str, url: str, *, headers: Sequence[tuple[bytes, bytes]] = (), body: bytes = b"",
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
    ) -> Response:  # fmt: skip
        self.asked.append(body)
        return self.answers.pop(0)

    async def close(self) -> None:
        pass


async def _at_once(seconds: float) -> None:
    """No pause between attempts."""


def streamed(wire: str, *pieces: bytes) -> Given:
    return Given(list(pieces), [(b"content-type", MEDIA.get(wire, b"text/event-stream"))])


def whole(body: bytes) -> Given:
    return Given([body], [(b"content-type", b"application/json")])


def scripted(wire: str) -> tuple[LLMApp, Scripted]:
    """In front of one provider that speaks this wire, and what it will answer."""
    client = Scripted()
    one = provider("one", "http://provider.invalid", wire, retries=0)
    return LLMApp(providers={"one": one}, client=client, upstream=Upstream(client, sleep=_at_once)), client


def driver(app: App, *observers: Observer) -> Driver:
    return Driver(Checked(composed(app, *observers)))


def composed(app: App, *observers: Observer) -> App:
    return compose([Route("/", app)], observers=observers, phases=True)
