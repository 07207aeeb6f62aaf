"""The shape of the five policies, wherever they stand."""

from __future__ import annotations

from typing import Any

from gateway.config.schema import (
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
from gateway.errors import ConfigError


def expression(text: str) -> str | None:
    from gateway.policy import cel  # costs as much as its engine does

    return cel.fault(text)


def value(text: str) -> str | None:
    """A plain name needs no engine."""
    from gateway.limits import keys

    return None if keys.plain(text) else expression(text)


def pattern(text: str) -> str | None:
    from gateway.guards import patterns

    return patterns.fault(text)


def amount(given: dict[str, Any]) -> str | None:
    """What is wrong with a limit or a budget."""
    from gateway.limits.rules import Budget, Limit

    try:
        (Budget if "usd" in given else Limit)(**given).amount()
    except ConfigError as error:
        return str(error)
    return None


def names(given: dict[str, Any]) -> str | None:
    """What is wrong with what limits and budgets are called."""
    from gateway.limits import demand
    from gateway.limits.rules import Budget, Limit

    limits = [Limit(**each) for each in given.get("limits", ())]
    budgets = [Budget(**each) for each in given.get("budgets", ())]
    try:
        demand.compiled(limits, budgets, lambda text: lambda call, op: None)
    except ConfigError as error:
        return str(error)
    return None


ENFORCE = Key(Flag(), "false observes instead of refusing, and logs what it would have done")
RULES = ListOf(Text(expression), lone=True)
SOURCES = ListOf(Text(), lone=True)

JWT = Object(
    {
        "issuer": Key(Text(), "the `iss` that its tokens carry", required=True),
        "audiences": Key(
            ListOf(Text(), lone=True), "the `aud` values accepted; this route's own URL where none is set"
        ),
        "jwks": Key(
            Object({"url": Key(Text(), "a JWKS URL"), "file": Key(Text(), "a JWKS or PEM file")}),
            "the keys; found by discovery at the issuer where neither this nor a secret is set",
        ),
        "secret": Key(Secret(), "HS256 with at least 32 bytes"),
        "algorithms": Key(ListOf(Text()), "narrower than what the keys allow"),
        "leeway": Key(Duration(), "how wrong a clock may be"),
        "scopes": Key(ListOf(Text()), "scopes that every token must have"),
    }
)

COUNT = Number(0)
OWN_LIMIT = Object(
    {
        "requests": Key(COUNT, "requests in a period"),
        "tokens": Key(COUNT, "tokens in a period, of prompt and answer"),
        "concurrency": Key(COUNT, "calls at once"),
        "per": Key(Duration(), "the period"),
        "burst": Key(COUNT, "how many at once at most"),
    },
    fault=amount,
)
OWN_BUDGET = Object(
    {
        "usd": Key(COUNT, "dollars in a period", required=True),
        "per": Key(Choice(("day", "week", "month")), "the period", required=True),
    },
    fault=amount,
)
KEY = Object(
    {
        "key": Key(Secret(), "the key itself, best as a reference; only its hash is kept", required=True),
        "id": Key(Text(), "what it is called in logs and by kill switches"),
        "owner": Key(Text(), "whose it is: the user that is charged"),
        "groups": Key(ListOf(Text()), "the groups that are charged with its owner"),
        "models": Key(ListOf(Text()), "the models it may use, by name or pattern"),
        "scopes": Key(ListOf(Text()), "the OAuth scopes that it stands for"),
        "agent": Key(Text(), "the agent that uses it"),
        "limits": Key(ListOf(OWN_LIMIT), "its own, beside those of `ratelimit`"),
        "budgets": Key(ListOf(OWN_BUDGET), "likewise"),
        "expires": Key(Text(), "a date, or a date and time"),
    }
)

ATTRIBUTION = Object(
    {
        "user": Key(
            SOURCES, "claims (`jwt.email`) or headers (`header:x-team-user`), the first that is there"
        ),
        "agent": Key(SOURCES, "likewise"),
        "project": Key(SOURCES, "likewise"),
        "required": Key(ListOf(Choice(("user", "agent", "project"))), "refuse calls without these"),
    }
)

RESOURCE = Object(
    {
        "scopes": Key(ListOf(Text()), "the scopes that the metadata document offers"),
        "documentation": Key(Text(), "the address of a page for developers"),
        "policy": Key(Text(), "the address of a page on what the data is used for"),
        "bearer_methods": Key(
            ListOf(Choice(("header", "query", "body"))), "query needs query_tokens; body is refused"
        ),
    }
)

AUTH = Object(
    {
        "mode": Key(
            Choice(("strict", "optional", "permissive")), "what becomes of a call without a credential"
        ),
        "jwt": Key(ListOf(JWT, lone=True), "issuers of tokens"),
        "keys": Key(
            Either(scalar=Flag(), sequence=ListOf(KEY)), "virtual keys: those of the store, or a list"
        ),
        "resource": Key(RESOURCE, "the OAuth metadata of this route"),
        "query_tokens": Key(Flag(), "accept tokens in the query string, against the specification"),
        "attribution": Key(ATTRIBUTION, "who is charged"),
        "enforce": ENFORCE,
    }
)

AUTHZ = Either(
    sequence=ListOf(Text(expression)),
    mapping=Object(
        {
            "allow": Key(RULES, "at least one must be true"),
            "deny": Key(RULES, "none may be true"),
            "require": Key(RULES, "each must be true"),
            "scopes": Key(MapOf(ListOf(Text(), lone=True)), "OAuth scopes that a tool needs"),
            "enforce": ENFORCE,
        }
    ),
)

FAILURE = Choice(("open", "closed"))

LIMIT = Object(
    {
        "name": Key(Text(), "what a refusal calls it"),
        "requests": Key(COUNT, "requests in a period"),
        "tokens": Key(COUNT, "tokens in a period, of prompt and answer"),
        "concurrency": Key(COUNT, "calls at once"),
        "per": Key(Duration(), "the period"),
        "burst": Key(COUNT, "how many at once at most"),
        "key": Key(Text(value), "CEL: whose limit it is; a list charges every member"),
        "when": Key(Text(value), "CEL: which calls it counts"),
        "on_failure": Key(FAILURE, "when the store does not answer"),
    },
    fault=amount,
)

BUDGET = Object(
    {
        "name": Key(Text(), "what a refusal calls it"),
        "usd": Key(COUNT, "dollars in a period", required=True),
        "per": Key(Choice(("day", "week", "month")), "the period", required=True),
        "key": Key(Text(value), "CEL: whose budget it is; a list charges every member"),
        "when": Key(Text(value), "CEL: which calls it counts"),
        "warn": Key(ListOf(Number(0, 100)), "percentages that raise a warning"),
        "on_failure": Key(FAILURE, "when the store does not answer"),
    },
    fault=amount,
)

RATELIMIT = Object(
    {
        "limits": Key(ListOf(LIMIT), "requests, tokens or calls at once"),
        "budgets": Key(ListOf(BUDGET), "money"),
        "store": Key(Choice(("memory:",)), "count in this process only: faster, and forgotten when it ends"),
        "instances": Key(
            Number(1, whole=True), "how many share the limits, for the local share when the store fails"
        ),
        "enforce": ENFORCE,
    },
    fault=names,
)

SCANNER = Choice(
    ("prompt_injection", "tool_descriptions", "sql_injection", "command_injection", "path_traversal",
     "secrets", "pii", "hidden_characters"),
    aliases={
        "tool_poisoning": "tool_descriptions",
        "secrets_in_description": "secrets",
        "pii_in_arguments": "pii",
    },
)  # fmt: skip
PLACE = Choice(("system", "messages", "tool_results", "tools", "answer"))
GUARD_RULE = Either(
    scalar=SCANNER,
    mapping=Object(
        {
            "regex": Key(Text(pattern), "a pattern in RE2's syntax"),
            "scanner": Key(SCANNER, "one of the scanners"),
            "python": Key(Text(), "package.module:function, called with (texts, phase)"),
            "webhook": Key(Text(), "an address that is asked at /request and /response"),
            "moderation": Key(Text(), "a model of OpenAI's moderation"),
            "bedrock_guardrail": Key(Text(), "an Amazon Bedrock guardrail's id or ARN"),
            "action": Key(
                Choice(("reject", "mask", "audit"), {"REJECT": "reject", "MASK": "mask", "AUDIT": "audit"}),
                "what becomes of a finding",
            ),
            "threshold": Key(
                Number(0, 1), "the score from which a scanner's or a moderation's finding counts"
            ),
            "in": Key(ListOf(PLACE, lone=True), "the parts of a request that are read"),
            "read_only": Key(Flag(), "of sql_injection: whether statements may only read"),
            "name": Key(Text(), "what verdicts call it"),
            "status": Key(Number(400, 599, whole=True), "of a refusal"),
            "message": Key(Text(), "what the caller is told"),
            "timeout": Key(Duration(), "how long a plug-in may take"),
            "on_failure": Key(Choice(("reject", "pass")), "what a plug-in that fails means"),
            "headers": Key(MapOf(Secret()), "headers of a webhook"),
            "api_key": Key(Secret(), "the moderation's credential"),
            "base_url": Key(Text(), "where the moderation's API stands"),
            "version": Key(Text(), "the guardrail's version"),
            "region": Key(Text(), "the guardrail's AWS region"),
        }
    ),
)
GUARD = Object(
    {
        "request": Key(ListOf(GUARD_RULE), "prompts"),
        "response": Key(ListOf(GUARD_RULE), "answers"),
        "discovery": Key(ListOf(GUARD_RULE), "tool definitions"),
        "invocation": Key(
            ListOf(GUARD_RULE),
            "tool arguments; `sql` and the like are parsed as statements, `command` as command lines",
        ),
        "result": Key(ListOf(GUARD_RULE), "tool results"),
        "budget": Key(Duration(), "the time that one inspection may take"),
        "key": Key(Secret(), "what every instance shares, so that masks are the same on each of them"),
        "on_overrun": Key(Choice(("pass", "reject")), "what an inspection that took longer means"),
        "enforce": ENFORCE,
    }
)

PRICE = MapOf(Number(0))
USAGE = Object(
    {
        "labels": Key(MapOf(Text(value)), "CEL: labels for metrics, log, ledger, spans and audit"),
        "prices": Key(
            MapOf(PRICE), "dollars per million tokens, by model: input, output, cache_read, cache_write"
        ),
        "ceiling": Key(PRICE, "what a model without a price costs"),
    }
)

POLICIES = Object(
    {
        "auth": Key(AUTH, "who calls"),
        "authz": Key(AUTHZ, "what they may do"),
        "ratelimit": Key(RATELIMIT, "how much"),
        "guard": Key(GUARD, "what is looked for in prompts, answers and tools"),
        "usage": Key(USAGE, "what is counted and what it costs"),
    }
)
