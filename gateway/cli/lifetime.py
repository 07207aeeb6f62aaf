"""How long something lasts, as it is typed: `90s`, `30m`, `2h`, `7d`; or the moment it ends: `2027-01-31`."""

from __future__ import annotations

import datetime
import re

from gateway.errors import ConfigError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text.strip())
    if found is None or float(found[1]) <= 0:
        raise ConfigError(f"{text!r} is no duration; write 90s, 30m, 2h, 7d or 4w")
    return float(found[1]) * _UNITS[found[2]]


def end(text: str, now: float) -> float:
    """Seconds since the epoch."""
    if re.fullmatch(r"[\d.]+[smhdw]", text.strip()):
        return now + seconds(text)
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{text!r} is neither a duration (2h, 7d) nor a date (2027-01-31, 2027-01-31T12:00:00Z)") from None  # fmt: skip
    ends = (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()
    if ends <= now:
        raise ConfigError(f"{text} is over already")
    return ends


def shown(moment: float | None) -> str:
    if moment is None:
        return "never"
    return datetime.datetime.fromtimestamp(moment, datetime.UTC).strftime("%Y-%m-%d %H:%M:%SZ")
