"""The simulation's claims, with a fleet small enough for every day. `scripts/simulate_limits` runs a thousand instances."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_the_claims_of_the_simulation_hold() -> None:
    command = [sys.executable, str(ROOT / "scripts/simulate_limits"), "--instances", "200", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    claims = json.loads(done.stdout)["claims"]
    assert [claim for claim, holds in claims.items() if not holds] == []
    assert done.returncode == 0
