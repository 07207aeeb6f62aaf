"""Several things made of one section: what is wrong with any of them is said at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from gateway.errors import ConfigError

Made = TypeVar("Made")


def together(makers: Iterable[Callable[[], Made]]) -> list[Made]:
    """Raises one ConfigError with a line for each of those that raise one."""
    made, wrong = [], []
    for make in makers:
        try:
            made.append(make())
        except ConfigError as error:
            wrong.append(str(error))
    if wrong:
        raise ConfigError("\n".join(wrong))
    return made
