"""One login: every guard judges, the recorders are told, and who was asked learns how it ended.

Rule 1: an identity counts only if no later guard denies and every required recorder has recorded
it. Rule 2: so the authenticator is told last whether it does, and what it then cannot do, such as
begin a session, denies after all. Rule 3: each guard that was asked is told the end once.
"""

from __future__ import annotations

from hauberk import dispatch
from hauberk.dispatch import HookFailed, Interrupts
from hauberk.errors import Denied
from hauberk.frames import Frame
from hauberk.kernel import Kernel
from hauberk.records import Identity, Login
from hauberk.registry import Impl
from hauberk.verdicts import Deny


def log_in(kernel: Kernel, login: Login) -> Identity:
    """Have a login judged, and bring it to its end.

    Args:
        kernel: Whose guards and recorders.
        login: Stamped with its id.

    Raises:
        Denied: It may not proceed.
        KeyboardInterrupt: A hook was interrupted; nobody is logged in.
    """
    return _Attempt(kernel, login).run()


class _Attempt:
    """One login under way."""

    def __init__(self, kernel: Kernel, login: Login) -> None:
        self._kernel = kernel
        self._login = login
        self._frame = Frame(watch=kernel.watch)
        self._snapshot = kernel.snapshot
        #: What is told of it. Not the name as typed: people type passwords there.
        self._told = {"login": login.id, "source": login.source}
        #: Who was asked and has not been told the end.
        self._untold: list[Impl] = []

    def run(self) -> Identity:
        try:
            identity = self._judged()
            self._told["user"] = identity.user
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
        except HookFailed as failure:
            raise Denied(failure.impl.name, failure.why) from None
        finally:
            self._kernel.flush(self._frame)
        if identity is None:
            raise Denied("kernel", "nobody vouched for this login")
        return identity

    def _confirm(self) -> None:
        """Tell the authenticator that it counts; unless it can stand by that, it does not."""
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
        """Tell everybody else, whatever any of them does."""
        interrupts = Interrupts()
        for impl in tuple(self._untold):
            with interrupts:
                dispatch.logged(impl.end or impl, lambda: self._tell(impl, granted, why))
        with interrupts:
            self._kernel.flush(self._frame)
        interrupts.raise_first()

