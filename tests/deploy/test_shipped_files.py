"""What is shipped for a deployment, and no program here runs: linted, and held to what the platforms document."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

ROOT = Path(__file__).parents[2]
FLY = json.loads((Path(__file__).parent / "fly.schema.json").read_text())


def fly() -> Any:
    return tomllib.loads((ROOT / "fly.toml").read_text())


def shell_scripts() -> list[Path]:
    places = [*ROOT.glob("*.sh"), *(ROOT / "scripts").rglob("*"), ROOT / "infra/lambda/stream"]
    return [each for each in places if each.is_file() and _shell(each)]


def _shell(file: Path) -> bool:
    first = file.read_bytes().split(b"\n", 1)[0]
    return first in (b"#!/bin/sh", b"#!/usr/bin/env bash", b"#!/bin/bash")


def lint(*command: str | Path) -> "subprocess.CompletedProcess[str]":
    program = Path(sys.executable).with_name(str(command[0]))
    return subprocess.run([program, *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)


def test_every_shell_script_passes_shellcheck() -> None:
    scripts = shell_scripts()
    assert {"deploy.sh", "stream", "install", "lock"} <= {each.name for each in scripts}
    done = lint("shellcheck", *scripts)
    assert done.returncode == 0, done.stdout


def test_every_script_can_be_run() -> None:
    assert [each.name for each in shell_scripts() if not each.stat().st_mode & 0o100] == []


def test_the_dockerfile_passes_hadolint() -> None:
    done = lint("hadolint", "Dockerfile")
    assert done.returncode == 0, done.stdout


def stages() -> dict[str, list[str]]:
    """The instructions of each target; the unnamed last one is the default."""
    found: dict[str, list[str]] = {}
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        words = line.split()
        if words[:1] == ["FROM"]:
            current = found.setdefault(words[3] if len(words) > 2 else "", [])
        if words and not line.startswith(("#", " ")):
            current.append(line)
    return found


def test_both_images_run_as_nobody_in_particular() -> None:
    targets = stages()
    for name in ("plain", "with-node"):
        assert [line for line in targets[name] if line.startswith("USER")][-1] == "USER 10001"
    assert targets[""] == ["FROM plain"]
    assert targets["with-node"][0] == "FROM plain AS with-node"
    assert any("/usr/local/bin/node" in line for line in targets["with-node"])


def test_the_image_gets_nothing_but_what_it_needs() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[0] == "*"
    assert "!gateway.yaml" in ignored
    assert not any("private" in line or ".env" in line for line in ignored)


def test_fly_toml_is_valid() -> None:
    jsonschema.validate(fly(), FLY)


@pytest.mark.parametrize(
    ("table", "key", "value"),
    [
        ("http_service", "auto_stop_machine", "stop"),  # a spelling that Fly ignores without a word
        ("http_service", "auto_stop_machines", "suspend"),
        ("", "kill_signal", "SIGKILL"),
        ("", "kill_timeout", 600),
        ("metrics", "path", "metrics"),
    ],
)
def test_the_schema_refuses_what_would_go_wrong(table: str, key: str, value: object) -> None:
    document = fly()
    (document[table] if table else document)[key] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, FLY)


def test_running_streams_may_end_before_the_machine_does() -> None:
    from gateway.cli import serve

    assert fly()["kill_timeout"] > serve.GRACE
    assert fly()["kill_signal"] == "SIGTERM"


def test_ports_and_paths_agree_with_the_image_and_the_example() -> None:
    document = fly()
    service = document["http_service"]
    assert f"EXPOSE {service['internal_port']} {document['metrics']['port']}" in stages()["plain"]
    example = (ROOT / "examples/fly/gateway.yaml").read_text()
    assert f"port: {service['internal_port']}, metrics: {document['metrics']['port']}" in example
    assert [check["path"] for check in service["checks"]] == ["/healthz"]


def check(file: Path, **env: str) -> "subprocess.CompletedProcess[str]":
    program = Path(sys.executable).with_name("gateway")
    return subprocess.run([program, "check", file], env=env, capture_output=True, text=True, check=False)


def test_the_example_for_fly_passes_its_check(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("gateway")
    subprocess.run([program, "token", "pair"], cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "gateway.yaml").write_text((ROOT / "examples/fly/gateway.yaml").read_text())
    secrets = {"ANTHROPIC_API_KEY": "k", "GATEWAY_SEAL_KEY": "s" * 32, "FLY_APP_NAME": "mine"}
    done = check(tmp_path / "gateway.yaml", **secrets)
    assert done.returncode == 0, done.stderr


def test_the_configuration_for_lambda_passes_its_check() -> None:
    done = check(
        ROOT / "infra/lambda/gateway.yaml",
        ANTHROPIC_API_KEY="k",
        GATEWAY_SEAL_KEY="s" * 32,
        GATEWAY_STORE="dynamodb://gateway?region=eu-west-1",
        MCP_SERVER_URL="https://mcp.example.com/mcp",
    )
    assert done.returncode == 0, done.stderr
