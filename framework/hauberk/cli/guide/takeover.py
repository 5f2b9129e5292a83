"""Taking over what the guide's code left: comparing it with what is there, then writing.

Nothing is written unless all of it can be; what is there already is compared, so that doing it
again changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from attrs import define, field, frozen

from hauberk.cli.guide.leftovers import Found, Record, Unreadable, User, Values
from hauberk.cli.guide.trail import Trail
from hauberk.errors import HauberkError
from hauberk.files import read_private, write_private
from hauberk.keypath import path_text
from hauberk.ports import Store, Vault
from hauberk.sealed import Sealed
from hauberk.secret import Secret
from hauberk.yamledit import put, read_document, value_at


class State(StrEnum):
    """What is to become of one thing, or has become."""

    #: It is not there yet.
    ABSENT = "to be taken over"
    #: It was written, and read back.
    DONE = "taken over"
    #: It was there already.
    THERE = "there already"
    #: Something else stands where it belongs.
    DIFFERS = "something else is there"
    #: The old file cannot be read.
    UNREADABLE = "unreadable"


@frozen
class Row:
    """One line of the report.

    Attributes:
        file: The old file.
        became: What it is here, for example `vault:binance/api_key`.
        state: How that stands.
        why: What is in the way; empty where nothing is.
    """

    file: Path
    became: str
    state: State
    why: str = ""


class Users(Protocol):
    """Where users are kept."""

    def shown(self, user: User) -> str:
        """Return the name that a user has here."""

    def state(self, user: User) -> tuple[State, str]:
        """Say whether a user is there, and what is in the way of adding it."""

    def add(self, user: User) -> None:
        """Add a user."""


class Trails(Protocol):
    """Where what happened is recorded."""

    def state(self, trail: Trail) -> tuple[State, str]:
        """Say whether all lines are there, and what is in the way."""

    def add(self, trail: Trail) -> None:
        """Record what is not there yet."""


@define(eq=False)
class Takeover:
    """Compares and writes.

    Attributes:
        keys: The sealed records that accounts refer to.
        users: The users, where there is a plugin that keeps them.
        vault: Seals values of configurations.
        config: Where the configuration with sealed values is to be.
        trails: What records what happened, where there is something.
    """

    keys: Store
    users: Users | None
    vault: Vault
    config: Path
    trails: Trails | None = None
    _taken: dict[str, Path] = field(factory=dict, init=False)

    def compare(self, found: Iterable[Found]) -> list[Row]:
        """Say of each thing how it stands; change nothing."""
        self._taken.clear()
        return [self._compared(one) for one in found]

    def write(self, found: Iterable[Found]) -> None:
        """Write what is not there yet. Stopped anywhere, it may be done again.

        Raises:
            HauberkError: Something cannot be written.
            OSError: The same, of the configuration.
        """
        absent = [one for one in found if self._compared_anew(one).state is State.ABSENT]
        for user in absent:
            if isinstance(user, User) and self.users is not None:
                self.users.add(user)
        records = [one for one in absent if isinstance(one, Record)]
        if records:
            with self.keys.transaction() as store:
                for record in records:
                    # Version 0: whatever came there meanwhile is not replaced.
                    store.put(record.name, record.value.reveal(), version=0)
        for one in absent:
            if isinstance(one, Values):
                text = self._sealed(one)
                write_private(self.config, text.encode(), replace=False, shared=True)
            if isinstance(one, Trail) and self.trails is not None:
                self.trails.add(one)

    def _compared_anew(self, one: Found) -> Row:
        self._taken.clear()
        return self._compared(one)

    def _compared(self, one: Found) -> Row:
        if isinstance(one, Unreadable):
            return Row(one.file, "", State.UNREADABLE, one.why)
        if isinstance(one, Record):
            became, judge = f"vault:{one.name}", lambda: self._record(one)
        elif isinstance(one, User):
            name = one.name if self.users is None else self.users.shown(one)
            became, judge = f"user {name}", lambda: self._user(one)
        elif isinstance(one, Trail):
            became, judge = f"{one.count} audit records, unproven", lambda: self._trail(one)
        else:
            became, judge = str(self.config), lambda: self._values(one)
        return self._judged(one.file, became, judge)

    def _judged(self, file: Path, became: str, judge: Callable[[], tuple[State, str]]) -> Row:
        other = self._taken.setdefault(became, file)
        if other != file:
            return Row(file, became, State.DIFFERS, f"{other} becomes the same")
        state, why = judge()
        return Row(file, became, state, why)

    def _record(self, record: Record) -> tuple[State, str]:
        stands = self.keys.get(record.name)
        if stands is None:
            return State.ABSENT, ""
        if Secret(stands.value) == record.value:
            return State.THERE, ""
        return State.DIFFERS, f"look at it, then: hauberk vault delete {record.name}"

    def _user(self, user: User) -> tuple[State, str]:
        if self.users is None:
            return State.DIFFERS, "no plugin keeps users: add auth to `plugins:`"
        return self.users.state(user)

    def _trail(self, trail: Trail) -> tuple[State, str]:
        if self.trails is None:
            return State.DIFFERS, "nothing records what happened: add audit to `plugins:`"
        return self.trails.state(trail)

    def _values(self, values: Values) -> tuple[State, str]:
        try:
            content = read_private(self.config)
        except FileNotFoundError:
            return State.ABSENT, ""
        if self._is_same(content, values):
            return State.THERE, ""
        return State.DIFFERS, "look at it, then move it away"

    def _is_same(self, content: bytes, values: Values) -> bool:
        try:
            stands = read_document(content, str(self.config)).data
            if any(self._opened(value_at(stands, at)) != value
                   for at, value in values.sealed.items()):  # fmt: skip
                return False
        except HauberkError:
            return False
        before = read_document(values.text.encode(), str(values.file)).data
        return _without(stands, values) == _without(before, values)

    def _opened(self, value: Any) -> Secret | None:
        if not isinstance(value, Sealed):
            return None
        return self.vault.open(value.path, value.blob)

    def _sealed(self, values: Values) -> str:
        """Return the old text with a sealed value in the place of each token."""
        text = values.text
        for at, value in values.sealed.items():
            name = path_text(at)
            sealed = Sealed(name, self.vault.seal(name, value.reveal()))
            text = put(text, str(values.file), at, sealed).text
        return text


def _without(data: Any, values: Values) -> dict[tuple[str | int, ...], Any]:
    """Flatten data, leaving out what is sealed."""
    return {at: item for at, item in _leaves(data, ()) if at not in values.sealed}


def _leaves(data: Any, at: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    yield at, type(data) if isinstance(data, dict | list) else data
    items = enumerate(data) if isinstance(data, list) else ()
    for key, item in data.items() if isinstance(data, dict) else items:
        yield from _leaves(item, (*at, key))
