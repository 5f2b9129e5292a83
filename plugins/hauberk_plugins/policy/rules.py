"""Which rules of `hauberk.yml` are for a request, by everything but its orders."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from attrs import frozen

from hauberk.accounts import Account
from hauberk.request import Operation
from hauberk_plugins.policy.config import Caps, Match, PolicyConfig, Rule
from hauberk_plugins.policy.limits import Denial, Limit, Listed, MaxOrder, PriceBand
from hauberk_plugins.policy.rate import Rate
from hauberk_plugins.policy.symbols import SymbolSet, glob

_NAMED: Final = re.compile(r"\{[^}]*\}")


@frozen
class Asked:
    """A request, but for what it says.

    Attributes:
        name: The account's name.
        account: The account.
        method: In capitals.
        path: Of its URL.
        operation: What it does.
    """

    name: str
    account: Account
    method: str
    path: str
    operation: Operation

    @property
    def reduces(self) -> bool:
        """Whether the exchange lets it do no more than reduce a position, as the file says."""
        return self.operation is Operation.REDUCE


@frozen(eq=False)
class Numbered:
    """A rule, and where it stands."""

    path: str
    rule: Rule


def numbered(config: PolicyConfig) -> tuple[Numbered, ...]:
    """Return every rule in order."""
    return tuple(Numbered(f"policy.rules.{at}", rule) for at, rule in enumerate(config.rules))


def fits(match: Match, asked: Asked) -> bool:
    """Whether a rule is for a request; what it says of symbols is for its orders."""
    return (
        (match.account is None or asked.name in match.account)
        and (match.venue is None or asked.account.venue in match.venue)
        and (match.operation is None or asked.operation in match.operation)
        and (match.method is None or asked.method in match.method)
        and (match.path is None or any(glob(one).match(asked.path) for one in match.path))
    )


def may_fit(match: Match, endpoint: str) -> bool:
    """Whether a rule may be for some request to an endpoint such as `GET /orders/{id}`."""
    method, _, path = endpoint.partition(" ")
    if match.method is not None and method not in match.method:
        return False
    if match.path is None:
        return True
    # Each side may leave something open: try both.
    opened = glob(_NAMED.sub("*", path))
    return any(
        glob(one).match(path) or opened.match(one) or glob(one).match(_NAMED.sub("x", path))
        for one in match.path
    )


def denials(config: PolicyConfig, asked: Asked) -> Iterator[tuple[str, str]]:
    """Find the rules that deny a request as a whole: where each stands, and what it says."""
    for one in numbered(config):
        if one.rule.deny and one.rule.match.symbol is None and fits(one.rule.match, asked):
            yield f"{one.path}.deny", _why(one.rule)


def limits(config: PolicyConfig, asked: Asked) -> Iterator[Limit]:
    """Find what each order of a request must keep to, in the order of the file."""
    for path, caps in sections(config, asked.name):
        if caps.symbols is not None:
            yield Listed(f"{path}.symbols", SymbolSet(caps.symbols))
        # Nothing that reduces can be larger than the position, which is what the cap is for; a rule
        # that names `reduce` holds all the same.
        if caps.max_order is not None and not asked.reduces:
            yield MaxOrder(f"{path}.max_order", caps.max_order)
        if caps.price_band is not None:
            yield PriceBand(f"{path}.price_band", caps.price_band)
    for one in numbered(config):
        rule, path = one.rule, one.path
        if not fits(rule.match, asked):
            continue
        only = None if rule.match.symbol is None else SymbolSet(rule.match.symbol)
        if rule.deny and only is not None:
            yield Denial(f"{path}.deny", only, f": {_why(rule)}" if _why(rule) else "")
        if rule.max_order is not None and not (asked.reduces and rule.match.operation is None):
            yield MaxOrder(f"{path}.max_order", rule.max_order, only)
        if rule.price_band is not None:
            yield PriceBand(f"{path}.price_band", rule.price_band, only)


def rates(config: PolicyConfig, asked: Asked) -> Iterator[tuple[str, Rate, SymbolSet | None]]:
    """Find how many orders a request's account may place: where, how many, of which symbols."""
    for path, caps in sections(config, asked.name):
        if caps.max_orders is not None:
            yield f"{path}.max_orders", caps.max_orders, None
    for one in numbered(config):
        rule = one.rule
        if rule.max_orders is not None and fits(rule.match, asked):
            only = None if rule.match.symbol is None else SymbolSet(rule.match.symbol)
            yield f"{one.path}.max_orders", rule.max_orders, only


def sections(config: PolicyConfig, account: str) -> Iterator[tuple[str, Caps]]:
    """Find the sections that hold for an account: the one for all, and its own."""
    yield "policy", config
    if account in config.accounts:
        yield f"policy.accounts.{account}", config.accounts[account]


def _why(rule: Rule) -> str:
    return rule.deny if isinstance(rule.deny, str) else ""
