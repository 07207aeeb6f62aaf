"""Judges that are somebody's service: OpenAI's moderation and Amazon Bedrock Guardrails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson

from gateway.guards.plugins import PASS, Said, failed, post

if TYPE_CHECKING:
    import httpx

    from gateway.llm.signing import Signer

OPENAI = "https://api.openai.com/v1"


@dataclass(frozen=True, slots=True)
class Moderation:
    """Refuses what OpenAI flags, or, with `threshold`, what has a category scored at least so."""

    model: str
    api_key: str
    base_url: str = OPENAI
    threshold: float | None = None
    timeout: float = 1.0
    closed: bool = True
    transport: httpx.AsyncBaseTransport | None = None

    async def judge(self, texts: Sequence[str], *, phase: str) -> Said:
        body = orjson.dumps({"model": self.model, "input": list(texts)})
        headers = {"authorization": f"Bearer {self.api_key}", "content-type": "application/json"}
        url = f"{self.base_url.rstrip('/')}/moderations"
        try:
            reply = await post(url, body, headers, timeout=self.timeout, transport=self.transport)
            results = reply["results"]
            if len(results) != len(texts):
                raise ValueError(f"{len(results)} results came back for {len(texts)}")
            found = sorted({name for result in results for name in self._categories(result)})
        except Exception as error:
            return failed(self.closed, error)
        return Said("reject", reason="flagged as " + ", ".join(found)) if found else PASS

    def _categories(self, result: Mapping[str, Any]) -> Iterator[str]:
        if self.threshold is not None:
            yield from (name for name, score in result["category_scores"].items() if score >= self.threshold)
        elif result["flagged"]:
            yield from [name for name, flagged in result["categories"].items() if flagged] or ["harmful"]


@dataclass(frozen=True, slots=True)
class Guardrail:
    """Does as an Amazon Bedrock guardrail says: passes, masks what it only anonymizes, refuses the rest."""

    guardrail: str
    region: str
    signer: Signer
    version: str = "DRAFT"
    timeout: float = 1.0
    closed: bool = True
    transport: httpx.AsyncBaseTransport | None = None

    async def judge(self, texts: Sequence[str], *, phase: str) -> Said:
        url = (
            f"https://bedrock-runtime.{self.region}.amazonaws.com"
            f"/guardrail/{quote(self.guardrail, safe='')}/version/{quote(self.version, safe='')}/apply"
        )
        source = "OUTPUT" if phase == "response" else "INPUT"
        body = orjson.dumps({"source": source, "content": [{"text": {"text": text}} for text in texts]})
        try:
            plain = [(b"content-type", b"application/json")]
            made = self.signer.sign("POST", url, plain, body)
            signed = made if isinstance(made, list) else await made
            headers = {name.decode(): value.decode() for name, value in signed}
            reply = await post(url, body, headers, timeout=self.timeout, transport=self.transport)
            return _intervened(reply, len(texts))
        except Exception as error:
            return failed(self.closed, error)


def _intervened(reply: Mapping[str, Any], count: int) -> Said:
    if reply["action"] == "NONE":
        return PASS
    found = list(_findings(reply.get("assessments", ())))
    outputs = tuple(str(each["text"]) for each in reply.get("outputs", ()))
    # Its masks can be put in place only where there is one output for each text.
    if found and all(action == "ANONYMIZED" for action, _ in found) and len(outputs) == count:
        return Said("mask", outputs)
    return Said("reject", reason=", ".join(sorted({name for _, name in found})) or "the guardrail intervened")


def _findings(value: Any) -> Iterator[tuple[str, str]]:
    """Every action taken, and what it is about: a topic's name, a filter's type; never the text that matched."""
    if isinstance(value, Mapping):
        action = value.get("action")
        if isinstance(action, str) and action != "NONE":
            yield action, str(value.get("name") or value.get("type") or "a word")
        value = list(value.values())
    for each in value if isinstance(value, list | tuple) else ():
        yield from _findings(each)
