"""Which headers go on. Everything a client or a provider may invent passes; what belongs to one hop, names a caller or a
shared account does not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from operator import itemgetter
from urllib.parse import unquote_plus

from gateway.heads import CHANGING, Pair
from gateway.known import Known
from gateway.net.client import values
from gateway.types import Headers

_NAME = itemgetter(0)
_HOP = frozenset(
    b"connection keep-alive proxy-connection te trailer transfer-encoding upgrade http2-settings".split()
)
_REQUEST = _HOP | frozenset(
    b"host content-length accept-encoding expect cookie forwarded via x-real-ip baggage traceparent tracestate"
    b" origin referer".split()
)
_REQUEST_LIKE = re.compile(rb"x-forwarded-|x-gateway-|x-amz-|x-amzn-(?!bedrock)|cf-|fly-|sec-|proxy-")
_SECRET = re.compile(
    rb"(?:^|[-_])(?:key|apikey|token|secret|auth|authorization|password|credentials?|cookie|jwt)(?:[-_]|$)"
)
_NO_SECRET = frozenset((b"idempotency-key",))

_RESPONSE = _HOP | frozenset(
    b"date server set-cookie strict-transport-security alt-svc anthropic-organization-id openai-organization openai-project"
    b" x-gateway-call x-gateway-cache".split()
)
_RESPONSE_LIKE = re.compile(rb"cf-|access-control-|proxy-")
_LIMITS = re.compile(rb"(?:anthropic|x)-ratelimit-")
_QUERY_SECRETS = frozenset(("key", "access_token", "api_key", "token"))


def is_secret(name: bytes) -> bool:
    return name not in _NO_SECRET and _SECRET.search(name) is not None


_goes_up: Known[bytes, bool] = Known(
    lambda name: not (name in _REQUEST or _REQUEST_LIKE.match(name) or is_secret(name))
)
_BESIDE = frozenset(name for name in CHANGING if _goes_up[name])
_comes_back: Known[bytes, bool] = Known(
    lambda name: not (name in _RESPONSE or _RESPONSE_LIKE.match(name) or _LIMITS.match(name))
)


def up(headers: Sequence[Pair], *, passthrough: bool) -> Headers:
    """The client's headers for an upstream that speaks its dialect. A compressed answer could not be metered."""
    kept = [pair for pair in headers if _goes_up[pair[0]]]
    if passthrough:
        kept += [pair for pair in headers if pair[0] in _CREDENTIALS]
    kept.append((b"accept-encoding", b"identity"))
    return _without_named(headers, kept) if b"connection" in map(_NAME, headers) else kept


def beside(changing: Sequence[Pair], headers: Sequence[Pair]) -> Headers:
    """Those of one request alone that go up with the others."""
    if _BESIDE.isdisjoint(map(_NAME, changing)):  # as most often
        return []
    kept = [pair for pair in changing if pair[0] in _BESIDE]
    return _without_named(headers, kept) if b"connection" in map(_NAME, headers) else kept


# They say who asks and how it connects; no answer is another one for it.
_ASIDE = re.compile(
    rb"user-agent|accept-encoding|cache-control|pragma|priority|x-goog-api-client|(?:x-stainless|amz-sdk)-.*"
)
_PLAIN = (b"keep-alive", b"close")


def telling(headers: Sequence[Pair], *, passthrough: bool) -> Headers:
    """Those that go up and may make an answer another one: all that is not known to do nothing of the kind. A translation
    reads those that Connection names, too, and of several the first one."""
    naming = [pair for pair in headers if pair[0] == b"connection" and pair[1].lower() not in _PLAIN]
    kept = [*up(headers, passthrough=passthrough), *naming]
    return sorted((pair for pair in kept if not _ASIDE.fullmatch(pair[0])), key=_NAME)


_CREDENTIALS = (b"authorization", b"x-api-key", b"x-goog-api-key", b"api-key")


def back(headers: Headers, *, passthrough: bool = False) -> Headers:
    """The upstream's headers for the client. Its rate limits are those of everybody together, unless the credential is the
    client's own."""
    kept = [pair for pair in headers if _comes_back[pair[0]]]
    if passthrough:
        kept += [pair for pair in headers if _LIMITS.match(pair[0])]
    return _without_named(headers, kept) if b"connection" in map(_NAME, headers) else kept


def _without_named(headers: Sequence[Pair], kept: Headers) -> Headers:
    """Without the headers that Connection declares to be of this hop."""
    declared = values(headers, b"connection")
    named = {each.strip().lower() for value in declared for each in value.split(b",")}
    return [pair for pair in kept if pair[0] not in named]


def query(raw: bytes) -> str:
    """The client's query string without credentials, otherwise as it came."""
    text = raw.decode("latin-1")
    if not text:
        return ""
    pairs = text.split("&")
    return "&".join(
        each for each in pairs if unquote_plus(each.partition("=")[0]).lower() not in _QUERY_SECRETS
    )
