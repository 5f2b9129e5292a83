"""A guard in one line, on ports in memory and a clock that the test moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypedDict, Unpack

from attrs import frozen

from hauberk.accounts import Account
from hauberk.guard import Guard
from hauberk.hooks import Plugin, hookimpl
from hauberk.plan import Plan, Planned
from hauberk.ports import PORTS, Clock
from hauberk.records import Incident, Outcome, Severity
from hauberk.registry import BOTS, FIRST
from hauberk.request import Request
from hauberk.settings import KernelLimits, Mode, Settings
from hauberk.testing.clock import FakeClock
from hauberk.testing.ports import (
    FixedPrices,
    HmacReference,
    MemoryStores,
    MemoryVault,
    OpenVenue,
    OpenVenues,
    PlainHashes,
    PlainSigner,
    StaticKeys,
)
from hauberk.verdicts import Deny

#: A URL that the open venue maps to an order.
DEFAULT_URL: Final = "https://api.open.test/trade/order"


class Providers(Plugin):
    """Every port in one plugin, but the way out and who may use what."""

    interface = (1, 1)
    provides = {port: port for port in PORTS if port not in ("transport", "access")}

    def __init__(self, *venues: OpenVenue) -> None:
        self.store = MemoryStores()
        self.vault = MemoryVault()
        self.sealed = MemoryStores()
        self.keys = StaticKeys()
        self.venues = OpenVenues(*venues)
        self.reference_price = FixedPrices({})
        self.reference = HmacReference()
        self.hashes = PlainHashes()


class HaltOnHigh(Plugin):
    """Stands in for the kill switch: HIGH and CRITICAL halt everything."""

    interface = (1, 1)

    def __init__(self) -> None:
        self.why = ""

    @hookimpl
    def on_request(self, request: Request) -> Deny | None:  # noqa: ARG002 - halts all alike
        """Deny while halted."""
        return Deny(f"halted: {self.why}") if self.why else None

    @hookimpl
    def on_incident(self, incident: Incident) -> Outcome | None:
        """Halt."""
        if incident.severity < Severity.HIGH:
            return None
        self.why = incident.title
        return Outcome("halted")


@frozen
class _Made:
    """Makes nothing: returns what there is, so that a reload finds it unchanged."""

    plugin: object

    def __call__(self) -> object:
        return self.plugin


class PlanOptions(TypedDict, total=False):
    """What `make_plan` takes beside plugins and ports, to be handed on."""

    grants: Mapping[str, Sequence[str]] | None
    required: Sequence[str]
    order: Sequence[str]
    mode: Mode
    accounts: Mapping[str, Account] | None
    limits: KernelLimits | None


def make_plan(
    *plugins: object,
    grants: Mapping[str, Sequence[str]] | None = None,
    required: Sequence[str] = (),
    order: Sequence[str] = (),
    mode: Mode = Mode.ENFORCE,
    accounts: Mapping[str, Account] | None = None,
    limits: KernelLimits | None = None,
    providers: Plugin | None = None,
) -> Plan:
    """Plan a guard around plugins.

    Args:
        plugins: Objects, or (name, object) pairs; an object is named after its class in lower
            case. One named `killswitch` stands in for `HaltOnHigh`.
        grants: Plugin name to grants; a port such as `store` is one.
        required: Names; the kill switch is required in any case.
        order: The names of `plugins:`; unless given, the kill switch, then the plugins as given,
            then `bots`, then `signing`.
        mode: Enforce, or shadow.
        accounts: By name; one account `main` at the venue `open` unless given.
        limits: Time limits of the kernel.
        providers: A plugin that provides ports, in place of those in memory.
    """
    by_name = dict(named(plugin) for plugin in plugins)
    switch = by_name.pop(FIRST, None) or HaltOnHigh()
    by_name = {FIRST: switch, **by_name}
    by_name.setdefault("signing", PlainSigner())
    granted = {"signing": ("sign",), **(grants or {})}
    source = providers or Providers()
    settings = Settings(
        mode=mode,
        accounts={"main": Account("open")} if accounts is None else accounts,
        ports=dict.fromkeys(source.provides, "providers"),
        limits=limits or KernelLimits(),
    )
    planned = [
        Planned(
            name, _Made(plugin), None, frozenset(granted.get(name, ())),
            name in (FIRST, *required), "test",
        )
        for name, plugin in by_name.items()
    ]  # fmt: skip
    first = Planned("providers", _Made(source), required=True, origin="test")
    middle = [name for name in by_name if name not in (FIRST, "signing")]
    return Plan(
        settings, order or [FIRST, *middle, BOTS, "signing"], [first, *planned],
        reserved=frozenset({first.name, *by_name}),
    )  # fmt: skip


def make_guard(
    *plugins: object,
    clock: Clock | None = None,
    providers: Plugin | None = None,
    **options: Unpack[PlanOptions],
) -> Guard:
    """Make a guard around plugins; arguments as `make_plan`, and a clock."""
    plan = make_plan(*plugins, providers=providers, **options)
    return Guard(plan, clock=clock or FakeClock(), replan=lambda: plan)


def named(plugin: object) -> tuple[str, object]:
    """Return a plugin with its name: a pair as it is, an object after its class."""
    if isinstance(plugin, tuple):
        name, plugin = plugin
        return name, plugin
    return type(plugin).__name__.lower(), plugin
