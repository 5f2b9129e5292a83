"""A configuration with a state folder of its own, and its command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.ran import Ran

from hauberk.cli.main import main

Run = Callable[..., Ran]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HALT_K", "k")
    path = tmp_path / "hauberk.yml"
    path.write_text(
        "plugins: [killswitch, policy, bots, throttle, signing]\n"
        "accounts: {main: {venue: binance, key: 'env:HALT_K', secret: 'env:HALT_K'}}\n"
    )
    return path


@pytest.fixture
def run(config: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command, given by its words."""

    def typed(*words: str) -> Ran:
        status = main(["--config", str(config), *words])
        told = capsys.readouterr()
        return Ran(status, told.out, told.err)

    return typed
