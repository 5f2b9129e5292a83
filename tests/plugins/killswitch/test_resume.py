"""`hauberk resume`: the only way back from a halt that outlasts a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

import hauberk
from hauberk import Request, Severity
from hauberk.cli.main import main

ACCOUNT = Request("GET", "https://api.binance.com/api/v3/account")
REASON = ["--reason", "the key was replaced"]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RESUME_K", "k")
    path = tmp_path / "hauberk.yml"
    path.write_text(
        "plugins: [killswitch, policy, bots, throttle, signing]\n"
        "accounts: {main: {venue: binance, key: 'env:RESUME_K', secret: 'env:RESUME_K'}}\n"
    )
    return path


def resume(config: Path, *words: str) -> int:
    return main(["--config", str(config), "resume", *words])


def halted(config: Path) -> None:
    with hauberk.open(config) as guard:
        guard.report("key seen in public", Severity.CRITICAL)


def may(config: Path) -> bool:
    with hauberk.open(config) as guard:
        try:
            guard.clear(ACCOUNT)
        except hauberk.Denied as denied:
            return denied.plugin != "killswitch"
    return True


def test_a_halt_outlasts_a_restart_until_it_is_lifted(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    halted(config)
    assert not may(config)
    assert resume(config, *REASON) == 0
    assert "lifted: halted since 'key seen in public'" in capsys.readouterr().out
    assert may(config)


def test_a_state_that_cannot_be_read_is_lifted_too(config: Path) -> None:
    from hauberk.command import started

    halted(config)
    with started(config, "killswitch") as running:
        running.provider("store").scoped("killswitch").put("state", b"torn")
    assert not may(config)
    assert resume(config, *REASON) == 0
    assert may(config)


def test_where_nothing_is_stored_it_says_so(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert resume(config, *REASON) == 0
    assert "nothing is stored" in capsys.readouterr().out


@pytest.mark.parametrize("words", [(), ("--reason", " ")])
def test_without_a_reason_nothing_is_lifted(config: Path, words: tuple[str, ...]) -> None:
    halted(config)
    assert resume(config, *words) == 2
    assert not may(config)
