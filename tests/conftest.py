"""What every test may use: an ASGI driver that records each message as it is sent."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.driver import Driver

# The same examples every time: a run says something of the change, not of the dice.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")


@pytest.fixture
def drive() -> type[Driver]:
    return Driver
