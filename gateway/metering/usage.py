"""What a model call consumed, in the one arithmetic that all providers are brought to."""

from __future__ import annotations

import msgspec


class Usage(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Tokens by kind. `input` excludes what was read from or written to a cache; `output` includes `reasoning`."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0  # five minutes, or unknown
    cache_write_1h: int = 0
    reasoning: int = 0
    estimated: bool = False  # the provider did not say, or lied

    @property
    def prompt(self) -> int:
        return self.input + self.cache_read + self.cache_write + self.cache_write_1h

    @property
    def total(self) -> int:
        return self.prompt + self.output
