"""The conversation as Gemini wants it: two roles, and after a model's calls one user content that answers them all.

`turns` brings results into the order of their calls. Here they become a content of their own, with nothing beside;
what else the user says comes after, and a system message between turns is said by the user.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.errors import BadRequest
from gateway.llm.dialects import content, served, signatures, thoughts
from gateway.llm.dialects.gemini import media
from gateway.llm.dialects.gemini.models import Family
from gateway.llm.dialects.names import Names
from gateway.llm.dialects.protocol import Json
from gateway.llm.dialects.turns import NO_RESULT, turns


class Contents:
    """Writes hub messages as `contents`; `losses` names what Gemini could not be given."""

    def __init__(self, family: Family, names: Names, remembered: Mapping[str, str]) -> None:
        self._family = family
        self._names = names
        self._remembered = remembered
        self._out: list[Json] = []
        self._called: dict[str, str] = {}  # id -> name
        self._files = 0
        self.losses: dict[str, None] = {}

    def write(self, messages: Any) -> list[Json]:
        if not isinstance(messages, list) or not messages:
            raise BadRequest("messages: at least one message is required")
        for turn in turns(messages):
            if turn["role"] == "assistant":
                self._model(turn["content"])
            else:
                self._user(turn["content"])
        return self._out or [{"role": "user", "parts": [{"text": " "}]}]

    # the user's side

    def _user(self, blocks: list[Json]) -> None:
        said: list[Json] = []
        answers = [self._result(block, said) for block in blocks if block.get("type") == "tool_result"]
        said += [part for block in blocks if block.get("type") != "tool_result" for part in self._said(block)]
        if answers:
            self._out.append({"role": "user", "parts": answers})
        if said:
            self._add("user", said)

    def _said(self, block: Json) -> list[Json]:
        kind = block.get("type")
        if kind == "text":
            return (
                [{"text": block["text"]}] if block.get("text") and not content.is_attribution(block) else []
            )
        if kind == "search_result":
            return [{"text": search_result(block)}]
        return self._foreign(block)

    def _result(self, block: Json, said: list[Json]) -> Json:
        """A functionResponse. What it may not hold is added to what the user says."""
        if block.get("content") == NO_RESULT:
            self.losses["tool_result (missing)"] = None
        ident = block["tool_use_id"]
        text, files = self._result_content(block)
        response: Json = {"name": self._names.send(self._called.get(ident, ""))}
        if self._family.call_ids:
            response["id"] = ident
        if files and not self._family.levels:
            text, files = self._beside(text, files, said)
        response["response"] = {"error" if block.get("is_error") else "output": text}
        if files:
            response["parts"] = files
        return {"functionResponse": response}

    def _result_content(self, block: Json) -> tuple[str, list[Json]]:
        """The text of a tool's result, and its media."""
        texts: list[str] = []
        files: list[Json] = []
        for each in content.blocks(block.get("content")):
            kind = each.get("type")
            if kind == "text":
                texts.append(each.get("text", ""))
            elif kind in ("image", "document"):
                parts = media.parts_of(each, self._family)
                texts += [part["text"] for part in parts if "text" in part]
                files += [part for part in parts if "text" not in part]
            elif kind == "tool_reference":
                texts.append(f"The tool {self._names.send(each.get('tool_name', ''))} is now available.")
            elif kind == "search_result":
                texts.append(search_result(each))
            else:
                raise content.unknown_block(each, "Gemini inside a tool result")
        return "\n".join(texts), files

    def _beside(self, text: str, files: list[Json], said: list[Json]) -> tuple[str, list[Json]]:
        """Before Gemini 3 a result holds no media: it names them, and they follow in what the user says."""
        for file in files:
            self._files += 1
            text = f"{text}\nSee file {self._files}.".lstrip("\n")
            said += [{"text": f"This is file {self._files}:"}, file]
        return text, []

    def _add(self, role: str, parts: list[Json]) -> None:
        """Neighbours of one role are one content, except beside results."""
        last = self._out[-1] if self._out else None
        if last is not None and last["role"] == role and "functionResponse" not in last["parts"][0]:
            last["parts"] += parts
        else:
            self._out.append({"role": role, "parts": parts})

    # the model's side

    def _model(self, blocks: list[Json]) -> None:
        parts: list[Json] = []
        signature = ""  # of the call that comes next
        for block in blocks:
            kind = block.get("type")
            if kind == "text":
                if block.get("text"):
                    parts.append({"text": block["text"]})
            elif kind == "tool_use":
                parts.append(self._call(block, signature))
                signature = ""
            elif kind in signatures.THINKING:
                signature = self._thought(block, parts) or signature
            else:
                parts += self._foreign(block)
        self._say(parts)

    def _say(self, parts: list[Json]) -> None:
        if not parts:
            return
        if self._family.levels:
            self._sign_batch(parts)
        self._add("model", parts)

    def _call(self, block: Json, signature: str) -> Json:
        name, ident = str(block.get("name", "")), str(block.get("id", ""))
        self._called[ident] = name
        call: Json = {"name": self._names.send(name), "args": block.get("input") or {}}
        if self._family.call_ids:
            call["id"] = ident
        signature = signature or thoughts.bare(self._remembered.get(ident, ""))
        return {"functionCall": call, "thoughtSignature": signature} if signature else {"functionCall": call}

    def _thought(self, block: Json, parts: list[Json]) -> str:
        """Puts a thinking block of Gemini's back; gives the signature where it belongs to the call to come."""
        found = thoughts.unwrap(block)
        if found is None:
            self.losses["thinking (of another provider)"] = None
            return ""
        place, signature = found
        if block.get("thinking"):
            parts.append({"text": block["thinking"], "thought": True})
        if place == thoughts.CALL:
            return signature
        if place == thoughts.THOUGHT and parts:
            parts[-1]["thoughtSignature"] = signature
        else:
            _sign_text(parts, int(place[1:] or 0), signature)
        return ""

    def _sign_batch(self, parts: list[Json]) -> None:
        """Gemini 3 refuses calls whose first has no signature; for one that another model made it has a word."""
        first = next((part for part in parts if "functionCall" in part), None)
        if first is not None and "thoughtSignature" not in first:
            first["thoughtSignature"] = thoughts.SKIP
            self.losses["thought_signature"] = None

    def _foreign(self, block: Json) -> list[Json]:
        """What only Anthropic's servers do: what it meant stays as text."""
        if block.get("type") in ("image", "document"):
            return media.parts_of(block, self._family)
        text = served.text_of(block)
        if text is None:
            raise content.unknown_block(block, "Gemini")
        self.losses[str(block["type"])] = None
        return [{"text": text}] if text else []


def _sign_text(parts: list[Json], characters: int, signature: str) -> None:
    """Signs the last characters of the text before, as a part of their own: signed parts are never merged."""
    last = parts[-1] if parts else {}
    text = last.get("text", "")
    if not characters or "thought" in last or len(text) < characters:
        parts.append({"text": "", "thoughtSignature": signature})
        return
    if len(text) > characters:
        last["text"] = text[:-characters]
        parts.append({"text": text[-characters:]})
    parts[-1]["thoughtSignature"] = signature


def search_result(block: Json) -> str:
    head = " ".join(str(block[key]) for key in ("title", "source") if block.get(key))
    return f"{head}\n{content.text_of(block.get('content'))}".strip()
