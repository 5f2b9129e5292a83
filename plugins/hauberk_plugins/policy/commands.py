"""The commands `hauberk policy explain` and `hauberk policy reset`."""

# B008, D417: cyclopts reads defaults; options describe themselves.

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from hauberk.cli import Answer, Options
from hauberk.command import Command, Started, started
from hauberk.errors import Denied, HauberkError, InvalidValue, safe_text
from hauberk.request import Request
from hauberk_plugins.policy.explain import Line

if TYPE_CHECKING:
    from rich.console import RenderableType

_NAME: Final = "policy"


def explain(  # noqa: D417
    method: str,
    url: str,
    /,
    *params: str,
    account: str = "main",
    body: str | None = None,
    options: Options = Options(),  # noqa: B008
) -> Answer:
    """Say what policy would say to a request, and which rule decides.

    Signs nothing, sends nothing and uses up no cap.

    For example:
        hauberk policy explain POST https://api.binance.com/api/v3/order symbol=BTCUSDT side=BUY

    Args:
        method: GET, POST, PUT or DELETE.
        url: Scheme, host and path, without a query.
        params: Parameters in order, each NAME=VALUE. After `--`, a name may begin with a dash.
        account: The account of hauberk.yml that it is for.
        body: A body, for venues that take JSON.
    """
    request = Request(method.upper(), url, _pairs(params), body=body or "", account=account)
    with started(options.config, _NAME, is_recorded=False) as running:
        lines = _lines(running, request)
    denied = next((line for line in lines if line.denies), None)
    document = {
        "account": account,
        "denied": denied is not None,
        "rule": "" if denied is None else denied.rule,
        "why": "" if denied is None else denied.said,
        "asked": [
            {"rule": one.rule, "asked": one.asked, "said": one.said, "denies": one.denies}
            for one in lines
        ],
    }
    return Answer(document, lambda: _drawn(lines, denied), ok=denied is None)


def reset(account: str, /, *, options: Options = Options()) -> Answer:  # noqa: B008, D417
    """Begin an account's day anew, where the record of it is damaged or of a wrong clock.

    What was ordered today no longer counts. Processes that run keep what
    they have reserved.

    For example:
        hauberk policy reset main

    Args:
        account: The account of hauberk.yml.
    """
    with started(options.config, _NAME) as running:
        _check_account(running, account)
        currencies = running.plugin.forget_day(account)
    done = f"{account}: the day begins anew in {', '.join(currencies)}"
    if not currencies:
        done = f"{account}: there is no cap of a day, so nothing was kept"
    return Answer({"account": account, "currencies": list(currencies)}, done)


def _lines(running: Started, request: Request) -> list[Line]:
    _check_account(running, request.account)
    binding = running.guard.snapshot.bindings.get(request.account)
    if binding is None:
        raise InvalidValue("no plugin provides `venues`, so nobody can say what the request does")
    try:
        judged = binding.judged(request)
    except Denied as denied:
        return [Line(denied.plugin, "is it for its venue?", denied.reason, denies=True)]
    except HauberkError as error:
        return [Line("kernel", "can its venue read it?", safe_text(error), denies=True)]
    found: list[Line] = running.plugin.explain(judged)
    return found


def _check_account(running: Started, account: str) -> None:
    known = running.guard.kernel.settings.accounts
    if account not in known:
        raise InvalidValue(
            f"{running.config} has no account {account!r} (it has {', '.join(known) or 'none'})"
        )


def _pairs(params: Sequence[str]) -> list[tuple[str, str]]:
    pairs = []
    for number, text in enumerate(params, start=1):
        name, equals, value = text.partition("=")
        if not equals or not name:
            # Not repeated: it may be a secret that went astray.
            raise InvalidValue(f"parameter {number} is no NAME=VALUE")
        pairs.append((name, value))
    return pairs


def _drawn(lines: Sequence[Line], denied: Line | None) -> RenderableType:
    from rich.console import Group

    from hauberk.cli import table

    rows = [(one.rule, one.asked, one.said, "denies" if one.denies else "") for one in lines]
    decided = "passes" if denied is None else f"denied by {denied.rule}"
    return Group(table("", ("rule", "asks for", "said", ""), rows), f"\n{decided}")


COMMANDS: Final = (
    Command("policy explain", explain, group="What accounts may do."),
    Command("policy reset", reset, "config.write"),
)
