"""The math server of the demo: `add` and `multiply`."""

from __future__ import annotations

from gateway.demo.speaking import SpeakingApp, Tool


def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


def multiply(a: int, b: int) -> int:
    """Multiplies two numbers."""
    return a * b


def app() -> SpeakingApp:
    return SpeakingApp(
        "Math-Service", [Tool(add, "Add", read_only=True), Tool(multiply, "Multiply", read_only=True)]
    )
