"""The plugin `audit`: records what happened, so that nobody can rewrite it unseen."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen, validators

from hauberk.command import FAIL, OK, WARN, Check, Command
from hauberk.context import Context
from hauberk.errors import ConfigError, HauberkError, safe_text
from hauberk.hooks import Plugin, blocking, hookimpl
from hauberk.keypath import KeyPath
from hauberk.records import Event, Severity
from hauberk.written import Written
from hauberk_plugins.audit.disk import set_aside
from hauberk_plugins.audit.errors import AuditUnwritable
from hauberk_plugins.audit.keybook import KeyBook
from hauberk_plugins.audit.logger import AuditLogger
from hauberk_plugins.audit.merkle import Digests
from hauberk_plugins.audit.record import event_line
from hauberk_plugins.audit.trust import Signed, left
from hauberk_plugins.audit.witness import FileWitness, HttpWitness, Witness, WitnessFailed
from hauberk_plugins.audit.witnesses import Witnesses

log = logging.getLogger("hauberk.audit")

FOLDER: Final = "audit"
#: What changes nothing, or tells the end of what was recorded before it began.
_MAY_WAIT: Final = frozenset(
    {"request.left", "request.denied", "request.abandoned", "request.would_stop", "login.denied"}
)
_READING: Final = frozenset({"read", "public"})
#: How long what may wait does so.
_WAIT_S: Final = 0.1
#: How long a stop waits for what is being written.
_STOP_S: Final = 5.0


@frozen
class AuditConfig:
    """The section `audit` of `hauberk.yml`.

    Attributes:
        max_file_mb: A file of the log that is larger is ended, and the next begun.
        max_file_days: So is one whose first record is older.
        checkpoint_s: How often what was appended is vouched for by a checkpoint.
        witnesses: Where the newest checkpoint is kept besides: `file:PATH`, best on another mount,
            or a URL that takes it by POST.
    """

    max_file_mb: int = field(default=64, validator=[validators.ge(1), validators.le(4_096)])
    max_file_days: float = field(default=30.0, validator=[validators.gt(0), validators.le(36_500)])
    checkpoint_s: float = field(default=60.0, validator=[validators.ge(1), validators.le(86_400)])
    witnesses: tuple[str, ...] = ()


class AuditPlugin(Plugin):
    """Recorder. Needs the grants `record` and, so that something vouches for the log, `sealed`.

    With `transport`, a witness may be a URL.
    """

    interface = (1, 1)
    Config = AuditConfig

    @classmethod
    def config_problems(cls, written: Written) -> Iterator[tuple[KeyPath, str]]:
        """Say which witnesses are none."""
        for index, where in enumerate(_listed(written.section.get("witnesses"))):
            if not isinstance(where, str) or not where.startswith(("file:", "https://", "http://")):
                yield (written.name, "witnesses", index), "a witness is file:PATH or a URL"

    def __init__(self, config: AuditConfig) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._logger: AuditLogger | None = None
        self._stopping = threading.Event()
        self._waiting = threading.Event()
        self._keeper: threading.Thread | None = None

    @hookimpl
    def on_start(self, context: Context) -> None:
        """Open the log where a bot runs; a command opens it when there is something to record.

        Raises:
            AuditError, NoteError, WitnessFailed: It is not what it was; the guard does not open.
        """
        self._context = context
        if context.state_dir is None:
            raise ConfigError([context.problem((), "there is no state folder: set `state:`")])
        self.folder = context.state_dir / FOLDER
        self.keys = KeyBook(context.sealed, os.urandom) if context.has("sealed") else None
        self.witnesses = Witnesses(
            [self._witness(where) for where in self._config.witnesses], self._tell
        )
        if context.is_resident:
            self.opened()
            self._keeper = threading.Thread(target=self._keep, name="hauberk-audit", daemon=True)
            self._keeper.start()

    @hookimpl
    def on_stop(self) -> None:
        """Write what waits, vouch for it, close."""
        self._stopping.set()
        self._waiting.set()
        if self._keeper is not None:
            self._keeper.join(_STOP_S)
        with self._lock:
            logger, self._logger = self._logger, None
        if logger is not None:
            with suppress(HauberkError):
                if (signed := logger.seal()) is not None:
                    self.witnesses.give(signed.note)
            logger.close()

    @blocking
    @hookimpl
    def on_event(self, event: Event) -> None:
        """Record it: durably, unless it changes nothing.

        Raises:
            AuditError: It is not in the log; what the event permits is then not given.
        """
        logger, line = self.opened(), event_line(event)
        if event.kind in _MAY_WAIT or _reads(event):
            logger.log_later(line)
            self._waiting.set()
            return
        try:
            logger.log(line)
        except HauberkError:
            if event.permission:
                raise
            logger.log_later(line)  # it has happened: it is written as soon as that can be done
            raise

    @hookimpl
    def on_status(self) -> Mapping[str, Any]:
        """Say how much is recorded, and how much of it is vouched for."""
        logger = self._logger
        if logger is None:
            return {}
        signed = logger.checkpoint
        return {"size": logger.size, "checkpoint": signed.checkpoint.size if signed else None}

    @hookimpl
    def on_doctor(self) -> Sequence[Check]:
        """Look at what vouches for the log; opens nothing, since that writes."""
        if self.keys is None:
            remedy = "list `encryption` and `storage` under `plugins:`"
            return (
                Check("audit", WARN, "no key signs checkpoints: nothing vouches for it", remedy),
            )
        try:
            signed = left(self.folder, self.keys)
        except HauberkError as error:
            return (Check("audit", FAIL, str(error), "hauberk audit verify"),)
        vouched = "no checkpoint yet" if signed is None else f"{signed.checkpoint.size} vouched for"
        checks = [Check("audit", OK, f"{self.folder}: {vouched}")]
        if not self.witnesses.all:
            found = "none: a state folder that is put back to an earlier day is not noticed"
            checks.append(Check("audit witness", OK, found))
        return tuple(checks)

    @hookimpl
    def on_commands(self) -> Sequence[Command]:
        """Contribute `audit show`, `verify`, `export`, `checkpoint` and `rotate-key`."""
        # Late: it brings the command line, which a bot does not need.
        from hauberk_plugins.audit.commands import COMMANDS

        return COMMANDS

    @property
    def digests(self) -> Digests | None:
        """What hashes many records at once: the port `hashes`, where somebody provides it."""
        return self._context.hashes.digests if self._context.has("hashes") else None

    def opened(self) -> AuditLogger:
        """Return the log, open.

        Raises:
            AuditError, NoteError, WitnessFailed: As `on_start`.
        """
        with self._lock:
            if self._logger is None:
                logger = AuditLogger(
                    self.folder,
                    self.keys,
                    self._context.clock.wall_ns,
                    max_bytes=self._config.max_file_mb << 20,
                    max_age_s=self._config.max_file_days * 86_400,
                )
                try:
                    if self.keys is not None:
                        self.witnesses.compare(logger, self.keys)
                except BaseException:
                    logger.close()
                    raise
                self._logger = logger
            return self._logger

    def seal(self) -> Signed | None:
        """Vouch for all there is, and have witnesses hold it.

        Raises:
            AuditError: It cannot be written.
        """
        signed = self.opened().seal()
        if signed is not None:
            self.witnesses.give(signed.note)
        return signed

    def begin(self, reason: str, who: str) -> Path | None:
        """Set the log aside, whatever is wrong with it, and begin another with keys of its own.

        Nothing else may have the log open.

        Args:
            reason: Why; recorded first in the other one, with what vouched for this one.
            who: Who wants it.

        Returns:
            Where the log is now; `None` where none was there.

        Raises:
            HauberkError: It cannot be done; done again, it goes on.
        """
        fields = {"reason": reason, "by": who}
        if self.keys is not None:
            fields |= {"key": str(self.keys.signer(0).verifier), "note": self.keys.remembered()}
        try:
            aside = set_aside(self.folder, self._context.clock.wall_ns())
        except OSError as error:
            why = f"it cannot be set aside: {error.strerror or type(error).__name__}"
            raise AuditUnwritable(self.folder, why, "look at the disk") from error
        fields["aside"] = "" if aside is None else aside.name
        if self.keys is not None:
            self.keys.forget()
        self.opened().log_own("audit.succeeds", fields)
        self.seal()
        return aside

    def _tell(self, error: WitnessFailed) -> None:
        details = {"witness": error.where, "why": error.why}
        self._context.report("A witness does not take checkpoints", Severity.MEDIUM, details)

    def _witness(self, where: str) -> Witness:
        if where.startswith("file:"):
            return FileWitness(self._context.folder / Path(where.removeprefix("file:")))
        if not self._context.has("transport"):
            problem = "a witness that is a URL needs `transport` under `plugins:`, and its grant"
            raise ConfigError([self._context.problem(("witnesses",), problem)])
        return HttpWitness(where, self._context.transport)

    def _keep(self) -> None:
        """On a thread of its own: write what waits, and vouch for what was written."""
        now = self._context.clock.monotonic_ns
        sealed_ns = now()
        every_ns = int(self._config.checkpoint_s * 1e9)
        while True:
            self._waiting.wait(self._config.checkpoint_s)
            if self._stopping.wait(_WAIT_S):
                return
            self._waiting.clear()
            try:
                self.opened().flush()
                if now() - sealed_ns >= every_ns:
                    sealed_ns = now()
                    self.seal()
                    self.opened().rotate()
            except Exception as error:  # it waits on: whoever needs a permission is told why
                log.warning("the audit log takes nothing: %s", safe_text(error))
                self._waiting.set()
                self._stopping.wait(1.0)


def _reads(event: Event) -> bool:
    return event.kind == "request.intent" and event.fields.get("operation") in _READING


def _listed(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()
