"""What `sam build` makes, made once a run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from scripts.lambda_emulator import ROOT, TOOLS

SAM = TOOLS / "sam/bin/sam"


def sam(*words: str | Path, env: dict[str, str] | None = None) -> str:
    assert SAM.exists(), f"{SAM} is missing: scripts/install-tools gets it"
    own = {"SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test",
           "AWS_SECRET_ACCESS_KEY": "test"}  # fmt: skip
    done = subprocess.run([SAM, *words], cwd=ROOT, env={**os.environ, **own, **(env or {})}, capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def built(folder: Path, *functions: str, architecture: str = "") -> Path:
    """The folder that holds the template and, under its name, each function's package."""
    chosen = ["--parameter-overrides", f"Architecture={architecture}"] if architecture else []
    sam("build", *functions, "--build-dir", folder, *chosen)
    return folder
