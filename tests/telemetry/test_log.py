"""Lines of the access log on their way to a descriptor."""

from __future__ import annotations

import asyncio
import os

import orjson

from gateway.telemetry.log import LineWriter, encode


def read(fd: int) -> list[bytes]:
    return os.read(fd, 1 << 16).splitlines(keepends=True)


async def test_the_lines_of_one_turn_are_written_together_and_soon() -> None:
    source, target = os.pipe()
    writer = LineWriter(target)
    for number in range(5):
        writer.write({"n": number})
    await asyncio.sleep(0)
    assert [orjson.loads(line)["n"] for line in read(source)] == [0, 1, 2, 3, 4]
    os.close(source)
    os.close(target)


def test_without_a_loop_a_line_is_written_at_once() -> None:
    source, target = os.pipe()
    LineWriter(target).write({"n": 1})
    assert read(source) == [b'{"n":1}\n']
    os.close(source)
    os.close(target)


def test_a_descriptor_that_is_gone_costs_the_lines_and_nothing_else() -> None:
    source, target = os.pipe()
    os.close(source)
    writer = LineWriter(target)
    writer.write({"n": 1})
    assert writer.dropped == 1
    os.close(target)


def test_control_signs_are_escaped_and_ordinary_text_is_not() -> None:
    assert encode({"a": "é\x9b\u2028\x7f\n"}) == '{"a":"é\\u009b\\u2028\\u007f\\n"}\n'.encode()
