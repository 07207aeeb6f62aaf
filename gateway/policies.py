"""What a policy is: a plain object with one decision per operation.

Each has an ASGI middleware as its shell. In front of an app that has one operation a request (LLMApp, anybody's own app) the
shell asks the policy itself. In front of MCPApp it only puts the policy here, and MCPApp asks it for each batch member,
list entry and inner tool call: there is no second policy path.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from gateway.call import Call, Operation
    from gateway.metering.record import Outcome, Record
    from gateway.metering.usage import Usage
    from gateway.refusals import Refusal


class Authorizer(Protocol):
    def decide(self, call: Call, op: Operation) -> Refusal | None:
        """None allows. Appends its verdict to `call.verdicts`. The same answer filters lists and judges calls."""


class Reservation(Protocol):
    async def settle(self, usage: Usage | None, usd: float | None) -> None:
        """Charge what was really used instead of what was reserved. Called exactly once, whatever happened."""


class Limiter(Protocol):
    async def reserve(self, call: Call, op: Operation) -> Reservation:
        """Raises Refused where a limit is reached."""


class Inspector(Protocol):
    @property
    def reads_arguments(self) -> bool:
        """False: it never has anything to say of arguments, so that it need not be asked."""

    @property
    def reads_results(self) -> bool:
        """False: it never has anything to say of a result, so that none needs to be parsed for it."""

    async def arguments(self, call: Call, op: Operation) -> Any:
        """The tool's arguments, masked where asked for (the same object when nothing changed). Raises Refused."""

    async def result(self, call: Call, op: Operation, result: Any) -> Any:
        """A tool's result, masked where asked for (the same object when nothing changed). Raises Refused."""

    async def definitions(
        self, call: Call, tools: Sequence[Mapping[str, Any]]
    ) -> Sequence[Mapping[str, Any]]:
        """The tools that may be shown (the same sequence when all may)."""


class Meter(Protocol):
    at_once: bool  # nothing runs by itself: `flush` after each record

    def record(
        self,
        call: Call,
        op: Operation,
        outcome: Outcome,
        *,
        refusal: Refusal | None = None,
        duration_ms: float = 0.0,
        upstream_ms: float = 0.0,
        bytes_in: int = 0,
        bytes_out: int = 0,
    ) -> Record:
        """Price what became of an operation, and give it to the ledger."""

    async def flush(self) -> None:
        """What was recorded is in the ledger."""


class Policies(Struct):
    """The policies of this request. None: that one is switched off."""

    authz: Authorizer | None = None
    ratelimit: Limiter | None = None
    guard: Inspector | None = None
    usage: Meter | None = None
