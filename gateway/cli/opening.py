"""Which store a command reads: `--store`, else what the configuration says."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.errors import ConfigError

DEFAULT = Path("gateway.yaml")


def configuration(args: argparse.Namespace) -> Mapping[str, Any]:
    from gateway.config.load import load

    found: Mapping[str, Any] = load(args.config or DEFAULT, secrets=False).data
    return found


def store_url(args: argparse.Namespace, *, memory: bool = False) -> str:
    if args.store is None and args.config is None and not DEFAULT.exists():
        raise ConfigError("say which store: --store sqlite:///gateway.db, or --config gateway.yaml")
    url: str = args.store or configuration(args).get("store", "memory:")
    if url.startswith("memory:") and not memory:
        raise ConfigError("the store is the serving process' own memory: only its admin port can read it")
    return url
