"""Python that a file names and that stands beside it: the guard's plug-ins."""

from __future__ import annotations

import sys
from pathlib import Path


def importable(folder: Path) -> None:
    """Last in line: nothing beside the file can stand in for a module that is installed."""
    place = str(folder.resolve())
    if place not in sys.path:
        sys.path.append(place)
