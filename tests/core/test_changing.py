"""A running gateway takes up a changed configuration."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.app import Gateway, Reloader, Running
from gateway.types import Receive, Scope, Send
from tests.driver import Driver


def write(file: Path, text: str) -> None:
    file.write_text(text)


def saying(text: str, *files: Path) -> Running:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": text.encode()})

    return Running(app, files)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "gateway.yaml"
    file.write_text("one")
    return file


async def test_a_file_that_changes_while_its_last_change_is_taken_up_is_read_again(file: Path) -> None:
    gateway = Gateway(saying("one", file))

    async def rebuild() -> Running:
        read = await asyncio.to_thread(file.read_text)
        write(file, "three, for good")  # before what was read is in use
        return saying(read, file)

    reloader = Reloader(gateway, rebuild)
    write(file, "two")
    said = []
    for _ in range(3):
        await reloader.look()
        said.append((await Driver(gateway).get("/")).body.decode())
    assert said == ["two", "three, for good", "three, for good"]


async def test_a_file_that_a_change_brings_along_is_watched_from_then_on(file: Path) -> None:
    other = file.with_name("other.yaml")
    write(other, "one")
    gateway = Gateway(saying("alone", file))

    async def rebuild() -> Running:
        return saying(f"with {await asyncio.to_thread(other.read_text)}", file, other)

    reloader = Reloader(gateway, rebuild)
    for changed, said in ((file, "with one"), (other, "with changed")):
        write(changed, "changed")
        await reloader.look()
        assert (await Driver(gateway).get("/")).body.decode() == said


async def test_a_configuration_that_cannot_be_opened_is_closed_and_the_old_one_stays(file: Path) -> None:
    told = []

    async def opened() -> None:
        raise OSError("no such program")

    async def closed() -> None:
        told.append("closed")

    async def rebuild() -> Running:
        new = saying("new", file)
        new.open, new.close = opened, closed
        return new

    gateway = Gateway(saying("old", file))
    reloader = Reloader(gateway, rebuild)
    write(file, "changed")
    await reloader.look()
    assert told == ["closed"]
    assert (await Driver(gateway).get("/")).body == b"old"
