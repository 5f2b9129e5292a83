"""Examples that are distributions: built, and installed where nothing else is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def python(*args: str | Path, cwd: Path, **environment: str) -> str:
    """Run Python; return what it printed."""
    done = subprocess.run(
        [sys.executable, *args],
        cwd=cwd,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def install(name: str, folder: Path) -> Path:
    """Return the folder into which one is installed as a wheel, and not beside Hauberk."""
    source, wheels, installed = folder / "source", folder / "wheels", folder / "site"
    ignored = shutil.ignore_patterns(".*", "build", "dist")
    shutil.copytree(EXAMPLES / name, source, ignore=ignored)
    python("-m", "build", "--wheel", "--no-isolation", "--outdir", wheels, cwd=source)
    (wheel,) = wheels.iterdir()
    python(
        *("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", installed),
        wheel,
        cwd=folder,
        PIP_DISABLE_PIP_VERSION_CHECK="1",
    )
    return installed
