"""What a model takes, read off its name: the facts behind the quirks that the dialects document, as of November 2026.

A name that says nothing gets no quirk. Names may carry a provider's prefix or a region (`openai/gpt-5.2`,
`us.anthropic.claude-opus-4-6-v1`); only what they say of family and version counts.
"""

from __future__ import annotations

import re
from functools import lru_cache

_NONE: frozenset[str] = frozenset()
_NEWEST = frozenset({"adaptive_only", "no_sampling"})
_GPT = re.compile(r"gpt-(\d+)(?:\.(\d+))?(?!\d)(.*)")
_O = re.compile(r"(?:^|[/.])o[134](?:-|$)")
_CLAUDE = re.compile(
    r"claude-(?:(?P<before>\d)(?:-(?P<before_minor>\d))?-)?[a-z]+(?:-(?P<major>\d)(?:-(?P<minor>\d)(?!\d))?)?"
)


@lru_cache(maxsize=1024)
def of_model(model: str) -> frozenset[str]:
    name = model.lower()
    if "claude" in name:
        return _claude(name)
    if "gpt-oss" in name:
        return frozenset({"reasoning"})
    if found := _GPT.search(name):
        return _gpt((int(found[1]), int(found[2] or 0)), found[3])
    return frozenset({"reasoning"}) if _O.search(name) else _NONE


def _gpt(version: tuple[int, int], rest: str) -> frozenset[str]:
    """Before 5 nothing thinks, nor do the chat models; each generation knows more efforts."""
    if version < (5, 0) or rest.startswith("-chat") or "-chat-" in rest:
        return _NONE
    quirks = {"reasoning"}
    codex = "codex" in rest
    if version == (5, 0):
        quirks |= set() if codex else {"effort_minimal"}
    elif not codex:
        quirks.add("effort_none")
    if version >= (5, 2) or "codex-max" in rest:
        quirks.add("effort_xhigh")
    if version >= (5, 6):
        quirks.add("effort_max")
    return frozenset(quirks)


def _claude(name: str) -> frozenset[str]:
    """Thinking is adaptive from 4.6 on; from Opus 4.7 and the fifth generation on only that, and sampling is gone. System
    messages between turns came with Opus 4.8."""
    found = _CLAUDE.search(name)
    if "mythos" in name:
        return _NEWEST
    if found is None or not (found["major"] or found["before"]):
        return _NONE
    version = int(found["major"] or found["before"]), int(found["minor"] or found["before_minor"] or 0)
    quirks = _NEWEST if version >= (4, 7) else _NONE
    if version < (4, 6):
        quirks |= {"no_adaptive"}
    return quirks if version >= (4, 8) else quirks | {"no_mid_system"}
