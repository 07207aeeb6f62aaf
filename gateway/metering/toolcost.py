"""What each tool costs: its share of the input tokens of one model call.

A tool is paid for in every request that defines it, and its calls and results are paid for again in every later turn, because
the whole conversation is sent each time. The provider only says how many tokens the prompt had; here they are laid over the
prompt's stretches in the order in which a provider reads them, by size: the definitions, the system prompt, the conversation as
the turn before had sent it, and what is new in this turn. So the first `cache_read` tokens, which cost a tenth, fall to what
stands first, as they do at the provider. Within a stretch every byte costs the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from gateway.metering.conversation import Stretch
from gateway.metering.prices import MILLION, Rates
from gateway.metering.prompt import Prompt
from gateway.metering.usage import Usage


class Bill(Struct, frozen=True, gc=False):
    """What each byte of a prompt cost: tokens, and dollars by the stretch in which it stands."""

    tokens: float
    definitions: float
    old: float
    new: float


def bill(prompt: Prompt, usage: Usage, rates: Rates) -> Bill | None:
    """Lays what was billed over the prompt; None where nothing was."""
    sizes = (prompt.definitions.size, prompt.system, _whole(prompt.old, prompt), _whole(prompt.new, prompt))
    total, tokens = sum(sizes), usage.prompt
    if not total or not tokens:
        return None
    paid = _laid(sizes, tokens / total, usage, rates)
    return Bill(tokens / total, paid[0], paid[2], paid[3])


def _laid(sizes: Sequence[int], tokens: float, usage: Usage, rates: Rates) -> list[float]:
    """Dollars of a byte in each stretch: the prices are handed out one after the other, as far as each reaches."""
    prices = zip(
        (usage.cache_read, usage.cache_write_1h, usage.cache_write, usage.input), rates, strict=False
    )
    left: float
    left, rate = next(prices)
    paid = []
    for size in sizes:
        wanted, cost = size * tokens, 0.0
        while wanted > left:
            wanted, cost = wanted - left, cost + left * rate
            left, rate = next(prices, (wanted, rate))  # the last one takes what rounding leaves over
        left -= wanted
        paid.append((cost + wanted * rate) / MILLION / size if size else 0.0)
    return paid


def _whole(stretch: Stretch, prompt: Prompt) -> int:
    if not stretch.found:
        return stretch.size
    return stretch.size + sum([size for _, size in prompt.brought(stretch)])


def split(name: str) -> tuple[str, str]:
    """Claude Code's `mcp__SERVER__TOOL` as server and tool; any other name is a tool of the client's own."""
    if name.startswith("mcp__") and "__" in name[5:]:
        server, _, tool = name[5:].partition("__")
        return server, tool
    return "", name
