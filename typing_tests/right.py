"""A consumer of the installed distribution: everything here type-checks under --strict."""

from __future__ import annotations

import attrs

import hauberk
from hauberk import (
    Context,
    Deny,
    Identity,
    Incident,
    Login,
    Outcome,
    Plugin,
    Request,
    Response,
    Verdict,
    Wait,
    hookimpl,
)


class Everything(Plugin):
    interface = (1, 1)

    @attrs.frozen
    class Config:
        limit: int = 3

    def __init__(self, config: Config) -> None:
        self.limit = config.limit

    @hookimpl
    def on_start(self, context: Context) -> None:
        self.clock = context.clock

    @hookimpl
    def on_request(self, request: Request) -> Verdict:
        if request.method == "DELETE":
            return Wait(1.5)
        return None if len(request.params) < self.limit else Deny("too many", retry_after=1)

    @hookimpl
    def on_end(self, request: Request, left: bool, why: str) -> None:
        return None

    @hookimpl
    def on_login(self, login: Login) -> Deny | Identity | None:
        return Identity(login.user, ("operator",))

    @hookimpl
    async def on_response(self, request: Request, response: Response) -> None:
        return None

    @hookimpl
    async def on_incident(self, incident: Incident) -> Outcome | None:
        return Outcome(incident.title)


class Narrow(Plugin):
    """A narrower return type than the specification's is fine."""

    @hookimpl
    def on_request(self, request: Request) -> Deny | None:
        return None

    @hookimpl
    def on_response(self, request: Request, response: Response) -> None:
        return None


def bot() -> bytes:
    with hauberk.open("hauberk.yml") as guard:
        guard.register(Narrow(), name="narrow")

        @guard.on_incident
        def pause(incident: Incident) -> None:
            print(incident.title)

        request = Request("GET", "https://api.binance.com/api/v3/account", {"recvWindow": 5000})
        cleared = guard.clear(request, timeout_s=5)
        guard.settle(cleared, Response(200))
        return cleared.request.body


async def async_bot(guard: hauberk.Guard) -> str:
    cleared = await guard.aclear(Request("GET", "https://api.binance.com/api/v3/account"))
    incident = await guard.areport("odd", hauberk.Severity.LOW, {"a": 1})
    identity = await guard.alogin(Login("ada", hauberk.Secret("…")))
    return cleared.request.url + incident.id + identity.user
