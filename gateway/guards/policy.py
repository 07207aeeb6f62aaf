"""The guard: one object that inspects prompts, answers, tool arguments, results and definitions."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Any, Literal

import orjson

from gateway.call import Call, Operation, Verdict
from gateway.errors import BadRequest, Refused
from gateway.guards import outcome, plugged, sql_arguments, strings
from gateway.guards.definitions import WHOLE, described
from gateway.guards.inspection import Hit, Inspection, Overrun
from gateway.guards.memory import Memory
from gateway.guards.placeholders import Placeholders
from gateway.guards.rules import HIDDEN, Phase, Rule
from gateway.guards.splice import repeats, replaced, splice
from gateway.guards.strings import Path, Piece, Unread
from gateway.refusals import forbidden

APART = 16 * 1024  # characters from which an inspection leaves the event loop to others
PATTERNS_APART = 512 * 1024  # patterns alone take a nanosecond a character, far less than a thread does
Kept = tuple[bytes, Placeholders]  # a request's body, and what was taken out of it
_NOTHING_HIDDEN = Rule(HIDDEN, "reject", scanner=HIDDEN, places=frozenset({"tools"}))


class Guard:
    """What rules of each phase say; the Inspector of `gateway.policies`, and more for models.

        Guard(request=rules_from([{"scanner": "secrets", "action": "mask"}]), budget=0.5)

    `budget` is the seconds that one inspection may take; one that takes longer is refused where a rule of the phase could
    have refused, and passes where all only watch, unless `on_overrun` says `reject` or `pass`. With `enforce=False`
    nothing is refused or masked, and the verdicts say what would have been. `key` makes placeholders unguessable; instances
    that share it write the same ones.
    """

    def __init__(
        self,
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
        memory: Memory | None = None,
    ) -> None:
        memory = memory or Memory()
        self.requests = Inspection(_with_hidden(request), memory=memory)
        self.answers = Inspection(response, memory=memory)
        self._discovery = Inspection(_with_hidden(discovery, everywhere=True), memory=memory)
        self._invocation = Inspection(invocation, memory=memory)
        self._results = Inspection(result, memory=memory)
        if any(rule.scanner == "sql_injection" for rule in invocation):
            sql_arguments.prepare()
        self._sieve = self.requests.sieve()
        self.enforce = enforce
        self._budget = budget
        self._on_overrun = on_overrun
        self._key = key or secrets.token_bytes(32)
        self._nothing_masked = Placeholders(self._key)

    # --- models ---

    def request(self, call: Call, body: bytes) -> Kept | Awaitable[Kept]:
        """The body as it shall go on: the same object where nothing is masked, and at once where one look was enough.

        Raises Refused.
        """
        if not body:
            return body, self._nothing_masked
        started = call.timed and time.perf_counter_ns()
        try:
            tree = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            return self._unstructured(call, body, error)
        text = _compact(tree)
        if text != body and body.count(b'"') != text.count(b'"') and repeats(body):
            raise BadRequest(
                "the body holds a key twice: what the guard read might not be what is read behind it"
            )
        if text and self._sieve is not None and self._sieve.passes(text):
            if started:
                call.took("guard", started)
            return body, self._nothing_masked
        return self._looked_through(call, body, tree)

    async def _looked_through(self, call: Call, body: bytes, tree: Any) -> Kept:
        placeholders = Placeholders(self._key)
        changed = await self._judged(call, self.requests, strings.request(tree), "request", placeholders)
        return (splice(body, changed) if changed else body), placeholders

    async def _unstructured(self, call: Call, body: bytes, error: Exception) -> Kept:
        """A body that is no JSON: refused where a model is asked, for it might be read there; text elsewhere."""
        if call.endpoint is not None:
            raise BadRequest(f"the guard cannot read this body as JSON: {error}")
        placeholders = Placeholders(self._key)
        pieces = [Piece("messages", (), body.decode("utf-8", "replace"))]
        changed = await self._judged(call, self.requests, pieces, "request", placeholders)
        return (changed[()].encode() if changed else body), placeholders

    async def answer(self, call: Call, body: bytes, placeholders: Placeholders) -> bytes:
        """A whole answer, masked where asked for, with what the request's placeholders stand for. Raises Refused."""
        try:
            tree = orjson.loads(body)
        except orjson.JSONDecodeError:
            return body
        pieces = list(strings.answer(tree))
        changed = await self._judged(call, self.answers, pieces, "response", Placeholders(self._key))
        for piece in pieces if placeholders else ():
            if isinstance(piece, Piece) and "[[" in piece.text:
                before = changed.get(piece.path, piece.text)
                if (after := placeholders.restore(before)) != piece.text:
                    changed[piece.path] = after
        return splice(body, changed) if changed else body

    def hits_in(self, call: Call, text: str, path: Path) -> list[Hit]:
        """What the answer's rules say of a stretch of a stream. Raises Refused."""
        piece = Piece("answer", path, text)
        try:
            found = self.answers.hits([piece], deadline=time.perf_counter() + self._budget)
        except Overrun:
            self._overrun(call, self.answers)
            return []
        return found

    async def plugged_answer(self, call: Call, text: str, path: Path) -> None:
        """What plug-ins say of a streamed text that is over. It has gone out: they can only end the stream."""
        hits = await plugged.hits(self.answers.plugins, [Piece("answer", path, text)], "response")
        outcome.record(call, hits, enforce=self.enforce)
        if self.enforce:
            outcome.refuse_if_any(hits)

    def placeholders(self) -> Placeholders:
        return Placeholders(self._key)

    # --- MCP ---

    async def arguments(self, call: Call, op: Operation) -> Any:
        if not self.reads_arguments:
            return op.arguments
        pieces = strings.everything(op.arguments, "arguments")
        subject = f"the arguments of {op.exposed or op.name}"
        return await self._kept(call, self._invocation, pieces, op.arguments, "invocation", subject)

    async def result(self, call: Call, op: Operation, result: Any) -> Any:
        if not self.reads_results:
            return result
        pieces = strings.everything(result, "result")
        subject = f"the result of {op.exposed or op.name}"
        return await self._kept(call, self._results, pieces, result, "result", subject)

    @property
    def reads_arguments(self) -> bool:
        return bool(self._invocation.rules)

    @property
    def reads_results(self) -> bool:
        return bool(self._results.rules)

    async def definitions(
        self, call: Call, tools: Sequence[Mapping[str, Any]]
    ) -> Sequence[Mapping[str, Any]]:
        kept = [await self._definition(call, tool) for tool in tools]
        if all(now is before for now, before in zip(kept, tools, strict=True)):
            return tools
        return [tool for tool in kept if tool is not None]

    async def _definition(self, call: Call, tool: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The tool, masked where asked for; None where it may not be shown. Its words are read one by one and as a whole."""
        pieces = [*strings.everything(tool, "definition"), Piece("definition", WHOLE, described(tool))]
        subject = f"the definition of {tool.get('name', 'a tool')}"
        try:
            changed = await self._judged(
                call, self._discovery, pieces, "discovery", Placeholders(self._key), subject
            )
        except Refused:
            return None
        if WHOLE in changed and len(changed) == 1:
            return None  # what is to be masked stands in no single string
        changed.pop(WHOLE, None)
        return replaced(tool, changed) if changed else tool

    async def _kept(
        self,
        call: Call,
        inspection: Inspection,
        pieces: Iterable[Piece | Unread],
        value: Any,
        phase: Phase,
        subject: str,
    ) -> Any:
        changed = await self._judged(call, inspection, pieces, phase, Placeholders(self._key), subject)
        return replaced(value, changed) if changed else value

    # --- one judgement ---

    async def _judged(
        self,
        call: Call,
        inspection: Inspection,
        pieces: Iterable[Piece | Unread],
        phase: Phase,
        placeholders: Placeholders,
        subject: str = "",
    ) -> dict[Path, str]:
        """The texts that must change. Raises Refused."""
        if not inspection.rules:
            return {}
        started = call.timed and time.perf_counter_ns()
        found = list(pieces)
        readable = [piece for piece in found if isinstance(piece, Piece)]
        if len(readable) < len(found):
            _note_unread(call, [piece for piece in found if isinstance(piece, Unread)])
        hits = await self._hits(call, inspection, readable)
        if inspection.plugins:
            hits += await plugged.hits(inspection.plugins, readable, phase)
        if started:
            call.took("guard", started)
        outcome.record(call, hits, enforce=self.enforce, subject=subject)
        if not hits or not self.enforce:
            return {}
        outcome.refuse_if_any(hits, subject=subject)
        return outcome.masked([hit for hit in hits if not plugged.rewritten(hit)], placeholders) | {
            hit.piece.path: hit.finding.excerpt for hit in hits if plugged.rewritten(hit)
        }

    async def _hits(self, call: Call, inspection: Inspection, pieces: list[Piece]) -> list[Hit]:
        deadline = time.perf_counter() + self._budget
        try:
            size = sum([len(piece.text) for piece in pieces])
            if size < (APART if inspection.scans else PATTERNS_APART):
                return inspection.hits(pieces, deadline=deadline)
            return await asyncio.to_thread(inspection.hits, pieces, deadline=deadline)
        except Overrun:
            self._overrun(call, inspection)
            return []

    def _overrun(self, call: Call, inspection: Inspection) -> None:
        closed = self._on_overrun == "reject" or (self._on_overrun is None and inspection.severe)
        reason = f"the inspection took longer than {self._budget:g} s"
        action: Literal["refuse", "audit", "would_refuse"] = (
            "refuse" if closed and self.enforce else "would_refuse" if closed else "audit"
        )
        call.verdicts.append(Verdict("guard", action, "budget", reason))
        if action == "refuse":
            said = f"Refused by the guard: {reason}. What to do: send less text at once."
            raise Refused(forbidden(said, policy="guard", rule="budget"))


def _compact(tree: Any) -> bytes:
    """The JSON text that holds no key twice; empty where it is deeper than its writer goes."""
    try:
        return orjson.dumps(tree)
    except orjson.JSONEncodeError:
        return b""


def _with_hidden(rules: Sequence[Rule], *, everywhere: bool = False) -> tuple[Rule, ...]:
    """Invisible characters in tool definitions are refused unless a rule says otherwise."""
    if any(rule.scanner == HIDDEN for rule in rules):
        return tuple(rules)
    return (*rules, Rule(HIDDEN, "reject", scanner=HIDDEN) if everywhere else _NOTHING_HIDDEN)


def _note_unread(call: Call, unread: list[Unread]) -> None:
    kinds = ", ".join(sorted({block.kind for block in unread}))
    call.verdicts.append(
        Verdict("guard", "audit", "not_scanned", f"{len(unread)} blocks passed unread ({kinds})")
    )
