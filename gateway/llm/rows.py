"""The table of providers, and how a row and a credential become a `Provider`.

An OpenAI-compatible provider is one row. One that is not in the table needs `dialect` and `base_url`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import urlencode

from msgspec import Struct

from gateway.errors import ConfigError
from gateway.llm.providers import Provider, fixed_headers
from gateway.llm.signing import AwsSigner, GoogleSigner, KeySigner, Signer, Unsigned, bearer
from gateway.llm.wires import NAMES
from gateway.net.client import DEFAULT_TIMEOUTS, Client, Timeouts

_OPENAI = ("openai-responses", "openai-chat")
_CHAT = ("openai-chat",)
_PLAIN = frozenset({"no_developer"})  # what every compatible provider is taken for
PASSTHROUGH = "passthrough"


class Row(Struct, frozen=True):
    """`credential` is `bearer`, `aws` or `aws:SERVICE`, `google`, `none`, or the name of a header."""

    base_url: str  # `{region}`, `{project}`, `{location}`, `{host}` and `{resource}` are filled in
    dialects: tuple[str, ...] = _CHAT
    credential: str = "bearer"
    quirks: frozenset[str] = _PLAIN
    by_model: tuple[tuple[str, tuple[str, ...]], ...] = ()


def _chat(base_url: str, *quirks: str, credential: str = "bearer") -> Row:
    return Row(base_url, credential=credential, quirks=_PLAIN | set(quirks))


ROWS: Mapping[str, Row] = {
    "anthropic": Row("https://api.anthropic.com", ("anthropic",), "x-api-key", frozenset()),
    "openai": Row("https://api.openai.com/v1", _OPENAI, "bearer", frozenset({"identity"})),
    "azure": Row(
        "https://{resource}.openai.azure.com/openai/v1", _OPENAI, "api-key", frozenset({"identity"})
    ),
    "gemini": Row(
        "https://generativelanguage.googleapis.com/v1beta", ("gemini",), "x-goog-api-key", frozenset()
    ),
    "vertex": Row(
        "https://{host}/v1/projects/{project}/locations/{location}",
        ("gemini",),
        "google",
        frozenset({"vertex"}),
        by_model=(("claude-*", ("vertex",)),),
    ),
    "bedrock": Row(
        "https://bedrock-runtime.{region}.amazonaws.com",
        ("bedrock-converse",),
        "aws",
        frozenset(),
        by_model=(("*anthropic.claude*", ("bedrock",)),),
    ),
    "bedrock-mantle": Row(
        "https://bedrock-mantle.{region}.api.aws/anthropic", ("anthropic",), "aws:bedrock-mantle", frozenset()
    ),
    "cerebras": _chat("https://api.cerebras.ai/v1"),
    "deepseek": _chat("https://api.deepseek.com/v1", "max_tokens", "json_object", "replay_reasoning"),
    "fireworks": _chat("https://api.fireworks.ai/inference/v1", "max_tokens", "top_k"),
    "groq": _chat("https://api.groq.com/openai/v1"),
    "huggingface": _chat("https://router.huggingface.co/v1", "max_tokens"),
    "lmstudio": _chat("http://127.0.0.1:1234/v1", "max_tokens", credential="none"),
    "mistral": _chat("https://api.mistral.ai/v1", "max_tokens", "no_stream_options", "nine"),
    "moonshot": _chat("https://api.moonshot.ai/v1", "max_tokens", "replay_reasoning"),
    "nvidia": _chat("https://integrate.api.nvidia.com/v1", "max_tokens"),
    "ollama": _chat("http://127.0.0.1:11434/v1", "max_tokens", credential="none"),
    "openrouter": _chat("https://openrouter.ai/api/v1", "max_tokens", "top_k", "reasoning_details"),
    "perplexity": _chat("https://api.perplexity.ai", "max_tokens"),
    "together": _chat("https://api.together.xyz/v1", "max_tokens", "top_k"),
    "vllm": _chat("http://127.0.0.1:8000/v1", "top_k", credential="none"),
    "xai": _chat("https://api.x.ai/v1"),
    "zai": _chat("https://api.z.ai/api/paas/v4", "max_tokens", "json_object", "replay_reasoning"),
}


def provider(
    name: str,
    *,
    kind: str = "",
    dialect: str = "",
    base_url: str = "",
    api_key: str = "",
    region: str = "",
    project: str = "",
    location: str = "",
    resource: str = "",
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    quirks: Iterable[str] = (),
    max_output: int = 32_000,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    retries: int = 2,
    client: Client | None = None,
    signer: Signer | None = None,
) -> Provider:
    """The provider that a section of the file, or a few arguments, describe.

    `kind` is the row, where it is not the name; `dialect` and `base_url` override the row's. `api_key` of
    `passthrough` lets the client's own credential go on.

    >>> provider("work", kind="openai", api_key="sk-…").base_url
    'https://api.openai.com/v1'
    """
    row = _row(name, kind, dialect, base_url)
    if dialect and dialect not in NAMES:
        raise ConfigError(f"provider {name}: dialect {dialect!r} is not one of {', '.join(NAMES)}")
    location = location or ("global" if "{location}" in row.base_url else "")
    settings = {"region": region, "project": project, "location": location, "resource": resource,
                "host": _host(location) if "{host}" in (base_url or row.base_url) else ""}  # fmt: skip
    return Provider(
        name=name,
        base_url=_filled(name, base_url or row.base_url, settings),
        dialects=(dialect,) if dialect else row.dialects,
        by_model=() if dialect else row.by_model,
        signer=signer or _signer(name, row.credential, api_key, region, own=bool(base_url)),
        passthrough=api_key == PASSTHROUGH,
        headers=tuple(fixed_headers(dict(headers or {}))),
        query=urlencode(query or {}),
        quirks=row.quirks | frozenset(quirks),
        max_output=max_output,
        timeouts=timeouts,
        retries=retries,
        client=client,
    )


def _host(location: str) -> str:
    from gateway.llm.dialects.vertex import host  # whose wire most configurations never need

    return host(location)


def _row(name: str, kind: str, dialect: str, base_url: str) -> Row:
    row = ROWS.get(kind or name)
    if row is not None:
        return row
    if kind or not (dialect and base_url):
        from difflib import get_close_matches

        near = get_close_matches(kind or name, ROWS, 1)
        meant = f" (did you mean {near[0]}?)" if near else ""
        raise ConfigError(
            f"provider {name}: {kind or name!r} is not in the table{meant}; give dialect and base_url"
        )
    credential = {"anthropic": "x-api-key", "gemini": "x-goog-api-key"}.get(dialect, "bearer")
    return Row(base_url, (dialect,), credential, _PLAIN if dialect == "openai-chat" else frozenset())


def _filled(name: str, url: str, settings: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        found = settings.get(match[1])
        if not found:
            raise ConfigError(f"provider {name}: {match[1]} is needed")
        return found

    return re.sub(r"\{(\w+)\}", value, url).rstrip("/")


def _signer(name: str, credential: str, api_key: str, region: str, *, own: bool) -> Signer:
    """`own`: the operator's own endpoint, which may want no credential."""
    if api_key == PASSTHROUGH or (credential == "none" and not api_key):
        return Unsigned()
    kind, _, service = credential.partition(":")
    if kind == "aws" and not api_key:
        if not region:
            raise ConfigError(f"provider {name}: region is needed")
        return AwsSigner(region=region, service=service or "bedrock")
    if kind == "google" and not api_key:
        return GoogleSigner()
    if not api_key and own:
        return Unsigned()
    if not api_key:
        raise ConfigError(f"provider {name}: api_key is needed")
    return bearer(api_key) if kind in ("bearer", "aws", "google", "none") else KeySigner(kind, api_key)
