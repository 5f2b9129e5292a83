"""A halt by command where neither the store nor the state folder takes its state."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.plugins.killswitch.conftest import Run
from tests.plugins.killswitch.test_halt_and_resume import ACCOUNT, why_not

import hauberk
from hauberk import Guard, StoreError
from hauberk_plugins.killswitch import folder, stored
from hauberk_plugins.killswitch.folder import HALT, StateFolder

COMMANDS = [("halt", "--json"), ("incident", "report", "x", "--severity", "CRITICAL", "--json")]


@pytest.fixture
def bot(config: Path) -> Iterator[Guard]:
    with hauberk.open(config) as guard:
        yield guard


@pytest.fixture
def halt_file(config: Path) -> Path:
    return config.parent / "hauberk-state" / HALT


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    """No block is left: an empty file still has room."""

    def no_room(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def no_store(*_: object, **__: object) -> None:
        raise StoreError("database or disk is full")

    monkeypatch.setattr(folder, "write_private", no_room)
    monkeypatch.setattr(stored, "raise_to", no_store)


@pytest.fixture
def read_only(full: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even that."""

    def refused(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(StateFolder, "drop", refused)


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("words", COMMANDS)
def test_on_a_full_disk_an_empty_file_halts_every_process(
    bot: Guard, halt_file: Path, run: Run, words: tuple[str, ...]
) -> None:
    halted = run(*words)
    assert halted.status == 0
    assert halt_file.read_bytes() == b""
    assert str(halt_file) in halted.out
    assert why_not(bot)


@pytest.mark.usefixtures("read_only")
@pytest.mark.parametrize("words", COMMANDS)
def test_where_not_even_that_can_be_written_it_is_not_called_halted(
    bot: Guard, halt_file: Path, run: Run, words: tuple[str, ...]
) -> None:
    halted = run(*words)
    assert halted.status == 1
    failed = halted.document["outcomes"][-1]
    assert not failed["ok"]
    assert "nothing outside this process is halted" in failed["did"]
    assert "stop the bots themselves" in failed["did"]
    assert f"touch {halt_file}" in failed["did"]
    assert not why_not(bot, ACCOUNT)


@pytest.mark.usefixtures("read_only")
def test_in_words_too(run: Run, halt_file: Path) -> None:
    halted = run("halt")
    assert halted.status == 1
    assert halted.out.startswith("NOT halted: ")
    assert f"touch {halt_file}" in halted.out


@pytest.mark.usefixtures("full")
def test_a_restriction_that_reaches_nobody_is_not_called_one_and_stops_no_cancels(
    run: Run, halt_file: Path
) -> None:
    restricted = run("incident", "report", "x", "--severity", "HIGH", "--json")
    assert restricted.status == 1
    assert "nothing outside this process is restricted" in restricted.out
    assert not halt_file.exists()


@pytest.mark.usefixtures("full")
def test_what_stops_nothing_needs_no_reach(run: Run, halt_file: Path) -> None:
    assert run("incident", "report", "x", "--severity", "LOW").status == 0
    assert not halt_file.exists()


def test_where_the_state_is_kept_no_file_is_left(run: Run, halt_file: Path) -> None:
    assert run("halt", "--json").document["file"] is None
    assert run("halt", "--json").document["file"] is None
    assert not halt_file.exists()
