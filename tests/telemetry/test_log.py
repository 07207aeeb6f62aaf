"""Lines of the access log on their way to a descriptor."""

from __future__ import annotations

import asyncio
import os
import select

import orjson

from gateway.telemetry.log import FULL, LineWriter, encode


def read(fd: int) -> list[bytes]:
    return os.read(fd, 1 << 16).splitlines(keepends=True)


async def test_lines_that_come_together_are_written_together_and_soon() -> None:
    source, target = os.pipe()
    writer = LineWriter(target, linger=0.001)
    for number in range(5):
        writer.write({"n": number})
    assert await asyncio.to_thread(select.select, [source], [], [], 5) == ([source], [], [])
    assert [orjson.loads(line)["n"] for line in read(source)] == [0, 1, 2, 3, 4]
    os.close(source)
    os.close(target)


async def test_what_waits_at_the_end_is_written_and_what_comes_after_it_at_once() -> None:
    source, target = os.pipe()
    writer = LineWriter(target, linger=60)
    writer.write({"n": 1})
    writer.close()
    writer.write({"n": 2})
    assert read(source) == [b'{"n":1}\n', b'{"n":2}\n']
    os.close(source)
    os.close(target)


async def test_many_lines_do_not_wait() -> None:
    source, target = os.pipe()
    writer = LineWriter(target, linger=60)
    for number in range(FULL):
        writer.write({"n": number})
    assert len(read(source)) == FULL
    os.close(source)
    os.close(target)


def test_without_a_loop_a_line_is_written_at_once() -> None:
    source, target = os.pipe()
    LineWriter(target).write({"n": 1})
    assert read(source) == [b'{"n":1}\n']
    LineWriter(target, linger=0).write({"n": 2})
    assert read(source) == [b'{"n":2}\n']
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
    assert encode([{"a": "é\x9b\u2028\x7f\n"}]) == '{"a":"é\\u009b\\u2028\\u007f\\n"}\n'.encode()


def test_half_a_pair_of_surrogates_costs_no_line() -> None:
    assert encode([{"a": "\ud800"}, {"b": 1}]) == b'{"a": "\\ud800"}\n{"b": 1}\n'
