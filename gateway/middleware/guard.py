"""What do they say? Inspects prompts before the app sees them and answers before the client does."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Literal

from gateway import body, refusals
from gateway.body import Replay
from gateway.call import Call
from gateway.errors import BadRequest, Refused
from gateway.guards.placeholders import Placeholders
from gateway.guards.policy import Guard, Kept
from gateway.guards.rules import Rule
from gateway.middleware.guarded import Answer
from gateway.policies import Policies
from gateway.types import App, Headers, Receive, Scope, Send

_PLAIN = ("", "identity")
_PACKED = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
_COUNTED = frozenset({"models", "model", "count_tokens", "embeddings"})  # nothing is generated from these


class GuardMiddleware:
    """Refuses, masks or records what its rules find.

        app.add_middleware(
            GuardMiddleware,
            request=rules_from([{"regex": "(?i)project falcon", "action": "reject"}, {"scanner": "secrets", "action": "mask"}]),
            response=rules_from([{"scanner": "pii", "action": "mask"}], phase="response"),
        )

    In front of MCPApp (`defer`) it only puts its policy on the call: `discovery`, `invocation` and `result` are asked per
    operation. `guard` takes a finished policy instead of all rules.
    """

    def __init__(
        self,
        app: App,
        *,
        request: Sequence[Rule] = (),
        response: Sequence[Rule] = (),
        discovery: Sequence[Rule] = (),
        invocation: Sequence[Rule] = (),
        result: Sequence[Rule] = (),
        enforce: bool = True,
        budget: float = 1.0,
        on_overrun: Literal["pass", "reject"] | None = None,
        key: bytes | None = None,
        defer: bool = False,
        guard: Guard | None = None,
    ) -> None:
        self.app = app
        self.defer = defer
        self.guard = guard or Guard(request=request, response=response, discovery=discovery, invocation=invocation,
                                    result=result, enforce=enforce, budget=budget, on_overrun=on_overrun, key=key)  # fmt: skip

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        call = Call.of(scope)
        if call.policies is None:
            call.policies = Policies()
        call.policies.guard = self.guard
        endpoint = call.endpoint
        if self.defer or call.verb != "POST" or (endpoint is not None and endpoint.method == "models"):
            return await self.app(scope, receive, send)
        try:
            read = call.body if call.body is not None else await body.read(scope, receive)
            inspect = self._encoded if "content-encoding" in call.headers else self.guard.request
            found = inspect(call, read)
            kept, placeholders = found if isinstance(found, tuple) else await found
        except BadRequest as error:
            return await refusals.send_refusal(call, refusals.invalid(str(error), status=error.status), send)
        except Refused as error:
            return await refusals.send_refusal(call, error.refusal, send)
        if kept is not read:
            call.body, scope = kept, {**scope, "headers": _resized(scope["headers"], len(kept))}
        receive = receive if type(receive) is Replay else Replay(call, receive)
        # Placeholders stand in a changed body only.
        to_watch = self.guard.answers.rules or (kept is not read and placeholders)
        if to_watch and (endpoint is None or endpoint.method not in _COUNTED):
            return await self._answered(call, scope, receive, send, placeholders)
        await self.app(scope, receive, send)

    async def _encoded(self, call: Call, read: bytes) -> Kept:
        """Inspect what an encoding hides, too; a body that cannot be decoded is refused, not skipped."""
        encoding = call.headers["content-encoding"].strip().lower()
        plain = read if encoding in _PLAIN else _unpacked(read, encoding)
        found = self.guard.request(call, plain)
        kept, placeholders = found if isinstance(found, tuple) else await found
        if encoding in _PLAIN:
            return kept, placeholders
        if kept is plain:
            return read, placeholders
        raise BadRequest("the guard has to mask this body: send it without content-encoding", status=415)

    async def _answered(
        self, call: Call, scope: Scope, receive: Receive, send: Send, placeholders: Placeholders
    ) -> None:
        # What cannot be read cannot be guarded: the answer is asked for in plain.
        headers = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        scope = {**scope, "headers": [*headers, (b"accept-encoding", b"identity")]}
        answer = Answer(call, self.guard, placeholders, send)
        try:
            await self.app(scope, receive, answer)
        except Exception:
            # The answer was cut: however the app took that, the client has been told.
            if not answer.over:
                raise


def _resized(headers: Headers, size: int) -> Headers:
    return [(name, b"%d" % size if name == b"content-length" else value) for name, value in headers]


def _unpacked(data: bytes, encoding: str) -> bytes:
    if encoding not in _PACKED:
        raise BadRequest(
            f"the guard cannot read content-encoding {encoding!r}: send it plain or as gzip", status=415
        )
    unpack = zlib.decompressobj(_PACKED[encoding])
    try:
        plain = unpack.decompress(data, body.DEFAULT.bytes)
    except zlib.error as error:
        raise BadRequest(f"the body is not {encoding}: {error}", status=400) from None
    if unpack.unconsumed_tail:
        raise body.DEFAULT.exceeded()
    if not unpack.eof:
        raise BadRequest(f"the {encoding} body is cut short", status=400)
    return plain
