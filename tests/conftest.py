"""What every test may use: an ASGI driver that records each message as it is sent."""

from __future__ import annotations

import pytest

from tests.driver import Driver


@pytest.fixture
def drive() -> type[Driver]:
    return Driver
