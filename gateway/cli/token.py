"""`gateway token`: a token of our own, made with a key pair that it can make too; `gateway token explain`: why one is refused."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from gateway.cli import lifetime
from gateway.cli.opening import DEFAULT
from gateway.errors import ConfigError
from gateway.identity import jwt, mint
from gateway.identity.jwt import InvalidToken, Verifier

PRIVATE, PUBLIC = Path("jwt-private.pem"), Path("jwt-public.pem")
NAME = "gateway"  # issuer and audience where none is given


def add_parser(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "token",
        help="make a token, or explain why one is refused",
        description="Make a signed JWT and print it. Makes the key pair first where there is none: give the public key to the "
        "gateway as auth.jwt[].jwks.file. `gateway token explain TOKEN --config FILE` goes through every check instead.",
    )
    parser.add_argument("action", nargs="?", choices=("mint", "pair", "explain"), default="mint")
    parser.add_argument("token", nargs="?", help="explain: the token; - reads it from standard input")
    parser.add_argument("--sub", default="", help="whose token it is")
    parser.add_argument(
        "--claim", action="append", default=[], metavar="K=V", help="another claim; V may be JSON"
    )
    parser.add_argument("--scope", default="", help="OAuth scopes, separated by spaces")
    parser.add_argument("--issuer", default=NAME)
    parser.add_argument("--audience", action="append", default=[], help=f"may be repeated (default: {NAME})")
    parser.add_argument("--expires", default="30d", metavar="WHEN", help="1h, 30d, or a date (default: 30d)")
    parser.add_argument(
        "--key", type=Path, default=PRIVATE, metavar="FILE", help=f"the private key ({PRIVATE})"
    )
    parser.add_argument("--public", type=Path, default=PUBLIC, metavar="FILE", help=f"where a new pair's public key goes ({PUBLIC})")  # fmt: skip
    parser.add_argument(
        "--algorithm", default="RS256", choices=("RS256", "ES256", "EdDSA"), help="of a new pair"
    )
    parser.add_argument(
        "--secret-env", metavar="NAME", help="sign with HS256 and the secret in this environment variable"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="explain: the configuration to go by")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if args.action == "explain":
        return _explain(args)
    if args.action == "pair":
        _make_pair(args)
        print(orjson.dumps({"private": str(args.key), "public": str(args.public)}).decode() if args.json else f"{args.key} and {args.public}")  # fmt: skip
        return 0
    claims, now = _claims(args), time.time()
    text = mint.token(claims, key=_signing(args), at=now, lifetime=lifetime.end(args.expires, now) - now, secret=bool(args.secret_env))  # fmt: skip
    print(
        orjson.dumps({"token": text, "claims": dict(jwt.parse(text).claims)}).decode() if args.json else text
    )
    return 0


def _claims(args: argparse.Namespace) -> dict[str, Any]:
    if not args.sub:
        raise ConfigError("say whose token it is: --sub NAME")
    audience: str | list[str] = args.audience if len(args.audience) > 1 else (args.audience or [NAME])[0]
    claims: dict[str, Any] = {"iss": args.issuer, "sub": args.sub, "aud": audience}
    if args.scope:
        claims["scope"] = args.scope
    for text in args.claim:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ConfigError(f"--claim {text}: write NAME=VALUE")
        claims[name] = _value(value)
    return claims


def _value(text: str) -> Any:
    with contextlib.suppress(orjson.JSONDecodeError):
        return orjson.loads(text)
    return text


def _signing(args: argparse.Namespace) -> bytes:
    if args.secret_env:
        secret = os.environ.get(args.secret_env, "").encode()
        if len(secret) < 32:
            raise ConfigError(f"${args.secret_env} must hold a secret of at least 32 bytes")
        return secret
    if not args.key.exists():
        _make_pair(args)
        print(f"made {args.key} and {args.public}; the gateway wants {args.public}", file=sys.stderr)
    found: bytes = args.key.read_bytes()
    return found


def _make_pair(args: argparse.Namespace) -> None:
    private, public = mint.pair(args.algorithm)
    try:
        handle = os.open(args.key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigError(f"{args.key} exists already, and is not overwritten") from None
    with os.fdopen(handle, "wb") as file:
        file.write(private)
    args.public.write_bytes(public)


def _explain(args: argparse.Namespace) -> int:
    text = (sys.stdin.read() if args.token in (None, "-") else args.token).strip()
    found = asyncio.run(_checks(text, args.config or DEFAULT))
    accepted = [
        place for place, checks in _by_place(found).items() if place != "token" and not any(checks.values())
    ]
    if args.json:
        rows = [{"place": place, "check": check, "failed": failed} for place, check, failed in found]
        print(orjson.dumps({"accepted": accepted, "checks": rows}, option=orjson.OPT_INDENT_2).decode())
    else:
        for place, check, failed in found:
            print(f"{'FAIL' if failed else 'ok':4}  {place}: {check}" + (f": {failed}" if failed else ""))
        print(f"accepted by {', '.join(accepted)}" if accepted else "refused everywhere")
    return 0 if accepted else 1


Row = tuple[str, str, str]  # where, which check, what failed


def _by_place(rows: Sequence[Row]) -> Mapping[str, dict[str, str]]:
    places: dict[str, dict[str, str]] = {}
    for place, check, failed in rows:
        places.setdefault(place, {})[check] = failed
    return places


async def _checks(text: str, config: Path) -> list[Row]:
    try:
        token = jwt.parse(text)
    except InvalidToken as error:
        return [("token", "form", str(error))]
    rows: list[Row] = [("token", "form", "")]
    for place, verifier in verifiers(config):
        if verifier.issuer != token.claims.get("iss"):
            rows.append(
                (
                    place,
                    "issuer",
                    f"the token's is {token.claims.get('iss')!r}, this place trusts {verifier.issuer!r}",
                )
            )
            continue
        rows.append((place, "issuer", ""))
        rows += [(place, check, failed) for check, failed in await verifier.explain(token)]
    return rows


def verifiers(config: Path) -> list[tuple[str, Verifier]]:
    """Those of every route of a configuration, each bound to what it protects."""
    from gateway.config.build_policies import verifier
    from gateway.config.load import load
    from gateway.config.resources import Resources
    from gateway.config.routes import path_of, policies_of

    loaded = load(config)
    found: list[tuple[str, Verifier]] = []
    for route in loaded.data["routes"]:
        path = path_of(route)
        auth = policies_of(loaded.data, route).get("auth") or {}
        public = str(loaded.data.get("public_url", "")).rstrip("/")
        for section in auth.get("jwt") or ():
            made: Verifier = verifier(section, loaded.folder, Resources(dry=True))
            found.append((f"route {path}", made.bound_to(public + ("" if path == "/" else path))))
    if not found:
        raise ConfigError(f"{config} trusts no issuer: no route has auth.jwt")
    return found
