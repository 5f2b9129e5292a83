"""The only place that calls a hook; `hauberk.answers` says what may come back.

pluggy's own loop lets any plugin turn, swallow, reorder or silence a denial. This one
asks in the snapshot's order, stops at the first objection, takes nothing for an answer but exact
types, attributes every failure, and lets nobody say "allow".
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from hauberk.answers import (
    HookFailed,
    admissible,
    discard,
    identity,
    is_awaitable,
    outcome,
    refuse_signed,
    second_thought,
    told_of,
    wrong,
)
from hauberk.binding import Binding
from hauberk.frames import _CURRENT, Frame
from hauberk.records import Identity, Incident, Login
from hauberk.registry import Impl
from hauberk.request import Request
from hauberk.signed import check_signed
from hauberk.snapshot import Snapshot
from hauberk.telling import kind, told
from hauberk.unchanged import looked_at, put_back, undone
from hauberk.verdicts import Deny, Verdict, Wait
from hauberk.watch import Watch

if TYPE_CHECKING:
    from hauberk.kernel import Kernel

log = logging.getLogger("hauberk")

#: One call in so many, by implementation, is timed for the statistics; of `on_request`, one pass.
SAMPLE_EVERY: Final = 16
Finding: TypeAlias = tuple[Impl, Deny | Wait | Request]
#: What stopped a request, or the signed one; and whether its end has been told.
Through: TypeAlias = tuple[Finding | None, Request | None, bool]


class Interrupts:
    """Holds Ctrl-C back while each of several is told something, one `with` block each."""

    def __init__(self) -> None:
        self._first: BaseException | None = None

    def __enter__(self) -> None:
        """Begin to tell one of them."""

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if not isinstance(error, KeyboardInterrupt):
            return False
        self._first = self._first or error
        return True

    def raise_first(self) -> None:
        """Raise the first interrupt, when everybody has been told."""
        if self._first is not None:
            raise self._first


def ask(
    guards: Sequence[Impl], request: Request, frame: Frame, watch: Watch, shadow: bool = False
) -> Finding | None:
    """Ask guards in order about a request, up to the first objection, wait or amendment.

    Reading the clock costs as much as two calls, so only one pass in `SAMPLE_EVERY` times each
    guard; the others are timed as a whole, and the watchdog names who holds one up.

    Args:
        guards: Implementations of `on_request`, in order.
        request: As it now stands.
        frame: This dispatch; afterwards `frame.impl` is the last that was asked.
        watch: The limits on a guard's time.
        shadow: Go on past what would stop the request, and note it in `frame.passed_over`.

    Returns:
        Who answered what, or `None` when nobody objects.
    """
    frame.named = None
    began = frame.since_ns = watch.now()
    token = None
    try:
        token = _CURRENT.set(frame)
        frame.is_running = True
        watch.active.add(frame)
        return _asked(guards, request, frame, watch, began, shadow)
    finally:
        # First: an interrupt may cut this short, and nobody may then still count as inside.
        frame.is_running = False
        watch.active.discard(frame)
        if token is not None:
            _CURRENT.reset(token)
        if type(request) is not Request:  # changed by a guard that was interrupted
            put_back(request, Request, None)


def _asked(
    guards: Sequence[Impl],
    request: Request,
    frame: Frame,
    watch: Watch,
    began: int,
    shadow: bool = False,
) -> Finding | None:
    """Ask guards, in a dispatch that has begun."""
    timed = watch.is_wary or not next(watch.passes) % SAMPLE_EVERY
    for impl in guards:
        frame.impl = impl
        # Not atomic by the language, but nothing can switch threads inside it in CPython.
        impl.calls += 1
        try:
            verdict = impl.function(request)
        except BaseException as error:
            verdict = _raised(impl, error)
        if timed:
            verdict = _timed(impl, verdict, frame, watch)
        if verdict is not None or type(request) is not Request:
            verdict = admissible(impl, request, verdict)
            if verdict is not None:
                if not shadow:
                    return _in_time(impl, verdict, frame, watch, began)
                frame.passed_over.append((impl, verdict))
    if watch.now() - began > watch.least_ns and guards:
        found = _in_time(guards[-1], None, frame, watch, began)
        if not shadow:
            return found
        if found and all(impl is not found[0] for impl, _ in frame.passed_over):
            frame.passed_over.append(found)
    return None


def through(
    kernel: Kernel,
    snapshot: Snapshot,
    binding: Binding,
    signer: Impl,
    request: Request,
    frame: Frame,
    epoch: int,
    began: int,
) -> Through:
    """Take a request through one pass in one dispatch.

    The same as `ask`, `sign`, the check after signing, leaving and `end`, one after the other. It
    goes no further where a guard stops the request, where a hook reported or emitted something,
    which is to be sent first, and where the request may not leave.

    Args:
        kernel: Where it leaves, under the lock.
        snapshot: Who is asked.
        binding: The account's venue.
        signer: Who signs.
        request: As judged.
        frame: This dispatch. Afterwards `frame.impl` is the last that was called, and
            `frame.has_left` says whether the request left.
        epoch: Read before the snapshot was.
        began: What time it is, monotonic.

    Returns:
        What stopped it, or the signed request, and whether that has left and all were told. What
        was signed and may not leave is for the caller to look at closely.

    Raises:
        HookFailed: The signer raised, or did not return a request.
        KeyboardInterrupt: A hook was interrupted; where it had left, raised after all were told.
    """
    watch = kernel.watch
    now = watch.now
    frame.since_ns = began
    token = None
    try:
        token = _CURRENT.set(frame)
        frame.is_running = True
        watch.active.add(frame)
        found = _asked(snapshot.guards, request, frame, watch, began)
        if found is not None:
            return found, None, False
        if frame.queue:
            return None, None, False
        since = now()
        frame.impl, frame.since_ns = signer, since
        signer.calls = calls = signer.calls + 1
        try:
            signed = signer.function(request)
        except KeyboardInterrupt:
            signer.failed()
            raise
        except BaseException as error:
            signer.failed()
            raise HookFailed(signer, f"raised {told_of(signer, error)}", error) from error
        finally:
            if calls % SAMPLE_EVERY == 1:
                signer.sample(now() - since)
        if type(signed) is not Request or type(request) is not Request:
            refuse_signed(signer, put_back(request, Request, None), signed)
        if not _is_good(request, signed, binding) or frame.queue or not kernel.leave(epoch):
            return None, signed, False
        frame.has_left = True
        kernel.waking.disarm(request.id)
        _tell_left(snapshot.ends, request, frame, now)
        return None, signed, True
    finally:
        # First: an interrupt may cut this short, and nobody may then still count as inside.
        frame.is_running = False
        watch.active.discard(frame)
        if token is not None:
            _CURRENT.reset(token)
        if type(request) is not Request:  # changed by a hook that was interrupted
            put_back(request, Request, None)


def call(impl: Impl, *args: Any, is_open: bool = False, frame: Frame | None = None) -> Any:
    """Call any hook but `on_request`, contained.

    Args:
        impl: What to call.
        args: Its arguments.
        is_open: Whether it may call back into the guard.
        frame: The dispatch it belongs to, if there is one already.

    Returns:
        Whatever it returned; the caller checks it.

    Raises:
        HookFailed: It raised, or changed what it was given (which is put back).
        KeyboardInterrupt: It was interrupted.
    """
    frame = frame or Frame(is_open=is_open)
    kinds, before = tuple(map(type, args)), looked_at(args)
    changed = False
    try:
        answer = _invoked(impl, frame, args)
    finally:
        changed = undone(args, kinds, before)
    if changed:
        raise wrong(impl, answer, "changed what it was given")
    if not impl.is_async and is_awaitable(answer):
        raise wrong(impl, answer, "returned an awaitable, which nobody would await")
    return answer


def _invoked(impl: Impl, frame: Frame, args: tuple[Any, ...]) -> Any:
    """Call a hook: counted, timed, attributed, and what it raises turned into `HookFailed`.

    Observers and responders are timed each time, any other hook once in `SAMPLE_EVERY` calls.
    """
    was_running, watch = frame.is_running, frame.watch
    frame.impl, frame.named = impl, None
    impl.calls = calls = impl.calls + 1
    timed = calls % SAMPLE_EVERY == 1 or frame.is_open
    now = monotonic_ns if watch is None else watch.now
    began = token = None
    try:
        token = _CURRENT.set(frame)
        frame.is_running = True
        if watch is not None:
            began = frame.since_ns = now()
            watch.active.add(frame)
        elif timed:
            began = now()
        return impl.function(*args)
    except KeyboardInterrupt:
        impl.failed()
        raise
    except BaseException as error:
        impl.failed()
        raise HookFailed(impl, f"raised {told_of(impl, error)}", error) from error
    finally:
        frame.is_running = was_running
        if watch is not None and not was_running:
            watch.active.discard(frame)
        if token is not None:
            _CURRENT.reset(token)
        # A coroutine has yet to run: `acall` takes its time.
        if timed and began is not None and not impl.is_async:
            impl.sample(now() - began)


async def acall(impl: Impl, *args: Any) -> Any:
    """Call an `async def` observer or responder and await it, contained like `call`.

    Raises:
        HookFailed: It raised, or changed what it was given.
    """
    frame = Frame(is_open=True)
    _CURRENT.set(frame)  # in the context of the task that this runs in
    frame.is_running = True
    kinds, before = tuple(map(type, args)), looked_at(args)
    began = monotonic_ns()
    try:
        answer = await call(impl, *args, is_open=True, frame=frame)
    except HookFailed:
        raise
    except BaseException as error:
        impl.failed()
        raise HookFailed(impl, f"raised {told_of(impl, error)}", error) from error
    finally:
        frame.is_running = False
        impl.sample(monotonic_ns() - began)
    if undone(args, kinds, before):
        impl.failed()
        raise HookFailed(impl, "changed what it was given")
    return answer


async def acontained(impl: Impl, *args: Any) -> None:
    """Call an `async def` observer whose failure must stop nothing: it is counted and logged."""
    try:
        await acall(impl, *args)
    except HookFailed as failure:
        log.warning("%s.%s %s", impl.name, impl.hook, failure.why)


def sign(impl: Impl, request: Request, frame: Frame) -> Request:
    """Have a request signed; `check_signed` judges what is in it.

    Raises:
        HookFailed: The signer raised, or did not return a request.
    """
    try:
        signed = _invoked(impl, frame, (request,))
    finally:
        changed = type(request) is not Request
        if changed:
            put_back(request, Request, None)
    if changed or type(signed) is not Request:
        refuse_signed(impl, changed, signed)
    return signed


def _is_good(judged: Request, signed: Request, binding: Binding) -> bool:
    """Whether what was signed is what was judged."""
    try:
        return check_signed(judged, signed, binding) is None
    except Exception:  # it cannot be read back
        return False


def judge_login(impl: Impl, login: Login, frame: Frame) -> Deny | Identity | None:
    """Ask one guard about a login; only the authenticator is shown password and code.

    Raises:
        HookFailed: It raised, or answered what it may not.
    """
    shown = login if impl.may_authenticate else login.without_secrets()
    return identity(impl, call(impl, shown, frame=frame))


def end_login(impl: Impl, login: Login, granted: bool, why: str, frame: Frame) -> Deny | None:
    """Tell one guard how a login ended; the authenticator may still deny one that counts.

    Raises:
        HookFailed: It raised, or answered what it may not.
    """
    answer = call(impl, login.without_secrets(), granted, why, frame=frame)
    return second_thought(impl, answer, granted)


def respond(impl: Impl, incident: Incident) -> Any:
    """Call one responder: an `Outcome`, or an awaitable of one from an `async def`.

    Raises:
        HookFailed: It raised, or answered what it may not.
    """
    answer = call(impl, incident, is_open=True)
    return answer if is_awaitable(answer) else outcome(impl, answer)


def contained(impl: Impl, *args: Any, is_open: bool = False, frame: Frame | None = None) -> Any:
    """Call a hook whose failure must stop nothing: it is counted and logged.

    Returns:
        Its answer, or `None` after a failure.
    """
    try:
        return call(impl, *args, is_open=is_open, frame=frame)
    except HookFailed as failure:
        log.warning("%s.%s %s", impl.name, impl.hook, failure.why)
        return None


def end(ends: Sequence[Impl], request: Request, left: bool, why: str, frame: Frame) -> None:
    """Tell each guard that was asked how the request ended, whatever any of them does.

    Args:
        ends: Their implementations of `on_end`.
        request: As last judged.
        left: Whether it left.
        why: Why not.
        frame: The dispatch.

    Raises:
        KeyboardInterrupt: One was interrupted; raised after all were told.
    """
    interrupted = None
    for impl in ends:
        try:
            answer = _invoked(impl, frame, (request, left, why))
            if answer is not None:
                raise wrong(impl, answer, f"returned {kind(answer)}, and may return nothing")
        except HookFailed as failure:
            log.warning("%s.on_end %s", impl.name, failure.why)
        except KeyboardInterrupt as error:
            interrupted = error
        if type(request) is not Request:
            put_back(request, Request, None)
            log.warning("%s.on_end changed the request: put back", impl.name)
    if interrupted is not None:
        raise interrupted


def _tell_left(
    ends: Sequence[Impl], request: Request, frame: Frame, now: Callable[[], int]
) -> None:
    """Tell each guard that the request left, as `end`, in a dispatch that has begun.

    Raises:
        KeyboardInterrupt: As `end`.
    """
    interrupted = None
    for impl in ends:
        frame.impl = impl
        impl.calls = calls = impl.calls + 1
        began = frame.since_ns = now()
        try:
            answer = impl.function(request, True, "")
            if answer is not None:
                raise wrong(impl, answer, f"returned {kind(answer)}, and may return nothing")
        except HookFailed as failure:
            log.warning("%s.on_end %s", impl.name, failure.why)
        except BaseException as error:
            impl.failed()
            if isinstance(error, KeyboardInterrupt):
                interrupted = error
            else:
                log.warning("%s.on_end raised %s", impl.name, told_of(impl, error))
        if calls % SAMPLE_EVERY == 1:
            impl.sample(now() - began)
        if type(request) is not Request:
            put_back(request, Request, None)
            log.warning("%s.on_end changed the request: put back", impl.name)
    if interrupted is not None:
        raise interrupted


def _raised(impl: Impl, error: BaseException) -> Deny:
    impl.failed()
    if isinstance(error, KeyboardInterrupt):
        raise error
    return Deny(f"on_request raised {told(error)}")


def _timed(impl: Impl, verdict: object, frame: Frame, watch: Watch) -> Any:
    """Take a guard's time; too long for a request is a denial by that guard."""
    now = watch.now()
    took = now - frame.since_ns
    frame.since_ns = now
    impl.sample(took)
    if took > watch.warn_ns:
        watch.name(frame, impl, took)
    if took > watch.deny_ns and type(verdict) is not Deny:
        discard(verdict)
        return Deny(f"took {took / 1e9:.3f} s, more than a guard may")
    return verdict


def _in_time(
    impl: Impl, verdict: Verdict, frame: Frame, watch: Watch, began: int
) -> Finding | None:
    """Hold a pass that was too long against whom the watchdog saw, else against all of it."""
    took = watch.now() - began
    if took > watch.warn_ns:
        watch.is_wary = True
    if took > watch.deny_ns and type(verdict) is not Deny:
        slow = frame.named or impl
        seen = "" if frame.named else " together with the guards before it"
        return slow, Deny(f"took {took / 1e9:.3f} s{seen}, more than a guard may")
    return None if verdict is None else (impl, verdict)
