"""What hooks may answer, and what an answer that they may not comes to.

Nothing counts but exact types: a subclass, an awaitable or a value that was changed behind the
kernel's back is a failure of the plugin, counted and attributed.
"""

from __future__ import annotations

import inspect
import logging
from types import CoroutineType
from typing import NoReturn

import attrs

from hauberk.errors import HauberkError
from hauberk.records import Identity, Outcome
from hauberk.registry import Impl
from hauberk.request import Request, base_of
from hauberk.telling import kind, told
from hauberk.unchanged import put_back
from hauberk.verdicts import Deny, Verdict, Wait

log = logging.getLogger("hauberk")


class HookFailed(Exception):
    """A hook raised, or answered what it may not."""

    def __init__(self, impl: Impl, why: str, cause: BaseException | None = None) -> None:
        super().__init__(impl.name, why)
        self.impl = impl
        self.why = why
        self.cause = cause


def admissible(impl: Impl, request: Request, answer: object) -> Verdict:
    """Reduce whatever a guard did to something that it may do."""
    if put_back(request, Request, None):
        return failed(impl, answer, "changed the request behind its back")
    return _exact(impl, request, answer)


def _exact(impl: Impl, request: Request, answer: object) -> Verdict:
    if answer is None:
        return None
    if type(answer) is Deny or type(answer) is Wait:
        if (problem := answer.problem()) is not None:
            return failed(impl, answer, f"{kind(answer)}: {problem}")
        return attrs.evolve(answer)  # its own might still be changed behind our back
    if type(answer) is not Request:
        what = "an awaitable" if is_awaitable(answer) else kind(answer)
        return failed(impl, answer, f"returned {what}, which on_request may not")
    if not impl.may_amend:
        return failed(impl, answer, "amended the request without the grant 'amend'")
    if (problem := answer.problem()) is not None:
        return failed(impl, answer, f"returned a Request whose {problem}")
    if answer.account != request.account or answer.id != request.id:
        return failed(impl, answer, "changed the request's account or id")
    if base_of(answer.url) != base_of(request.url):
        return failed(impl, answer, "changed the request's host")
    # Returning what is already so is no amendment: a guard that clamps need not compare.
    return None if answer == request else answer


def failed(impl: Impl, answer: object, why: str) -> Deny:
    """Count an answer of a guard that may not be, and make it a denial."""
    impl.failed()
    discard(answer)
    return Deny(why)


def wrong(impl: Impl, answer: object, why: str) -> HookFailed:
    """Count an answer that may not be, and make the failure to raise."""
    impl.failed()
    discard(answer)
    return HookFailed(impl, why)


def discard(answer: object) -> None:
    """Close a coroutine that will not be awaited, so that it does not warn later."""
    if type(answer) is not CoroutineType:
        return
    try:
        answer.close()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        log.warning("a coroutine that nobody awaits could not be closed: %s", told(error))


def refuse_signed(impl: Impl, changed: bool, signed: object) -> NoReturn:
    """Raise what is wrong with what a signer did."""
    if changed:
        raise wrong(impl, signed, "changed what it was given")
    raise wrong(impl, signed, f"returned {kind(signed)} instead of a Request")


def outcome(impl: Impl, answer: object) -> Outcome:
    """Check what a responder said it did.

    Raises:
        HookFailed: It is neither an `Outcome` nor `None`.
    """
    if answer is None:
        return Outcome("nothing said", plugin=impl.name)
    if type(answer) is Outcome and answer.problem() is None:
        return attrs.evolve(answer, plugin=impl.name)
    impl.failed()
    raise HookFailed(impl, f"returned {kind(answer)}, which on_incident may not")


def identity(impl: Impl, answer: object) -> Deny | Identity | None:
    """Check what a guard said of a login.

    Raises:
        HookFailed: It may not say that.
    """
    if answer is None:
        return None
    if type(answer) is Deny or type(answer) is Identity:
        if (problem := answer.problem()) is not None:
            raise wrong(impl, answer, f"returned {type(answer).__name__} whose {problem}")
        if type(answer) is Identity and not impl.may_authenticate:
            raise wrong(impl, answer, "returned an Identity without the grant 'authenticate'")
        return answer
    raise wrong(impl, answer, f"returned {kind(answer)}, which on_login may not")


def second_thought(impl: Impl, answer: object, granted: bool) -> Deny | None:
    """Check what a guard said of a login's end: the authenticator may deny one that counts.

    Raises:
        HookFailed: It may not say that.
    """
    if answer is None:
        return None
    if type(answer) is Deny and granted and impl.may_authenticate:
        if (problem := answer.problem()) is None:
            return answer
        raise wrong(impl, answer, f"returned Deny whose {problem}")
    raise wrong(impl, answer, f"returned {kind(answer)}, which on_login_end may not")


def told_of(impl: Impl, error: BaseException) -> str:
    """A signer's and an authenticator's exception may quote a secret: only its type is told."""
    if impl.hook in ("sign_request", "on_login", "on_login_end") and not isinstance(
        error, HauberkError
    ):
        return type(error).__name__
    return told(error)


def is_awaitable(answer: object) -> bool:
    """Whether an answer is to be awaited; what cannot even be looked at counts as such."""
    if answer is None:
        return False
    try:
        return inspect.isawaitable(answer)
    except KeyboardInterrupt:
        raise
    except BaseException:  # a hostile __class__
        return True
