"""The hooks: inherit `Plugin`, override what you need, decorate it with `@hookimpl`.

Inheriting is not required, but it lets `mypy --strict` check every argument and return type
against the specification. The kernel refuses wrappers, `tryfirst`, `trylast`, `firstresult`,
`specname`, `optionalhook` and arguments unlike those here: order comes from `hauberk.yml` alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

import pluggy

if TYPE_CHECKING:
    from hauberk.batch import SignedBatch, Verdicts
    from hauberk.command import Check, Command
    from hauberk.context import Context
    from hauberk.keypath import KeyPath
    from hauberk.records import Event, Identity, Incident, Login, Outcome
    from hauberk.request import Request, Response
    from hauberk.verdicts import Deny, Verdict
    from hauberk.written import Written

PROJECT: Final = "hauberk"
#: Raised when a hook changes in a way that plugins can notice.
INTERFACE: Final = 1

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

_F = TypeVar("_F", bound=Callable[..., Any])


def blocking(function: _F) -> _F:
    """Mark a guard, signer or recorder that may block, so that `aclear` calls it off the loop.

    Put it above `@hookimpl`.
    """
    function.hauberk_blocking = True  # type: ignore[attr-defined]
    return function


class Plugin:
    """The specification of every hook, and the base class for plugins.

    Class attributes:
        interface: The lowest and highest `hauberk.hooks.INTERFACE` it was written for; required
            of plugins that `hauberk.yml` loads.
        Config: An attrs class for the plugin's section of `hauberk.yml`; leave it out if there
            is nothing to configure. The plugin is made with an instance of it.
        provides: Ports that it provides, by attribute name, for example `{"keys": "manager"}`.
        judges_capabilities: Whether its `on_request` denies what an account's `allow` does not
            name, and what no venue file describes. Accounts need such a plugin, as `policy` is,
            and nothing starts without it.

    A plugin that paces has an attribute `pacing` as well, from `on_start` on: a
    `hauberk.pacing.Pacing`.
    """

    interface: ClassVar[tuple[int, int]]
    Config: ClassVar[type]
    provides: ClassVar[dict[str, str]] = {}
    judges_capabilities: ClassVar[bool] = False

    @classmethod
    def config_problems(
        cls,
        written: Written,  # noqa: ARG003
    ) -> Iterable[tuple[KeyPath, str]]:
        """Say what is wrong in `hauberk.yml` that types and validators cannot know.

        For example a name that leads nowhere. No hook: called while the file is read, before
        any plugin is made, so that what is wrong is told together with all else that is. What
        only ports can tell is for `on_start`, which raises a `ConfigError` of
        `context.problem(...)`.

        Args:
            written: What the file says.

        Returns:
            Where, a path from the top of the file such as `(written.name, "limits", 0)`; and
            what is wrong there, with the name that was probably meant
            (`hauberk.spelling.nearest`).

        On failure: as if the plugin could not be imported.
        """
        return ()

    @hookspec
    def on_request(self, request: Request) -> Verdict:
        """Judge a request before it is signed.

        Role: guard. Asked in the order of `plugins:`, again after every wait, amendment or
        change of the epoch, always with the same `request.id`: key a charge by it, so that
        asking again for the same content is free. Never sleep; return `Wait`.

        Args:
            request: Unsigned, stamped with its id and operation.

        Returns:
            `None` for no objection (there is no "allow"), `Deny`, `Wait`, or, with the grant
            `amend`, an amended request.

        On failure: the request is denied, naming the plugin.
        """
        return None

    @hookspec
    def on_end(self, request: Request, left: bool, why: str) -> None:
        """Learn how a request ended that `on_request` was asked about.

        Role: guard. Called once on every guard that was asked, even one unregistered meanwhile.
        Give back here what was charged for a request that did not leave.

        Args:
            request: As last judged.
            left: Whether it was handed to the bot, signed.
            why: Empty if it left; else the reason that it did not.

        On failure: contained, counted and logged.
        """

    @hookspec
    def sign_request(self, request: Request) -> Request:
        """Sign a judged request.

        Role: signer, needs the grant `sign`; an account names its signer.

        Args:
            request: As judged.

        Returns:
            The request as it is to be sent: `params` empty, query in `url`. Method, host, path
            and the judged parameters must stand unchanged and in order; what is added must be
            declared by the venue file.

        On failure: the request is denied.
        """
        raise NotImplementedError

    @hookspec
    def on_login(self, login: Login) -> Deny | Identity | None:
        """Judge a login, or, with the grant `authenticate`, say who it is.

        Role: guard. Only the authenticator is shown the password and the code. Whoever comes
        later may still deny: do in `on_login_end` what must not outlast a denial.

        Args:
            login: The attempt, stamped with its id.

        Returns:
            `None` for no objection, `Deny` (with `retry_after`), or an `Identity` from the
            authenticator, which counts only if no later guard denies.

        On failure: the login is denied.
        """
        return None

    @hookspec
    def on_login_end(self, login: Login, granted: bool, why: str) -> Deny | None:
        """Learn how a login ended that `on_login` was asked about.

        Role: guard. Called once on every guard that was asked. Granted means that no guard has
        denied and that every required recorder has recorded it. The authenticator is told that
        first, and begins the session here; the others are told what has come of that.

        Args:
            login: The attempt, by the same id; without password, code and device.
            granted: Whether somebody is logged in.
            why: Empty if so; else the reason that nobody is.

        Returns:
            Nothing; or, from the authenticator of a granted login, `Deny` after all.

        On failure: the authenticator's, where granted, denies the login; else contained.
        """
        return None

    @hookspec
    def on_response(self, request: Request, response: Response) -> Awaitable[None] | None:
        """See what came back.

        Role: observer; may be `async def`.

        Args:
            request: As judged: unsigned, without credential headers.
            response: The answer, or what took its place.

        On failure: contained, counted and logged.
        """
        return None

    @hookspec
    def on_incident(self, incident: Incident) -> Outcome | Awaitable[Outcome | None] | None:
        """Act on an incident.

        Role: responder; may be `async def` unless required. Required responders run inline,
        before anything is stored; the others share one deadline on daemon threads and are not
        called again until they return.

        Args:
            incident: What was reported.

        Returns:
            What was done, or nothing.

        On failure: contained, and the incident records it. If a required one fails on HIGH or
        CRITICAL, everything is denied until it succeeds.
        """
        return None

    @hookspec
    def on_event(self, event: Event) -> None:
        """Record an event.

        Role: recorder, needs the grant `record` (hooks registered at run time excepted).

        Args:
            event: What happened. If `event.permission`, a required recorder must have made it
                durable when it returns.

        On failure: from a required recorder, the permission that the event records is not given.
        """

    @hookspec
    def on_start(self, context: Context) -> None:
        """Begin. `context` is the plugin's own door to ports, reports and events: keep it.

        Role: lifecycle.

        Args:
            context: Bound to this plugin's name and grants.

        On failure: a required plugin's stops the start; any other is skipped with a warning.
        """

    @hookspec
    def on_stop(self) -> None:
        """End: let go of what `on_start` took. Calls already under way may still arrive.

        Role: lifecycle.

        On failure: contained and logged.
        """

    @hookspec
    def on_commands(self) -> Sequence[Command]:
        """Contribute commands to `hauberk`'s command line.

        Role: lifecycle; called without `on_start`, only by the command line.

        Returns:
            Commands; a name that is taken is refused with a warning.

        On failure: contained; the command line goes on without them.
        """
        return ()

    @hookspec
    def on_doctor(self) -> Sequence[Check]:
        """Say what `hauberk doctor` should tell of this plugin: what is well, what is not.

        Role: lifecycle; called after `on_start`, only by `hauberk doctor`.

        Returns:
            What was looked at, each with what was found and what to do.

        On failure: contained; `doctor` says so.
        """
        return ()

    @hookspec
    def on_status(self) -> Mapping[str, Any]:
        """Say how things stand, for commands in other processes (`hauberk.status.statuses`).

        Role: lifecycle; called every few seconds, on a thread of its own, of a guard that stays.
        It is written into the state folder: no secrets.

        Returns:
            What JSON can say.

        On failure: contained; nothing is written for this plugin.
        """
        return {}

    @hookspec
    def verify_batch(self, batch: SignedBatch) -> Verdicts | None:
        """Verify a batch of signatures.

        Role: engine, needs the grant `verify`; asked in order until one answers.

        Args:
            batch: Columns of messages, signatures and keys.

        Returns:
            One byte a row, a `hauberk.batch.Finding`: 1 where the signature holds; or `None` to
            pass. Every rejection and a sample of the rest are verified again by the reference.

        On failure: the next engine is asked. One that is found wrong is an incident.
        """
        return None


#: Every hook, by name, with its parameters in order.
HOOKS: Final[dict[str, tuple[str, ...]]] = {
    name: spec.__code__.co_varnames[1 : spec.__code__.co_argcount]
    for name, spec in vars(Plugin).items()
    if hasattr(spec, PROJECT + "_spec")
}
