"""Writers of one log that are killed at random instants lose nothing that was acknowledged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

FULL = os.environ.get("HAUBERK_SWEEP") == "full"
KILLS = 500 if FULL else 50
SCRIPT = Path(__file__).with_name("_sweep.py")


def test_every_acknowledged_record_is_present_and_provable(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path / "audit"), str(KILLS), "20"],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["kills"] == KILLS
    assert report["said"] > KILLS
    assert report["files"] > 1
