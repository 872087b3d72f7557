"""Runs `loadsim run` against the sink or another peer, as a user would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.peers import start

SCENARIOS = Path(__file__).parent / "scenarios"


@dataclass(frozen=True)
class Ran:
    """What a run left: its summary, the sink's record, and when the command was started (since 1970)."""

    summary: dict[str, Any]
    record: dict[str, Any]
    started_at: float


def run(
    scenario: str,
    *options: str,
    core: int | None = None,
    peer: str = "sink",
    server: tuple[str, ...] = (),
) -> Ran:
    """Run a scenario of this folder against a new *peer*; on *core* alone where the system can pin."""
    pin = ["taskset", "-c", str(core)] if core is not None and shutil.which("taskset") else []
    with start(peer, "--lifetime", "600", *server) as started, tempfile.TemporaryDirectory() as results:
        command = [*pin, sys.executable, "-m", "loadsim.cli", "run", str(SCENARIOS / scenario), "--json", "-q"]
        environment = {**os.environ, "CSMS_URL": started.url}
        started_at = time.time()
        done = subprocess.run(
            [*command, "--results", results, *options], env=environment, capture_output=True, text=True, check=False
        )
        if not done.stdout:
            raise RuntimeError(f"exit code {done.returncode}: {done.stderr}")
        return Ran(json.loads(done.stdout), started.finish(), started_at)
