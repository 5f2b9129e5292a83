"""One login: every guard judges, the recorders are told, and who was asked learns how it ended.

Rule 1: an identity counts only if no later guard denies and every required recorder has recorded
it. Rule 2: so the authenticator is told last whether it does, and what it then cannot do, such as
begin a session, denies after all. Rule 3: each guard that was asked is told the end once.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from hauberk import dispatch
from hauberk.answers import HookFailed
from hauberk.dispatch import Interrupts
from hauberk.errors import Denied
from hauberk.frames import Frame
from hauberk.kernel import Kernel
from hauberk.records import Event, Identity, Login
from hauberk.registry import Impl
from hauberk.verdicts import Deny

log: Final = logging.getLogger("hauberk")


def log_in(kernel: Kernel, login: Login) -> Identity:
    """Have a login judged, and bring it to its end.

    Args:
        kernel: Whose guards and recorders.
        login: Stamped with its id.

    Raises:
        Denied: It may not proceed.
        KeyboardInterrupt: A hook was interrupted; raised when all have been told.
    """
    return _Attempt(kernel, login).run()


class _Attempt:
    """One login under way."""

    def __init__(self, kernel: Kernel, login: Login) -> None:
        self._kernel = kernel
        self._login = login
        self._frame = Frame(watch=kernel.watch)
        self._snapshot = kernel.snapshot
        # The name only once somebody has vouched for it: people type passwords there.
        self._told = {"login": login.id, "user": "", "source": login.source}
        #: Who was asked and has not been told the end.
        self._untold: list[Impl] = []

    def run(self) -> Identity:
        try:
            identity = self._judged()
            granted = self._event("login.granted", True, roles=identity.roles)
            self._kernel.permit(granted, self._snapshot.recorders)
            self._confirm()
        except BaseException as error:
            interrupts = Interrupts()
            with interrupts:
                self._end(False, _why(error))
            if isinstance(error, Denied):
                with interrupts:
                    self._kernel.record(self._event("login.denied", by=error.plugin))
                interrupts.raise_first()
            raise
        self._end(True, "")
        return identity

    def _judged(self) -> Identity:
        """Ask every guard; an identity counts only if no later one denies."""
        identity: Identity | None = None
        try:
            for impl in self._snapshot.impls("on_login"):
                self._untold.append(impl)
                answer = dispatch.judge_login(impl, self._login, self._frame)
                if type(answer) is Deny:
                    raise Denied(impl.name, answer.reason, answer.retry_after)
                if type(answer) is Identity:
                    identity = answer
                    self._told["user"] = answer.user
        except HookFailed as failure:
            raise Denied(failure.impl.name, failure.why) from None
        finally:
            self._kernel.flush(self._frame)
        if identity is None:
            raise Denied("kernel", "nobody vouched for this login")
        return identity

    def _confirm(self) -> None:
        """Tell the authenticator that it counts; what it then cannot stand by does not."""
        for impl in [impl for impl in self._untold if impl.may_authenticate]:
            try:
                denial = self._tell(impl, True, "")
            except HookFailed as failure:
                raise Denied(impl.name, failure.why) from None
            finally:
                self._kernel.flush(self._frame)
            if denial is not None:
                raise Denied(impl.name, denial.reason, denial.retry_after)

    def _end(self, granted: bool, why: str) -> None:
        """Tell everybody who has not been told, whatever any of them does."""
        interrupts = Interrupts()
        for impl in tuple(self._untold):
            with interrupts:
                try:
                    self._tell(impl, granted, why)
                except HookFailed as failure:
                    log.warning("%s.on_login_end %s", impl.name, failure.why)
        with interrupts:
            self._kernel.flush(self._frame)
        interrupts.raise_first()

    def _tell(self, impl: Impl, granted: bool, why: str) -> Deny | None:
        self._untold.remove(impl)
        if impl.end is None:
            return None
        return dispatch.end_login(impl.end, self._login, granted, why, self._frame)

    def _event(self, kind: str, permission: bool = False, **fields: Any) -> Event:
        told = {**self._told, **fields}
        return self._kernel.event("kernel", kind, told, permission=permission)


def _why(error: BaseException) -> str:
    if isinstance(error, Denied):
        return f"{error.plugin}: {error.reason}"
    return "interrupted" if isinstance(error, KeyboardInterrupt) else type(error).__name__
