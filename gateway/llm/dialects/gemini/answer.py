"""Gemini's answers, whole or in chunks, as hub events: a whole answer is a stream of one chunk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.llm.dialects import failures, reduce, thoughts
from gateway.llm.dialects.composer import Composer
from gateway.llm.dialects.content import MISSHAPEN
from gateway.llm.dialects.frames import Garbage, JsonFrames
from gateway.llm.dialects.gemini.figures import usage_of
from gateway.llm.dialects.protocol import ErrorInfo, Event, Json, Reply

STOPS = {
    "STOP": "end_turn", "MAX_TOKENS": "max_tokens", "FINISH_REASON_UNSPECIFIED": "end_turn", "CONTINUATION": "max_tokens",
}  # fmt: skip
# The model tripped over its own tools: the same request may well succeed.
RETRY = frozenset({
    "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MALFORMED_RESPONSE", "MISSING_THOUGHT_SIGNATURE",
    "TOO_MANY_TOOL_CALLS",
})  # fmt: skip


MISSHAPEN_ANSWER = ErrorInfo(500, "api_error", "Gemini sent an answer that is not of generateContent's form")


class Answer:
    """Takes chunks of an answer and tells a composer what they say."""

    __slots__ = ("_calls", "_reason", "_sources", "_usage", "composer")

    def __init__(self, reply: Reply) -> None:
        self.composer = Composer(reply)
        self._usage: Json = {}
        self._reason = ""
        self._calls = 0
        self._sources: dict[str, str] = {}

    def take(self, chunk: Json) -> None:
        if "error" in chunk:
            self.composer.fail(error_of(chunk["error"], {}))
            return
        if not self.composer.started:
            self._begin(chunk)
        self._usage.update(chunk.get("usageMetadata") or {})
        if (chunk.get("promptFeedback") or {}).get("blockReason"):
            self._reason = "refusal"
        for candidate in (chunk.get("candidates") or [])[:1]:
            self._candidate(candidate)

    def end(self) -> None:
        """The upstream closed: the figures are the last ones, and the answer is whole if it said why it stopped."""
        if not self._reason:
            self.composer.cut()
            return
        if self._sources:
            lines = [f"- [{title or uri}]({uri})" for uri, title in self._sources.items()]
            self.composer.text("\n".join(["\n\nSources:", *lines]))
        self.composer.finish(self._reason, usage_of(self._usage))

    def _begin(self, chunk: Json) -> None:
        """Remembers what message_start will say; it goes out with the first content, so that a retry stays possible."""
        ident = str(chunk.get("responseId") or "")
        self.composer.about(id=f"msg_{ident}" if ident else "", model=chunk.get("modelVersion") or "",
                            usage=usage_of({**(chunk.get("usageMetadata") or {}), "candidatesTokenCount": 0}))  # fmt: skip

    def _candidate(self, candidate: Json) -> None:
        reason = candidate.get("finishReason")
        if reason in RETRY:
            why = candidate.get("finishMessage") or "the model made a call that is not valid"
            self.composer.fail(
                ErrorInfo(500, "api_error", f"Gemini stopped with {reason}: {why}"), retry=True
            )
            return
        for part in (candidate.get("content") or {}).get("parts") or ():
            self._part(part)
        for each in (candidate.get("groundingMetadata") or {}).get("groundingChunks") or ():
            web = each.get("web") or each.get("retrievedContext") or {}
            if web.get("uri"):
                self._sources[web["uri"]] = web.get("title") or ""
        if reason:
            self._reason = STOPS.get(reason, "refusal")

    def _part(self, part: Json) -> None:
        signature = part.get("thoughtSignature")
        if "functionCall" in part:
            self._call(part["functionCall"], signature)
            return
        if part.get("thought"):
            self.composer.thinking(part.get("text") or "")
            if signature:
                self.composer.sign(thoughts.wrap(thoughts.THOUGHT, signature))
            return
        text = part.get("text") or shown(part)
        self.composer.text(text)
        if signature and "text" in part:  # another kind of part cannot come back, nor can its signature
            place = thoughts.after_text(len(part["text"]))
            self.composer.sign(thoughts.wrap(place, signature))

    def _call(self, call: Json, signature: str | None) -> None:
        if signature:
            self.composer.sign(thoughts.wrap(thoughts.CALL, signature))
        self._calls += 1
        self.composer.tool(self._calls, name=call.get("name") or "", id=call.get("id") or "")
        self.composer.given(self._calls, call.get("args"))
        self.composer.done(self._calls)


def shown(part: Json) -> str:
    """Parts that the hub has no block for, as text."""
    if code := part.get("executableCode"):
        return f"```{str(code.get('language', '')).lower()}\n{code.get('code', '')}\n```\n"
    if result := part.get("codeExecutionResult"):
        return f"```\n{result.get('output') or result.get('outcome', '')}\n```\n"
    if data := part.get("inlineData"):
        return (
            f"(The model made a file of type {data.get('mimeType', 'unknown')}, which cannot be shown here.)"
        )
    return ""


class Reader:
    """`streamGenerateContent?alt=sse` -> hub events."""

    __slots__ = ("_answer", "_frames")

    def __init__(self, reply: Reply) -> None:
        self._frames = JsonFrames()
        self._answer = Answer(reply)

    def feed(self, chunk: bytes) -> list[Event]:
        try:
            for _, body in self._frames.feed(chunk):
                self._answer.take(body)
        except Garbage as error:
            self._answer.composer.fail(ErrorInfo(500, "api_error", str(error)))
        except MISSHAPEN:
            self._answer.composer.fail(MISSHAPEN_ANSWER)
        return self._answer.composer.drain()

    def end(self) -> list[Event]:
        try:
            for _, body in self._frames.end():
                self._answer.take(body)
        except MISSHAPEN:
            self._answer.composer.cut()
        self._answer.end()
        return self._answer.composer.drain()


def read_answer(body: Json, reply: Reply) -> Json:
    answer = Answer(reply)
    try:
        answer.take(body)
    except MISSHAPEN:
        answer.composer.fail(MISSHAPEN_ANSWER)
    answer.end()
    return reduce.whole(answer.composer.drain())


def read_count(body: Json) -> int:
    return int(body["totalTokens"])


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> ErrorInfo:
    try:
        value: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return failures.classify(
            status, body[:500].decode("utf-8", "replace"), retry_after=failures.retry_after(headers)
        )
    value = value[0] if isinstance(value, list) and value else value
    error = value.get("error") if isinstance(value, dict) else None
    return error_of({"code": status, **error} if isinstance(error, dict) else {"code": status}, headers)


_STATUSES = {"RESOURCE_EXHAUSTED": 429, "UNAVAILABLE": 503, "DEADLINE_EXCEEDED": 504, "UNAUTHENTICATED": 401,
             "PERMISSION_DENIED": 403, "NOT_FOUND": 404, "INVALID_ARGUMENT": 400, "INTERNAL": 500}  # fmt: skip


def error_of(error: Any, headers: Mapping[str, str]) -> ErrorInfo:
    """Google's error object."""
    if not isinstance(error, dict):
        return failures.classify(500, str(error))
    details = [each for each in error.get("details") or () if isinstance(each, dict)]
    wait = next((_seconds(each["retryDelay"]) for each in details if "retryDelay" in each), None)
    status = _STATUSES.get(str(error.get("status")), error.get("code") or 500)
    if any(each.get("reason") == "API_KEY_INVALID" for each in details):
        status = 401  # Google says 400
    said = failures.retry_after(headers)
    return failures.classify(
        int(status), str(error.get("message") or ""), retry_after=wait if said is None else said
    )


def _seconds(delay: Any) -> float | None:
    try:
        return float(str(delay).removesuffix("s"))
    except ValueError:
        return None
