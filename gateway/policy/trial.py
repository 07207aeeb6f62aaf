"""A rule's own tests, as they stand in the file beside it:

    tests:
      - {as: {role: user}, call: {tool: delete_file}, expect: refuse}
      - {as: {key: {owner: ada}}, call: {model: claude-sonnet-5, headers: {x-team: a}}, expect: allow}

`as` holds the claims of a JWT, or `key` with a virtual key's facts; without it the caller is nobody. `call` names a `model`, a
`tool`, `prompt` or `resource` (with `server` and `arguments`), or an MCP `method`, and what else of the call the rules read.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Literal, get_args

import orjson

from gateway.call import ANONYMOUS, Attribution, Call, Operation, Principal
from gateway.errors import ConfigError
from gateway.policy.authorization import Authorization
from gateway.refusals import Refusal

Subject = Literal["tool", "prompt", "resource"]
_METHODS: dict[Subject, str] = {"tool": "tools/call", "prompt": "prompts/get", "resource": "resources/read"}
_OF_MODELS = frozenset({"model", "stream", "max_tokens"})
_OF_TOOLS = frozenset({"method", "server", "exposed", "arguments", *get_args(Subject)})
_OF_CALLS = frozenset({"path", "ip", "headers", "body", "route", "verb"})
_WHO = frozenset({"user", "agent", "project", "session"})


def decided(
    policy: Authorization, *, caller: Mapping[str, Any] | None, call: Mapping[str, Any]
) -> Refusal | None:
    """What a policy says of an example. Raises ConfigError where the example is none."""
    op = operation(call)
    facts = {name: call[name] for name in _OF_CALLS & call.keys()}
    if "headers" in facts:
        facts["headers"] = {name.lower(): str(value) for name, value in facts["headers"].items()}
    if not isinstance(facts.get("body", b""), bytes):
        facts["body"] = (
            facts["body"].encode() if isinstance(facts["body"], str) else orjson.dumps(facts["body"])
        )
    named: dict[str, Any] = {name: str(call[name]) for name in _WHO & call.keys()}
    who = Attribution(**named)
    example = Call(
        "example",
        time.time(),
        0,
        **{"path": "/", "principal": principal(caller), "attribution": who, **facts},
    )
    return policy.decide(example, op)


def principal(caller: Mapping[str, Any] | None) -> Principal:
    if caller is None:
        return ANONYMOUS
    if isinstance(key := caller.get("key"), Mapping):
        facts = {"id": "example", "owner": "", **key}
        return Principal(f"key:{facts['id']}", "key", name=str(facts["owner"]), groups=tuple(facts.get("groups", ())),
                         scopes=frozenset(facts.get("scopes", ())), key=facts)  # fmt: skip
    if isinstance(caller.get("jwt"), Mapping):
        raise ConfigError("a token's claims stand in `as` themselves: as: {role: user}")
    scope = caller.get("scope", "")
    scopes = scope.split() if isinstance(scope, str) else scope
    groups = caller.get("groups", ())
    named = str(caller.get("email") or caller.get("sub") or "")
    return Principal(f"jwt:{caller.get('iss', '')}#{caller.get('sub', '')}", "jwt", name=named, scopes=frozenset(scopes),
                     groups=tuple(groups) if isinstance(groups, list) else (), claims=dict(caller))  # fmt: skip


def operation(call: Mapping[str, Any]) -> Operation:
    unknown = call.keys() - _OF_MODELS - _OF_TOOLS - _OF_CALLS - _WHO
    if unknown:
        raise ConfigError(f"a test's call has no {', '.join(sorted(unknown))}")
    if _OF_MODELS & call.keys():
        return Operation("llm", "messages", model=str(call.get("model", "")), stream=bool(call.get("stream")), max_tokens=call.get("max_tokens"))  # fmt: skip
    subjects: list[Subject] = [subject for subject in get_args(Subject) if subject in call]
    if len(subjects) == 1:
        name = str(call[subjects[0]])
        return Operation("mcp", str(call.get("method", _METHODS[subjects[0]])), subject=subjects[0], server=str(call.get("server", "")),
                         name=name, exposed=str(call.get("exposed", name)), arguments=call.get("arguments", {}))  # fmt: skip
    if "method" in call and not subjects:
        return Operation("mcp", str(call["method"]), charged=False)
    raise ConfigError("a test's call names one of model, tool, prompt, resource, or an MCP method")
