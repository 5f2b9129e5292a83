"""Writers and a rotation that are killed at random instants lose nothing that was acknowledged.

Nor does a value of a configuration that the rotation seals anew, or anything whose key it retires.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugins.storage.conftest import PostgresServer

FULL = os.environ.get("HAUBERK_SWEEP") == "full"
KILLS = 500 if FULL else 50
SCRIPT = Path(__file__).with_name("_sweep.py")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where that is to be had: a kill takes nothing from what the kernel was given."""
    memory = Path("/dev/shm")  # noqa: S108
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    made = Path(tempfile.mkdtemp(prefix="hauberk-", dir=memory))
    yield made
    shutil.rmtree(made)


def sweep(folder: Path, kills: int, **environ: str) -> dict[str, int]:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), str(kills), "20"],
        env={**os.environ, **environ}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report: dict[str, int] = json.loads(done.stdout)
    assert report["kills"] == kills
    assert report["writes"] > kills
    assert report["sealed"] > kills // 4
    return report


def test_nothing_acknowledged_is_lost_and_all_is_readable(folder: Path) -> None:
    report = sweep(folder, KILLS)
    # Of a few kills, each may come before who rotates has said what it retired.
    assert report["retired"] or not FULL


def test_neither_in_postgres(folder: Path, postgres: PostgresServer) -> None:
    sweep(folder, KILLS // 2, TEST_URL=postgres.url(postgres.fresh()).reveal_text())
