"""From a YAML file to plain data: references resolved, every problem found at once."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from gateway.config import tree
from gateway.config.schema import Problem, Reading
from gateway.errors import ConfigError

_REFERENCE = re.compile(r"\$\$|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


class Broken(ConfigError):
    """The file cannot be used; `problems` says every reason."""

    def __init__(self, source: str, problems: list[Problem]) -> None:
        self.problems = sorted(problems)
        lines = [f"{source}:{p.line}: {p.where + ': ' if p.where else ''}{p.text}" for p in self.problems]
        super().__init__("\n".join(lines))


class Loaded(Struct, frozen=True):
    data: dict[str, Any]
    source: str
    folder: Path  # what its relative paths are relative to
    lines: Mapping[str, int] = {}
    files: tuple[Path, ...] = ()  # all that the configuration was read from: a change of any reloads it
    text: str = ""  # as it was written, references and all
    # Those of AWS that it names: ssm or secretsmanager, and the name.
    secrets: tuple[tuple[str, str], ...] = ()


def load(path: Path, *, env: Mapping[str, str] | None = None, secrets: bool = True) -> Loaded:
    """`secrets=False` for commands that only look, in a shell without the server's credentials: they stay empty."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    return loads(text, source=str(path), folder=path.parent, env=env, secrets=secrets)


def loads(
    text: str, *, source: str, folder: Path, env: Mapping[str, str] | None = None, secrets: bool = True
) -> Loaded:
    from gateway.config.shape import FILE

    references = _References(os.environ if env is None else env, folder)
    reading = Reading(references.resolve if secrets else references.without_secrets, references.file)
    try:
        node = tree.kept(Path(source), text) or tree.read(text)
    except tree.NotYaml as error:
        raise Broken(source, [Problem(error.line, "", f"not YAML: {error.text}")]) from None
    if node is None:
        raise Broken(source, [Problem(1, "", "the file is empty; see examples/ for a start")])
    data = FILE.read(node, "", reading)
    if reading.problems:
        raise Broken(source, reading.problems)
    files = (*references.files, *((Path(source),) if Path(source).exists() else ()))
    return Loaded(data, source, folder, reading.lines, files, text, tuple(references.secrets))


class _References:
    """`${ENV}`, `${ENV:-default}` and `$$` in any string; whole-value references in secrets."""

    def __init__(self, env: Mapping[str, str], folder: Path) -> None:
        self.env = env
        self.folder = folder
        self.files: list[Path] = []
        self.secrets: list[tuple[str, str]] = []

    def resolve(self, text: str, whole: bool) -> str:
        value = _REFERENCE.sub(self._one, text) if "$" in text else text
        scheme, found, rest = value.partition(":")
        if not whole or not found:
            return value
        if scheme == "file":
            return self.file(rest).strip()
        if scheme in ("ssm", "secretsmanager"):
            from gateway.config.aws_secrets import fetch

            self.secrets.append((scheme, rest))
            return fetch(scheme, rest)
        return value

    def without_secrets(self, text: str, whole: bool) -> str:
        return "" if whole else self.resolve(text, whole)

    def _one(self, found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        value = self.env.get(found[1], found[2])
        if value is None:
            raise ValueError(f"the environment variable {found[1]} is not set")
        return value

    def file(self, name: str) -> str:
        """The text of one beside the configuration, which is read again when it changes. Raises ValueError."""
        path = self.folder / name
        self.files.append(path)
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
