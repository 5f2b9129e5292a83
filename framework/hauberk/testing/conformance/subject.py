"""One instance of the plugin under test, and every hook of it called as the kernel would."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from math import ceil
from typing import Any, Final, Self

from hauberk import answers, dispatch
from hauberk.answers import HookFailed
from hauberk.batch import KNOWN
from hauberk.command import Check, Command
from hauberk.context import Context
from hauberk.errors import Denied, HauberkError, safe_text
from hauberk.frames import Frame
from hauberk.protocol import MAX_AMENDMENTS
from hauberk.registry import Impl
from hauberk.request import Request
from hauberk.signed import check_signed
from hauberk.telling import told
from hauberk.testing.clock import FakeClock
from hauberk.testing.conformance.failure import ConformanceFailed, Rule, image
from hauberk.testing.conformance.stage import Stage
from hauberk.verdicts import Deny, Verdict, Wait

#: Hooks whose specification says that they return nothing.
_SILENT: Final = frozenset({"on_end", "on_response", "on_event", "on_start", "on_stop"})
_LISTS: Final[dict[str, type]] = {"on_commands": Command, "on_doctor": Check}


class Subject:
    """A fresh, started instance with a clock of its own; leave its `with` block to stop it.

    Args:
        stage: Where it stands.
        wall_ns: Wall time at its start, nanoseconds since the epoch.

    Attributes:
        plugin: The instance.
        hooks: What it implements.
        clock: Its clock.
        took_ns: How long each call took that a bot waits for.
        pending: Requests that it was asked about and that neither left nor were dropped.

    Raises:
        ConformanceFailed: It cannot be made, loaded or started; so do all methods, when a hook
            breaks a rule.
    """

    def __init__(self, stage: Stage, wall_ns: int | None = None) -> None:
        self.clock = FakeClock() if wall_ns is None else FakeClock(wall_ns=wall_ns)
        self.took_ns: list[int] = []
        self.pending: list[Request] = []
        self._stage = stage
        self._setup = stage.setup
        self._kernel = stage.kernel
        try:
            self.plugin = self._setup.make()
        except Exception as error:
            raise stage.unloadable(f"making it raised {told(error)}") from error
        self.hooks = stage.hooks(self.plugin)
        if "on_start" in self.hooks:
            try:
                self._start(stage.context(self.clock))
            except HookFailed as failure:
                raise stage.unloadable(f"on_start {failure.why}") from failure.cause

    def ask(self, request: Request) -> Verdict:
        """Ask `on_request` once."""
        impl = self.hooks["on_request"]
        kernel, frame, before = self._kernel, Frame(), impl.failures
        began = self._setup.timer()
        finding = dispatch.ask((impl,), request, frame, kernel.watch)
        self.took_ns.append(self._setup.timer() - began)
        kernel.flush(frame)
        verdict = None if finding is None else finding[1]
        if impl.failures != before and isinstance(verdict, Deny):
            self._broken(impl.hook, verdict.reason, request)
        if isinstance(verdict, Request):
            self._check_amended(request, verdict)
        return verdict

    def judge(self, request: Request) -> tuple[Verdict, Request]:
        """Ask until nothing is amended any more, as one pass of the kernel after the other does.

        Returns:
            The verdict, never an amendment, and the request as last amended.
        """
        for _ in range(MAX_AMENDMENTS + 1):
            verdict = self.ask(request)
            if not isinstance(verdict, Request):
                return verdict, request
            request = verdict
        self.fail(
            Rule.RETURNS,
            "on_request",
            f"it amended its own amendment {MAX_AMENDMENTS} times: the kernel denies that",
            request,
        )
        return None, request

    def wait_for(self, wait: Wait) -> bool:
        """Let its clock pass what a verdict asks for, if the kernel would wait that long."""
        if wait.seconds > self._setup.limits.timeout_s:
            return False
        self.clock.advance_ns(max(ceil(wait.seconds * 1e9), 1_000_000))
        return True

    def end(self, request: Request, left: bool, why: str = "") -> None:
        """Tell `on_end`, if it is implemented, how a request ended that was asked about."""
        if "on_end" in self.hooks:
            self.call("on_end", request, left, why)

    def call(self, hook: str, *args: Any) -> Any:
        """Call any other hook and check what it did.

        Returns:
            What it answered; of a signer that refused, the name of its error.
        """
        impl = self.hooks[hook]
        shown = image(args)
        began = self._setup.timer()
        answer: object = None
        try:
            answer = self._called(impl, *args)
        except HookFailed as failure:
            # A signer has no other way to refuse, and says on purpose that it does.
            if hook == "sign_request" and isinstance(failure.cause, HauberkError):
                return type(failure.cause).__name__
            self._broken(hook, failure.why, args)
        if hook != "on_incident":  # responders have a deadline, and nobody's order waits for them
            self.took_ns.append(self._setup.timer() - began)
        self._check_unchanged(hook, shown, args)
        self._check_answer(hook, args, answer)
        return answer

    def for_thread(self) -> Self:
        """Return a view on the same instance that attributes failures to one thread."""
        view = type(self).__new__(type(self))
        view.__dict__.update(self.__dict__)
        view.hooks, view.took_ns = self._stage.hooks(self.plugin), []
        return view

    def fail(self, rule: Rule, hook: str, why: str, given: object = None) -> None:
        """Report a broken rule, unless its author skips it."""
        if rule not in self._setup.skip:
            raise ConformanceFailed(self._setup.name, hook, rule, why, given)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if "on_stop" in self.hooks and error is None:
            self.call("on_stop")

    def _start(self, context: Context) -> None:
        """Call `on_start`: inside a running event loop where `async def` hooks need one."""

        async def start() -> None:
            dispatch.call(self.hooks["on_start"], context)

        if any(impl.is_async for impl in self.hooks.values()):
            self._stage.on_loop(start())
        else:
            dispatch.call(self.hooks["on_start"], context)

    def _called(self, impl: Impl, *args: Any) -> Any:
        if impl.is_async:
            answer = self._stage.on_loop(dispatch.acall(impl, *args))
            return answers.outcome(impl, answer) if impl.hook == "on_incident" else answer
        if impl.hook == "on_incident":
            return dispatch.respond(impl, *args)
        frame = Frame(is_open=impl.hook == "on_response")
        if impl.hook == "sign_request":
            answer = dispatch.sign(impl, args[0], frame)
        elif impl.hook == "on_login":
            answer = dispatch.judge_login(impl, args[0], frame)
        elif impl.hook == "on_login_end":
            login, granted, why = args
            answer = dispatch.end_login(impl, login, granted, why, frame)
        else:
            answer = dispatch.call(impl, *args, frame=frame)
        self._kernel.flush(frame)
        return answer

    def _broken(self, hook: str, why: str, given: object) -> None:
        """Sort what the kernel objected to under its rule."""
        if why.startswith((f"{hook} raised", "raised")):
            rule = Rule.NEVER_RAISES
        elif why.startswith("changed what") or "behind its back" in why:
            rule = Rule.CHANGES_NOTHING
        else:
            rule = Rule.RETURNS
        self.fail(rule, hook, f"it {why.removeprefix(hook).lstrip()}", given)

    def _check_unchanged(self, hook: str, before: object, value: object) -> None:
        if image(value) != before:
            self.fail(Rule.CHANGES_NOTHING, hook, "it changed what it was given, deep inside")

    def _check_amended(self, request: Request, amended: Request) -> None:
        binding = self._kernel.snapshot.bindings.get(request.account)
        if binding is None:
            return
        try:
            binding.judged(amended)
        except Denied as denied:
            why = f"it amended the request to one that the kernel denies: {denied.reason}"
            self.fail(Rule.RETURNS, "on_request", why, request)

    def _check_answer(self, hook: str, args: Any, answer: object) -> None:
        why = None
        if hook in _SILENT and answer is not None:
            why = f"it returned {type(answer).__name__}, and should return nothing"
        elif hook == "verify_batch":
            why = _batch_problem(answer, len(args[0]))
        elif hook in _LISTS:
            why = _list_problem(answer, _LISTS[hook])
        elif hook == "on_status":
            why = _status_problem(answer)
        elif hook == "sign_request" and isinstance(answer, Request):
            why = self._signed_problem(args[0], answer)
        if why is not None:
            self.fail(Rule.RETURNS, hook, why, args)

    def _signed_problem(self, judged: Request, signed: Request) -> str | None:
        binding = self._kernel.snapshot.bindings[judged.account]
        try:
            return check_signed(judged, signed, binding)
        except (HauberkError, ValueError) as error:
            return f"what it signed cannot be read back: {told(error)}"


def _batch_problem(answer: object, rows: int) -> str | None:
    if answer is None:
        return None
    if not isinstance(answer, bytes | bytearray | memoryview):
        return f"it returned {type(answer).__name__}, and should return bytes or None"
    verdicts = bytes(answer)
    if len(verdicts) != rows or not KNOWN.issuperset(verdicts):
        what = f"it returned {verdicts[:40]!r} for {rows} rows"
        return f"{what}, and should return a hauberk.batch.Finding for each"
    return None


def _status_problem(answer: object) -> str | None:
    if not isinstance(answer, Mapping):
        return f"it returned {type(answer).__name__}, and should return a mapping"
    try:
        json.dumps(dict(answer), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        return f"it returned what JSON cannot say: {safe_text(error)}"
    return None


def _list_problem(answer: object, kind: type) -> str | None:
    with suppress(TypeError):
        if not isinstance(answer, str) and all(type(item) is kind for item in answer):  # type: ignore[attr-defined]
            return None
    return f"it returned something other than a sequence of {kind.__name__}"
