"""The shape of an MCP route: its servers, and how they are shown."""

from __future__ import annotations

from typing import Any

from gateway.config.api_document import ApiDocument
from gateway.config.schema import Choice, Duration, Flag, Key, ListOf, MapOf, Number, Object, Secret, Text

NAMES = ListOf(Text(), lone=True)

SCOPE = Object(
    {
        "path_prefix": Key(Text(), "paths in arguments must lie below this"),
        "deny_paths": Key(NAMES, "and not below any of these"),
        "path_arguments": Key(NAMES, "which arguments are paths; those named like one, where it is missing"),
        "schemas": Key(NAMES, "the SQL schemas that a query may read"),
    }
)

CLIENT_CREDENTIALS = Object(
    {
        "token_url": Key(Text(), "the token endpoint", required=True),
        "client_id": Key(Secret(), "the gateway's name there", required=True),
        "client_secret": Key(Secret(), "and its secret", required=True),
        "scopes": Key(NAMES, "the scopes to ask for; an agent's own only narrow them"),
        "audience": Key(Text(), "the audience to ask for"),
    }
)

TOKEN_EXCHANGE = Object(
    {
        "token_url": Key(Text(), "the token endpoint", required=True),
        "client_id": Key(Secret(), "the gateway's name there"),
        "client_secret": Key(Secret(), "and its secret"),
        "audience": Key(Text(), "the audience to ask for"),
        "resource": Key(Text(), "the resource to ask for"),
        "scopes": Key(NAMES, "the scopes to ask for"),
    }
)

CREDENTIAL = Object(
    {
        "bearer": Key(Secret(), "one token for everybody"),
        "headers": Key(MapOf(Secret()), "headers for everybody"),
        "client_credentials": Key(CLIENT_CREDENTIALS, "OAuth client credentials"),
        "token_exchange": Key(TOKEN_EXCHANGE, "RFC 8693: the caller's token for one of the server's"),
        "passthrough": Key(Flag(), "the caller's own Authorization header"),
    }
)

AGENT = Object(
    {
        "allow": Key(NAMES, "tools of this server"),
        "scope": Key(SCOPE, "what its arguments may point at"),
        "scopes": Key(NAMES, "OAuth scopes asked for upstream"),
        "verified": Key(Flag(), "the agent's name must come from a claim"),
        "enforce": Key(Flag(), "false observes instead of refusing"),
    }
)

RETRIES = Object(
    {
        "max": Key(Number(0, 10, whole=True), "further attempts"),
        "backoff": Key(Duration(), "the first pause; later ones grow"),
        "on": Key(ListOf(Number(400, 599, whole=True)), "the statuses that are worth another attempt"),
        "tools": Key(NAMES, "tools that are safe to repeat, besides those that say so"),
    }
)


_WAYS = (["command"], ["url"], ["openapi"], ["openapi", "url"])  # to a server


def _server(given: dict[str, Any]) -> str | None:
    if [key for key in ("command", "openapi", "url") if key in given] not in _WAYS:
        return "needs a url, a command, or openapi with or without a url"
    if "operations" in given and "openapi" not in given:
        return "operations are those of openapi; allow holds tools"
    return None


SERVER = Object(
    {
        "url": Key(Text(), "a server over HTTP; with openapi, where its API is"),
        "transport": Key(Choice(("streamable-http", "sse")), "sse for servers older than 2025-03-26"),
        "command": Key(
            ListOf(Text()), "a server of our own, over standard input and output: program and arguments"
        ),
        "env": Key(
            MapOf(Secret()), "its variables; of ours it gets only PATH, HOME, the locale and their like"
        ),
        "cwd": Key(Text(), "its folder"),
        "openapi": Key(
            ApiDocument(),
            "an API that speaks no MCP: the file of its OpenAPI document, 3.0 or 3.1, JSON or YAML",
        ),
        "operations": Key(
            NAMES, "of that document, by operationId or a pattern such as get*; all without it"
        ),
        "prefix": Key(Text(), "stands before its tools' names"),
        "auth": Key(CREDENTIAL, "what it is shown"),
        "headers": Key(NAMES, "headers of the caller that are passed on"),
        "allow": Key(NAMES, "the tools that may be seen at all, by either name"),
        "scope": Key(SCOPE, "what arguments may point at"),
        "agents": Key(MapOf(AGENT), "narrower, by agent; an agent that is not listed gets nothing"),
        "timeout": Key(Duration(), "one call"),
        "max_rows": Key(Number(1, whole=True), "rows of a result"),
        "max_bytes": Key(Number(256, whole=True), "bytes of a result"),
        "retries": Key(RETRIES, "of lists and reads, and of tools that are safe to repeat"),
        "enforce": Key(Flag(), "false observes instead of refusing"),
    },
    fault=_server,
)

MCP = Object(
    {
        "servers": Key(MapOf(SERVER), "by a name of yours", required=True),
        "prefix": Key(Choice(("never", "auto", "always")), "auto: only names that collide"),
        "pins": Key(
            Choice(("off", "trust-first", "approve")), "whether new or changed tools must be approved"
        ),
        "disclosure": Key(Choice(("list", "search")), "search shows two tools that find and call the others"),
        "deadline": Key(Duration(), "how long a list waits for a server"),
        "session_ttl": Key(Duration(), "how long a session of the older protocol lives"),
        "seal_key": Key(Secret(), "32 bytes or more that every instance shares; seals sessions and cursors"),
    }
)
