"""What must be in an event of Claude's before it may be worked with: a provider's own events are the hub's, so nobody else
would notice that one is not what it says."""

from __future__ import annotations

from collections.abc import Callable

from gateway.llm.dialects.frames import Garbage
from gateway.llm.dialects.protocol import Event, Json

_TEXTS = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature", "input_json_delta": "partial_json"}  # fmt: skip
_BLOCKS = {
    "text": ("text",),
    "thinking": ("thinking",),
    "redacted_thinking": ("data",),
    "tool_use": ("id", "name"),
}


def checked(event: Event) -> Event:
    """The same event. Raises Garbage where a member that its type demands is missing or of another type."""
    check = _CHECKS.get(event["type"])
    if check is None:
        return event
    try:
        fine = check(event)
    except (AttributeError, KeyError, TypeError):
        fine = False
    if not fine:
        raise Garbage(f"the upstream sent a {event['type']} of another form than its API says")
    return event


def _started(event: Event) -> bool:
    message = event["message"]
    return (
        isinstance(message["id"], str)
        and isinstance(message["model"], str)
        and _counted(message.get("usage"))
    )


def _opened(event: Event) -> bool:
    block = event["content_block"]
    return isinstance(event["index"], int) and all(
        isinstance(block[key], str) for key in ("type", *_BLOCKS.get(block["type"], ()))
    )


def _grown(event: Event) -> bool:
    delta = event["delta"]
    kind = delta["type"]
    key = _TEXTS.get(kind, "type")
    return type(event["index"]) is int and type(delta[key]) is str


def _told(event: Event) -> bool:
    reason = event["delta"].get("stop_reason")
    return (reason is None or isinstance(reason, str)) and _counted(event.get("usage"))


def _counted(usage: Json | None) -> bool:
    """Figures are whole numbers, those inside of another figure's details, too."""
    for key, value in (usage or {}).items():
        if isinstance(value, dict):
            if not _counted(value):
                return False
        elif key.endswith("_tokens") and not (value is None or (type(value) is int and value >= 0)):
            return False
    return True


_CHECKS: dict[str, Callable[[Event], bool]] = {
    "message_start": _started,
    "content_block_start": _opened,
    "content_block_delta": _grown,
    "content_block_stop": lambda event: isinstance(event["index"], int),
    "message_delta": _told,
    "error": lambda event: isinstance(event["error"]["type"], str),
}
