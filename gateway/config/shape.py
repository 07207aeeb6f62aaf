"""The shape of the configuration file: every key, what it takes, and the line that explains it.

`check` and the server read files with it, and `gateway schema` prints it for editors.
"""

from __future__ import annotations

import re
from typing import Any

from gateway.config.mcp_shape import MCP
from gateway.config.policies_shape import POLICIES, expression
from gateway.config.schema import (
    Anything,
    Choice,
    Duration,
    Either,
    Flag,
    Key,
    ListOf,
    MapOf,
    Number,
    Object,
    Secret,
    Text,
)

PORT = Number(0, 65535, whole=True)
URL = "^https?://"
_IMPOSSIBLE = re.compile(r"//|/\.\.?(?:/|$)")


def _url(value: str) -> str | None:
    return None if value.startswith(("http://", "https://")) else "must begin with https:// or http://"


def _store(value: str) -> str | None:
    if value == "memory:" or value.startswith(("sqlite:///", "dynamodb://")):
        return None
    return "must be memory:, sqlite:///PATH or dynamodb://TABLE?region=REGION"


def _member(value: str) -> str | None:
    module, colon, member = value.partition(":")
    return None if module and colon and member.isidentifier() else "must be package.module:ExporterClass"


def _path(value: str) -> str | None:
    if not value.startswith("/"):
        return "must begin with /"
    return "no request has such a path" if _IMPOSSIBLE.search(value) else None


TIMEOUT = Object(
    {
        "request": Key(Duration(), "the whole request, from the first byte to the last"),
        "upstream": Key(Duration(), "one attempt at an upstream"),
    }
)

LISTEN = Object(
    {
        "host": Key(Text(), "the address to listen on"),
        "port": Key(Either(PORT, ListOf(PORT, some=True)), "one port, or several"),
        "metrics": Key(PORT, "the metrics' own port, or the next free one (15020); 0 switches it off"),
        "admin": Key(PORT, "the page's own port, or the next free one (15000); 0 switches it off"),
        "tls": Key(
            Object(
                {
                    "cert": Key(Text(), "the certificate chain's file", required=True),
                    "key": Key(Text(), "the private key's file", required=True),
                }
            ),
            "TLS of our own, read again when the files change; Fly and Lambda end TLS themselves",
        ),
        "trusted_hops": Key(Number(0, 16, whole=True), "how many proxies of yours stand in front"),
        "address_header": Key(Text(), "the header that your own edge sets to the client's address"),
        "max_body": Key(Number(1024, whole=True), "bytes of a request body"),
        "hosts": Key(ListOf(Text()), "Host names that MCP routes answer to, besides public_url's"),
        "origins": Key(ListOf(Text()), "web origins that may call MCP routes"),
    }
)

PROVIDER = Object(
    {
        "type": Key(Text(), "the provider's row in the table; the name, where it is missing"),
        "dialect": Key(
            Choice(("anthropic", "openai-chat", "openai-responses", "gemini", "bedrock", "vertex")),
            "the wire format, for an endpoint that no row describes",
        ),
        "base_url": Key(Text(_url, URL), "where the API stands"),
        "api_key": Key(Secret(), "the credential; passthrough sends the client's own on"),
        "headers": Key(MapOf(Secret()), "headers that every request to it carries"),
        "project": Key(Text(), "Google Cloud project"),
        "location": Key(Text(), "Google Cloud location"),
        "region": Key(Text(), "AWS region"),
        "resource": Key(Text(), "Azure resource"),
        "query": Key(MapOf(Text()), "query parameters that every request to it carries"),
        "quirks": Key(
            ListOf(Text()), "what it wants otherwise than its dialect does; docs/llm.md lists them"
        ),
        "max_output": Key(Number(1, whole=True), "max_tokens, for clients that name none"),
        "timeout": Key(
            Object(
                {
                    "connect": Key(Duration(), "until the connection stands"),
                    "first_byte": Key(Duration(), "until the answer begins"),
                    "idle": Key(Duration(), "between two pieces of it"),
                    "total": Key(Duration(), "until it has ended"),
                }
            ),
            "how long the provider may be silent",
        ),
        "retries": Key(Number(0, 5, whole=True), "further attempts before the first byte"),
        "proxy": Key(Text(_url, URL), "an HTTP proxy for this provider"),
    }
)

TARGET = Either(
    scalar=Text(),
    mapping=Object(
        {
            "provider": Key(Text(), "a provider, or provider/model", required=True),
            "weight": Key(Number(0), "its share of the calls"),
        }
    ),
)

MODEL = Object(
    {
        "match": Key(Text(), "the models this row is for: a name, or a pattern with *", required=True),
        "when": Key(Text(expression), "CEL: only calls for which this is true"),
        "to": Key(
            Either(Text(), ListOf(TARGET)),
            "a provider or provider/model; a list is tried in order",
            required=True,
        ),
        "model": Key(Text(expression), "CEL: the model's name at the provider"),
    }
)

CACHE = Object(
    {
        "ttl": Key(Duration(least=1), "for how long an answer is given again", required=True),
        "scope": Key(
            Choice(("principal", "group", "route")),
            "to whom: who got it, those with the same groups, everybody on the route",
        ),
        "largest": Key(Number(1, 16 * 1024 * 1024, whole=True), "bytes of an answer that is kept (1048576)"),
    }
)

LLM = Object(
    {
        "providers": Key(MapOf(PROVIDER), "who serves models, by a name of yours", required=True),
        "models": Key(ListOf(MODEL), "which model goes where; the first match wins"),
        "cache": Key(CACHE, "give the same answer to the same request again; docs/routing.md"),
    }
)


ROUTE = Object(
    {
        "path": Key(
            Either(
                Text(_path, "^/"),
                mapping=Object({"exact": Key(Text(_path, "^/"), "this path only", required=True)}),
            ),
            "where it stands; the longest match by whole segments wins",
            required=True,
        ),
        "port": Key(PORT, "only on this port"),
        "llm": Key(LLM, "models behind this route"),
        "mcp": Key(MCP, "MCP servers behind this route"),
        "policies": Key(POLICIES, "merged over the file's own, by name"),
        "timeout": Key(TIMEOUT, "bounds of this route"),
    }
)

TELEMETRY = Object(
    {
        "traces": Key(
            Object(
                {
                    "exporter": Key(
                        Choice(("otlp", "xray", "sdk", "none")),
                        "where they go; sdk: to any exporter of opentelemetry-sdk, named below",
                    ),
                    "endpoint": Key(Text(_url, URL), "the receiver; /v1/traces is added"),
                    "protocol": Key(
                        Choice(("http/protobuf", "grpc"), {"http": "http/protobuf"}),
                        "of otlp; grpc needs the extra otel",
                    ),
                    "headers": Key(MapOf(Secret()), "the receiver's credentials"),
                    "service": Key(Text(), "what the gateway is called there"),
                    "sdk": Key(
                        Text(_member, "^[^:]+:[^:]+$"), "package.module:ExporterClass, for exporter: sdk"
                    ),
                    "options": Key(MapOf(Anything()), "keyword arguments of that class"),
                    "sample": Key(Number(0, 1), "the share of calls; errors and refusals always"),
                    "arguments": Key(Flag(), "tool arguments on spans, masked"),
                    "content": Key(Flag(), "prompts on spans, masked"),
                }
            ),
            "traces by OpenTelemetry",
        ),
        "metrics": Key(
            Object(
                {
                    "prefix": Key(Choice(("gateway", "agentgateway")), "agentgateway also emits its names"),
                    "emf": Key(Flag(), "CloudWatch embedded metrics on standard output"),
                }
            ),
            "Prometheus metrics",
        ),
        "audit": Key(
            Object(
                {
                    "file": Key(Text(), "a file, or - for standard output"),
                    "max_bytes": Key(Number(4096, whole=True), "when to start a new file"),
                    "retention": Key(Duration(), "when to remove old ones"),
                    "mask": Key(ListOf(Text()), "arguments that are never written, by name"),
                    "key": Key(Secret(), "hashes become HMACs, which only who has it can make"),
                    "claims": Key(
                        ListOf(Text()), "claims that are written down; a replay can read no others"
                    ),
                    "headers": Key(ListOf(Text()), "request headers that are written down, in small letters"),
                    "otlp": Key(
                        Object(
                            {
                                "endpoint": Key(Text(_url, URL), "the receiver"),
                                "headers": Key(MapOf(Secret()), "sent with every batch"),
                            }
                        ),
                        "as OTLP log records, instead of to a file",
                    ),
                }
            ),
            "one line for every call",
        ),
        "log": Key(Choice(("json", "text", "off")), "the access log on standard output"),
    }
)

ADMIN = Object(
    {
        "token": Key(Secret(), "the credential for changing anything, and for being reached from elsewhere"),
        "path": Key(Text(_path, "^/"), "serve the page under this path of the main port too"),
        "content": Key(Flag(), "keep the newest requests' bodies, masked, for the inspector"),
    }
)

FILE = Object(
    {
        "public_url": Key(Text(_url, URL), "the address that clients type"),
        "listen": Key(LISTEN, "where to listen"),
        "store": Key(
            Text(_store, "^memory:$|^sqlite:///|^dynamodb://"),
            "memory:, sqlite:///PATH or dynamodb://TABLE?region=REGION",
        ),
        "policies": Key(POLICIES, "the policies of every route"),
        "routes": Key(ListOf(ROUTE), "what is served where", required=True),
        "telemetry": Key(TELEMETRY, "what is told, and to whom"),
        "admin": Key(ADMIN, "the page and its API"),
        "tests": Key(
            ListOf(
                Object(
                    {
                        "name": Key(Text(), "what the report calls it"),
                        "route": Key(Text(), "by this route's rules; without it by the first of its kind"),
                        "as": Key(
                            MapOf(Anything()),
                            "who calls: claims, or key with a key's facts; nobody without it",
                        ),
                        "call": Key(
                            MapOf(Anything()), "what is called: model, tool … docs/policy.md", required=True
                        ),
                        "expect": Key(Choice(("allow", "refuse")), "what must become of it", required=True),
                    }
                )
            ),
            "examples of what the rules must say; `gateway check` runs them",
        ),
    }
)


def json_schema() -> dict[str, Any]:
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "asgi-gateway"}
    return head | FILE.json()
