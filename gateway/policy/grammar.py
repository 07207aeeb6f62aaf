"""cel-python's grammar under a parser of our own.

cel-python keeps one parser for the whole process, made for whichever runner came first, prints its state when a text is wrong,
and loses the positions of `true` and `false`. Rules are taken apart by positions.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import celpy
import lark
from celpy.evaluation import TranspilerTree

from gateway.errors import ConfigError

Tree = lark.Tree[lark.Token]


@lru_cache(maxsize=1)
def _parser() -> lark.Lark:
    grammar = (Path(celpy.__file__).parent / "cel.lark").read_text()
    return lark.Lark(
        grammar,
        parser="lalr",
        start="expr",
        lexer_callbacks={"IDENT": _literal},
        propagate_positions=True,
        maybe_placeholders=False,
        priority="invert",
        tree_class=TranspilerTree,
    )


def _literal(token: lark.Token) -> lark.Token:
    return (
        lark.Token.new_borrow_pos("BOOL_LIT", token.value, token)
        if token.value in ("true", "false")
        else token
    )


def parse(text: str) -> Tree:
    """Raises ConfigError with the place."""
    try:
        return _parser().parse(text)
    except lark.UnexpectedInput as error:
        raise ConfigError(
            f"not a CEL expression, at line {error.line}, column {error.column}: {text}"
        ) from None
