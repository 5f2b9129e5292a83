"""A bot, its state and all that belongs to it below one folder, with a mark in every secret."""

from __future__ import annotations

import io
import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyotp
import pytest
from attrs import define, field, frozen
from canary_disk import HOMES
from canary_marks import Marks
from canary_watch import Logged, Watcher, environment, files_below, told

from hauberk.cli import main as module
from hauberk.command import session_path

#: What is made by a command and printed once, by its kind.
ONCE = {
    "recovery code": re.compile(r"\b(?:[A-Z2-7]{4}-){3}[A-Z2-7]{4}\b"),
    "token of": re.compile(r"hbt_[A-Za-z0-9_-]{54}"),
}


@frozen
class Ran:
    """What came of a command line."""

    status: int
    out: str
    err: str
    leaks: tuple[str, ...]

    @property
    def text(self) -> str:
        return self.out + self.err


class Terminal(io.StringIO):
    """Somebody sits there."""

    def isatty(self) -> bool:
        return True


#: What is typed at a prompt: text, what makes it of what is on the screen, or an exception.
Typed = str | Callable[[str], str] | BaseException


@define
class World:
    """All of it.

    Attributes:
        root: The folder.
        marks: The secrets.
        uri: What was told to alice's authenticator.
        recovery: Recovery codes of hers that are not used yet.
        plain: Files in which any secret may stand.
    """

    root: Path
    marks: Marks
    uri: str = ""
    recovery: list[str] = field(factory=list)
    plain: set[Path] = field(factory=set)

    @property
    def config(self) -> Path:
        return self.root / "bot" / "hauberk.yml"

    @property
    def state(self) -> Path:
        return self.root / "bot" / "hauberk-state"

    @property
    def session(self) -> Path:
        return session_path(self.config)

    def enter(self, patch: pytest.MonkeyPatch) -> None:
        """Have the process look into this world for everything."""
        for variable, folder in HOMES.items():
            patch.setenv(variable, str(self.root / folder))
        patch.setattr(tempfile, "tempdir", None)
        patch.setenv("HAUBERK_CONFIG", str(self.config))
        patch.setenv("ENV_KEY", self.marks.mark("env key"))
        patch.setenv("ENV_SECRET", self.marks.awkward("env secret"))
        patch.setenv("PASSPHRASE", self.marks.awkward("passphrase"))
        patch.syspath_prepend(str(self.root / "site"))
        patch.chdir(self.root / "bot")

    def live(self) -> None:
        """Do what an operator does on the first day."""
        marks = self.marks
        for what in ("key", "secret", "spare"):
            make = marks.mark if what == "key" else marks.awkward
            self.do("vault", "put", f"main/{what}", types=[make(f"vault {what}")])
        url = f"json://127.0.0.1:9/{marks.mark('URL in the vault')}"
        self.do("notify", "put", "mail", types=[url])
        self.do("config", "set", "alerts.token", "--sealed", types=[marks.awkward("sealed value")])
        password = marks.awkward("password of alice")
        self.do("user", "add", "alice", "--role", "admin", types=[password] * 2)
        self.do("login", "alice", types=[password, ""])
        self.learn()
        ran = self.do("user", "second-factor", "alice", types=[self.code], is_seen=True)
        self.recovery = ran.document["recovery_codes"]
        self.log_in()
        self.do(
            "user", "add", "bob", "--role", "trader", types=[marks.awkward("password of bob")] * 2
        )
        self.do("token", "create", "maker", "--account", "main", "--allow", "read", "--days", "9")
        self._learn_what_was_drawn()

    def log_in(self) -> None:
        password = self.marks.values["password of alice"].decode()
        self.do("login", "alice", types=[password, self.recovery.pop()])
        self.learn()

    def code(self, screen: str) -> str:
        """What an authenticator shows once it has read the screen."""
        if found := re.search(r"otpauth://\S+", screen):
            self.uri = found[0]
        totp = pyotp.parse_uri(self.uri)
        self.marks.add("TOTP secret", totp.secret)
        return str(totp.now())

    def do(self, *words: str, types: Sequence[Typed] = (), is_seen: bool = False) -> Any:
        ran = self.run(*words, "--json", types=types, is_seen=is_seen, shows=("",))
        assert ran.status == 0, ran.err
        return Done(json.loads(ran.out))

    def look(self) -> tuple[str, ...]:
        """Look into every file there is; return what was found."""
        watcher = Watcher(self.marks, self.root, self.may_hold)
        watcher.look_at_files()
        return tuple(watcher.leaks)

    def learn(self, printed: str = "") -> None:
        """Note as secrets what commands have made, keep in files of their own, or print once."""
        for kind, pattern in ONCE.items():
            for found in pattern.findall(printed):
                self.marks.add(f"{kind} {found[:6]}", found)
        for path, name in ((self.root / "config", "made key"), (self.root / "run", "session"),
                           (self.root / "state", "device")):  # fmt: skip
            for file in files_below(path):
                with suppress(OSError):
                    content = file.read_bytes().strip()
                    if content not in (b"", *self.marks.values.values()):
                        self.marks.add(f"{name} {file.name} {len(self.marks.values)}", content)

    def _learn_what_was_drawn(self) -> None:
        """Note as secrets the data keys, and what plugins keep sealed of their own making."""
        from hauberk.command import started

        with started(self.config, "auth") as run:
            ring = run.provider("vault")._ring
            ring.unlock()
            held = ring._held
            for key in held.file.keys:
                self.marks.add(
                    f"data key {key.number}", held.kek._unwrapped(key.number, key.wrapped)
                )
            sealed = run.provider("sealed")
            records = {
                name: record
                # What a log is called stands in it.
                for plugin, prefix in (("auth", ""), ("audit", "key/"))
                for name, record in sealed.scoped(plugin).scan(prefix)
            }
        names = " ".join(records)  # which are kept in clear
        for name, record in records.items():
            for number, secret in enumerate(_long(record.value)):
                if isinstance(secret, bytes) or secret not in names:
                    self.marks.add(f"sealed {name} {number}", secret)

    def may_hold(self, path: Path) -> set[str]:
        """Which secrets may stand in a file: those that whoever keeps it has put there."""
        name = str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)
        every = self.marks.values
        if path.name.startswith(".hauberk-"):  # a temporary file: a killed process would leave it
            return set()
        if path in self.plain:
            return set(every)
        if name.startswith("tmp/hauberk-demo-") and path.name == ".env":
            return {secret for secret in every if secret.startswith("demo ")}
        if name == "bot/.env":
            return {"dotenv key", "dotenv secret"}
        if name.startswith("keys/"):
            return {f"{path.stem} key"}
        if name == "old/.encryption_key":
            return {"guide's key"}
        for folder, kind in (("run/", "session"), ("state/", "device"), ("config/", "made key")):
            if name.startswith(folder):
                return {secret for secret in every if secret.startswith(f"{kind} ")}
        return set()

    def run(
        self,
        *words: str,
        types: Sequence[Typed] = (),
        piped: bytes | None = None,
        is_seen: bool = False,
        shows: tuple[str, ...] = (),
        raises: bool = True,
    ) -> Ran:
        """Run a command line, and look at everything meanwhile and afterwards.

        Args:
            words: The words.
            types: What is typed at the prompts.
            piped: What comes in on stdin, where nobody types.
            is_seen: Whether a person sees what is written on stderr.
            shows: The secrets that it may print: those whose names begin so.
            raises: Whether to look into the exception that ends it.
        """
        out, err = io.StringIO(), Terminal() if is_seen else io.StringIO()
        errors: list[BaseException] = []
        watcher, logged = Watcher(self.marks, self.root, self.may_hold), Logged()
        failure = module.failure
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stdin", _stdin(types, piped))
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            patch.setattr("getpass.getpass", _typist(types, err))
            patch.setattr(
                module, "failure", lambda error: (errors.append(error), failure(error))[1]
            )
            with watcher.watching(), logged.listening():
                status = module.main(list(words))
        self.learn(out.getvalue())
        may_print = {name for name in self.marks.values if name.startswith(shows)}
        watcher.see(out.getvalue(), "stdout", may_print)
        watcher.see(err.getvalue(), "stderr", may_print)
        watcher.see_all(logged.texts, "the log")
        for argv, environ in watcher.children:
            watcher.see("\n".join(argv), "the arguments of a child")
            watcher.see(environment(environ), "the environment of a child", {"passphrase"})
        for error in errors if raises else ():
            # What was typed as an argument is in the process list, whatever a frame holds.
            watcher.see_all(told(error), f"a traceback ({type(error).__name__})", {"astray"})
        leaks = [*watcher.leaks, *(f"written outside: {name}" for name in watcher.outside)]
        errors.clear()
        return Ran(status, out.getvalue(), err.getvalue(), tuple(dict.fromkeys(leaks)))


@frozen
class Done:
    """A command that was done."""

    document: Any


def _stdin(types: Sequence[Typed], piped: bytes | None) -> Any:
    if piped is None and types:
        return Terminal()
    return io.TextIOWrapper(io.BytesIO(piped or b""))


def _typist(types: Sequence[Typed], screen: io.StringIO) -> Callable[[str], str]:
    left = iter(types)

    def ask(prompt: str) -> str:
        answer = next(left, "")
        if isinstance(answer, BaseException):
            raise answer
        return answer(screen.getvalue()) if callable(answer) else answer

    return ask


def _long(value: bytes) -> Iterator[str | bytes]:
    """What is long in a record, however it is nested: keys, hashes, secrets."""
    try:
        waiting = [json.loads(value)]
    except ValueError:
        yield value
        return
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
        # What is kept of a token is a digest that nobody can undo.
        elif isinstance(one, str) and len(one) >= 26 and not re.fullmatch("[0-9a-f-]+", one):
            yield one
