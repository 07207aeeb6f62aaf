"""CEL's official conformance cases, as far as they apply: no protobuf messages, no containers."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import ConfigError
from gateway.policy import cel_cpp, cel_python
from gateway.policy.errors import CelError
from tests.policy.textproto import Message, parse

VECTORS = Path(__file__).parents[1] / "vectors" / "cel-spec"
FOREIGN = ("TestAllTypes", "google.protobuf")

# Where cel-python differs from the specification, and what it does; none of it can be reached by a rule about a call.
DEVIATIONS = {
    "lists/index/zero_based_double": "no index by a double",
    "comparisons/eq_literal/not_eq_double_nan": "0.0/0.0 is infinite",
    "comparisons/ne_literal/not_ne_double_nan": "0.0/0.0 is infinite",
    "comparisons/ne_literal/ne_double_nan": "0.0/0.0 is infinite",
    "comparisons/eq_literal/not_eq_dyn_timestamp_null": "no timestamp of an integer",
    "comparisons/bound/bytes_gt_left_false": "no bytes from outside",
    "timestamps/timestamp_conversions/toString_timestamp_nanos": "microseconds",
    "timestamps/timestamp_range/add_duration_nanos_over": "microseconds",
    "timestamps/timestamp_range/add_duration_nanos_under": "microseconds",
    "timestamps/timestamp_range/sub_time_duration_over": "no range of durations",
    "timestamps/timestamp_range/sub_time_duration_under": "no range of durations",
    "timestamps/duration_range/sub_under": "no range of durations",
    "timestamps/duration_range/sub_over": "no range of durations",
}  # fmt: skip
# Ours: an unknown function is a mistake in the file, not an error at run time that `||` could hide.
OURS = {"basic/functions/unbound_is_runtime_error"}


class Case:
    def __init__(self, name: str, test: Message) -> None:
        members = dict(test)
        self.name = name
        self.text = members["expr"].decode()
        self.fails = "eval_error" in members
        self.expected = _value(members["value"]) if "value" in members else True
        self.bindings = {dict(each)["key"].decode(): _value(dict(dict(each)["value"])["value"]) for name, each in test if name == "bindings"}  # fmt: skip

    def outcome(self, engine: str) -> Any:
        try:
            program = cel_python.program(self.text) if engine == "cel-python" else cel_cpp.program(self.text, list(self.bindings))  # fmt: skip
            return program.run(self.bindings)
        except (CelError, ConfigError):
            return CelError

    def agrees(self, engine: str) -> bool:
        found = self.outcome(engine)
        if self.fails or found is CelError:
            return self.fails and found is CelError
        both_nan = isinstance(found, float) and isinstance(self.expected, float) and math.isnan(found) and math.isnan(self.expected)  # fmt: skip
        return both_nan or (type(found) is type(self.expected) and found == self.expected)


def _value(message: Message) -> Any:
    ((kind, value),) = message
    match kind:
        case "bool_value":
            return value == "true"
        case "int64_value" | "uint64_value":
            return int(value, 0)
        case "double_value":
            return float(value.replace("infinity", "inf"))
        case "string_value":
            return value.decode()
        case "bytes_value":
            return value
        case "null_value":
            return None
        case "list_value":
            return [_value(each) for _, each in value]
        case "map_value":
            return {_value(dict(entry)["key"]): _value(dict(entry)["value"]) for _, entry in value}
    raise KeyError(kind)


def cases(path: Path) -> Iterator[Case]:
    for section in (value for name, value in parse(path.read_text()) if name == "section"):
        for test in (value for name, value in section if name == "test"):
            members = dict(test)
            fits = "container" not in members and not any(
                word in members["expr"].decode() for word in FOREIGN
            )
            if fits and "object_value" not in repr(test) and "type_value" not in repr(test):
                yield Case(f"{path.stem}/{dict(section)['name'].decode()}/{members['name'].decode()}", test)


@pytest.mark.parametrize("engine", ["cel-python", "cel-cpp"])
@pytest.mark.parametrize("path", sorted(VECTORS.glob("*.textproto")), ids=lambda path: path.stem)
def test_the_official_cases_hold(path: Path, engine: str) -> None:
    found = {case.name for case in cases(path) if not case.agrees(engine)}
    expected = (
        {name for name in DEVIATIONS if name.startswith(path.stem + "/")} if engine == "cel-python" else set()
    )
    if engine == "cel-python":
        expected |= {name for name in OURS if name.startswith(path.stem + "/")}
    assert found == expected


def test_most_of_the_official_cases_apply() -> None:
    assert sum(1 for path in VECTORS.glob("*.textproto") for _ in cases(path)) > 700
