"""May they do this? Asked once for a model call; MCPApp asks the same policy for each tool."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from msgspec import structs

from gateway import operations, refusals
from gateway.body import Replay
from gateway.call import Call, Operation
from gateway.errors import BadRequest
from gateway.policies import Policies
from gateway.policy.authorization import Authorization, Challenge
from gateway.policy.switches import Switches
from gateway.refusals import Refusal
from gateway.types import App, Receive, Scope, Send

# Some MCP operation, not yet read: what a rule says of it is everything that it could still say.
ANYTHING = Operation("mcp", "", charged=False)


class AuthzMiddleware:
    """Refuses what no rule allows, what a rule denies, what a switch stops, and what lacks an OAuth scope.

    `AuthzMiddleware(app, allow=['jwt.email.endsWith("@solo.io")'], deny=['llm.model == "claude-opus-4"'])`

    With `defer` it refuses only whoever could do nothing at all: the app behind it asks the policy on the call, per operation.
    `others` are those that the app asks too: what their own middlewares would put on the call one after the other.
    """

    def __init__(
        self,
        app: App,
        *,
        allow: Sequence[str] = (),
        deny: Sequence[str] = (),
        require: Sequence[str] = (),
        scopes: Mapping[str, Sequence[str]] | None = None,
        challenge: Challenge | None = None,
        switches: Switches | None = None,
        enforce: bool = True,
        defer: bool = False,
        others: Policies | None = None,
    ) -> None:
        self.app = app
        self.switches = switches
        self.defer = defer
        self.policy = Authorization(allow=allow, deny=deny, require=require, scopes=scopes, challenge=challenge,
                                    switches=switches, enforce=enforce)  # fmt: skip
        self.all = structs.replace(others, authz=self.policy) if others is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        call = Call.of(scope)
        if self.all is not None:
            call.policies = self.all
        else:
            call.policies = call.policies or Policies()
            call.policies.authz = self.policy  # for lists, and for an app that asks per operation
        switches = self.switches
        if switches is not None:
            if switches.stale:
                await switches.fresh()
            switches.begin(call)
        try:
            try:
                op = ANYTHING if self.defer else call.operation or await operations.of(call, scope, receive)
                refused = self._decided(call, op)
            except BadRequest as error:
                refused = refusals.invalid(str(error), status=error.status)
            if refused is not None:
                return await refusals.send_refusal(call, refused, send)
            told = self.defer or type(receive) is Replay
            await self.app(scope, receive if told else Replay(call, receive), send)
        finally:
            if switches is not None:
                switches.end(call)

    def _decided(self, call: Call, operation: Operation) -> Refusal | None:
        started = call.timed and time.perf_counter_ns()
        refused = self.policy.decide(call, operation)
        if started and not self.defer:
            call.took("authz", started)
        return refused
