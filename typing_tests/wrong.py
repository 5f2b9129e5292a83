"""Each marked line is a mistake that mypy --strict reports to a plugin's author."""

from __future__ import annotations

import hauberk
from hauberk import Deny, Identity, Incident, Login, Outcome, Plugin, Request, Response, hookimpl


class WrongArgument(Plugin):
    @hookimpl
    def on_request(self, request: Response) -> Deny | None:  # E: override
        return None


class WrongReturn(Plugin):
    @hookimpl
    def on_request(self, request: Request) -> bool:  # E: override
        return True


class SaysAllow(Plugin):
    @hookimpl
    def on_request(self, request: Request) -> Deny | str | None:  # E: override
        return "allow"


class MissingArgument(Plugin):
    @hookimpl
    def on_end(self, request: Request, left: bool) -> None:  # E: override
        return None


class AsyncGuard(Plugin):
    @hookimpl
    async def on_request(self, request: Request) -> Deny | None:  # E: override
        return None


class WrongOutcome(Plugin):
    @hookimpl
    def on_incident(self, incident: Incident) -> Deny | None:  # E: override
        return None


class WrongLogin(Plugin):
    @hookimpl
    def on_login(self, login: Login) -> str:  # E: override
        return login.user


class WrongSigner(Plugin):
    @hookimpl
    def sign_request(self, request: Request) -> Request | None:  # E: override
        return None


def misuse(guard: hauberk.Guard) -> None:
    guard.clear("https://api.binance.com/api/v3/account")  # E: arg-type
    guard.report("title", 4)  # E: arg-type
    Outcome(did=True)  # E: arg-type
    Identity(1)  # E: arg-type
    Login("ada", "hunter2")  # E: arg-type
    Request("GET", "https://api.binance.com/x").url = "other"  # E: misc
    Deny("no").reason = "yes"  # E: misc
