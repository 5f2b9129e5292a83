"""What `hauberk doctor` checks, from the machine up to each account's keys."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from typing import Final, cast

from hauberk import dispatch
from hauberk.accounts import DEFAULT_ALLOW
from hauberk.answers import HookFailed
from hauberk.command import FAIL, OK, WARN, Check
from hauberk.discovery import installed
from hauberk.errors import ConfigError, CredentialsMissing, HauberkError
from hauberk.guard import Guard
from hauberk.ownloop import brief_guard
from hauberk.plan import Plan
from hauberk.ports import Keys
from hauberk.settings import Mode

_MEND: Final = "mend it, or take it out"
_SET: Final = "set it in one of these places"


def all_checks(config: Path, plan: Plan) -> Iterator[Check]:
    """Check everything; what fails hides nothing that can be checked without it.

    Args:
        config: The file that the plan is from.
        plan: What a bot would be guarded by.
    """
    yield Check("Python", OK, ".".join(map(str, sys.version_info[:3])))
    yield check_file(config)
    if plan.settings.mode is Mode.SHADOW:
        yield Check("mode", WARN, "shadow: guards deny nothing", "set `mode: enforce`")
    if plan.settings.state_dir is not None:
        yield check_state(plan.settings.state_dir)
    yield from check_plugins(plan)
    yield from check_running(plan)


def check_file(config: Path) -> Check:
    """Whether the group could put another configuration in its place.

    Anybody else who could has stopped it from being read: see `hauberk.ownership`.
    """
    folder = config.absolute().parent
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & stat.S_IWGRP and not mode & stat.S_ISVTX:
        group = f"its group can change {folder} ({mode:04o})"
        return Check("configuration", WARN, group, f"chmod go-w {folder}")
    return Check("configuration", OK, str(config))


def check_state(state: Path) -> Check:
    """Whether the state folder is ours alone."""
    try:
        return _state(state)
    except OSError as error:
        found = f"{state} cannot be looked at: {error.strerror}"
        return Check("state folder", FAIL, found, "mend it, or set another `state:`")


def _state(state: Path) -> Check:
    what = "state folder"
    if not state.exists() and not state.is_symlink():
        return Check(what, WARN, f"{state} does not exist", f"mkdir -m 700 {state}")
    if not state.is_dir():
        return Check(what, FAIL, f"{state} is no folder", "move it away, or set another `state:`")
    found = state.stat()
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid != os.geteuid():
        return Check(what, FAIL, f"{state} belongs to user id {found.st_uid}",
                     f"chown it to user id {os.geteuid()}")  # fmt: skip
    if mode & 0o077:
        return Check(what, FAIL, f"{state} is open to others ({mode:04o})", f"chmod 700 {state}")
    return Check(what, OK, str(state))


def check_plugins(plan: Plan) -> Iterator[Check]:
    """What is left out, and what is installed and not named."""
    for name, reason in plan.skipped:
        yield Check(f"plugin {name}", WARN, f"skipped: {reason}", _MEND)
    named = {planned.origin.rpartition(" ")[0] for planned in plan.planned}
    for name, release, plugins in installed():
        if name not in named:
            offered = f"{name} {release} offers {', '.join(plugins)}, and is not loaded"
            yield Check("third party", OK, offered)


def check_running(plan: Plan) -> Iterator[Check]:
    """Start the plugins as a bot would, and look at the accounts.

    Raises:
        ConfigError: A plugin cannot use its section.
    """
    try:
        guard = brief_guard(plan)
    except ConfigError:  # every problem has its line, which a check has no place for
        raise
    except HauberkError as error:
        yield Check("plugins", FAIL, str(error), "mend what it says, then run doctor again")
        return
    with guard:
        skipped = [skip for skip in guard.kernel.crew.skipped if skip not in plan.skipped]
        for name, reason in skipped:
            yield Check(f"plugin {name}", WARN, f"did not start: {reason}", _MEND)
        names = [part.name for part, _ in guard.snapshot.parts]
        yield Check("plugins", OK, f"started: {', '.join(names)}")
        yield from check_accounts(guard)
        yield from check_by_plugins(guard)


def check_by_plugins(guard: Guard) -> Iterator[Check]:
    """What the plugins themselves have to say."""
    for impl in guard.snapshot.impls("on_doctor"):
        try:
            found = list(dispatch.call(impl) or ())
        except HookFailed as failure:
            yield Check(f"plugin {impl.name}", WARN, f"its checks {failure.why}", _MEND)
            continue
        for check in found:
            if type(check) is Check and check.status in (OK, WARN, FAIL):
                yield check
            else:
                why = "its checks hold something other than hauberk.command.Check"
                yield Check(f"plugin {impl.name}", WARN, why, _MEND)


def check_accounts(guard: Guard) -> Iterator[Check]:
    """What each account may do, and whether its keys are found; never what they are."""
    accounts = guard.kernel.settings.accounts
    if not accounts:
        yield Check("accounts", WARN, "there are none", "add one under `accounts:`")
    keys = cast("Keys | None", guard.kernel.crew.view.provider("keys"))
    for name, account in accounts.items():
        what, at = f"account {name}", account.base_url or account.venue
        if account.disabled:
            yield Check(what, OK, f"at {at}, is disabled")
            continue
        beyond = [str(operation) for operation in account.allow if operation not in DEFAULT_ALLOW]
        if beyond:
            may = f"at {at}, may {', '.join(beyond)}"
            yield Check(what, WARN, may, "take it out of `allow:` unless the bot needs it")
        else:
            yield Check(what, OK, f"at {at}, may {', '.join(account.allow) or 'nothing'}")
        if keys is not None:
            yield check_keys(keys, name)


def check_keys(keys: Keys, account: str) -> Check:
    """Whether an account's references lead to something."""
    what = f"keys of {account}"
    try:
        keys.credentials(account)
    except CredentialsMissing as error:
        return Check(what, FAIL, str(error), error.remedy or _where(error))
    except HauberkError as error:
        # The command that mends it, where the error has one.
        command = str(error).rpartition("; run: ")[2] if "; run: " in str(error) else ""
        return Check(what, FAIL, str(error), command or "mend what it says")
    return Check(what, OK, "found")


def _where(error: CredentialsMissing) -> str:
    files = [place for place in error.looked_in if place.startswith("/")]
    return f"{_SET}; for a file: chmod 600 {' '.join(map(quote, files))}" if files else _SET
