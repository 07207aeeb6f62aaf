"""The command line: `gateway COMMAND …`. A command's module is imported when it is asked for."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from gateway import __version__
from gateway.errors import GatewayError

# In the order of `--help`. `kill` brings `restore`.
COMMANDS = ("serve", "check", "schema", "status", "token", "keys", "kill", "restore", "usage", "limits", "audit", "pins",
            "guard", "mcp", "store")  # fmt: skip
_HOME = {"schema": "check", "restore": "kill"}

EPILOG = """exit codes: 0 done; 1 the answer is no (a problem was found, nothing matched); 2 wrong usage or configuration.
Every command takes --json and --help."""


def parser(only: str | None = None) -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="gateway",
        description="One identity, one policy, one budget and one ledger for models and MCP tools.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"asgi-gateway {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    homes = [only] if only else COMMANDS
    for module in dict.fromkeys(_HOME.get(name, name) for name in homes):
        import_module(f"gateway.cli.{module}").add_parser(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    only = words[0] if words and words[0] in COMMANDS else None
    if not words:
        parser().print_help()
        return 2
    args = parser(only).parse_args(words)
    try:
        return int(args.run(args))
    except GatewayError as error:
        print(error, file=sys.stderr)
        return 2
    except (KeyboardInterrupt, BrokenPipeError):
        return 130
