"""The way of a request: ban, weight, endpoint, key, signature, time, orders."""

from __future__ import annotations

from typing import Final

from attrs import define, field

from hauberk_plugins.sandbox import wire
from hauberk_plugins.sandbox.accounts import Account
from hauberk_plugins.sandbox.emergency import expire
from hauberk_plugins.sandbox.endpoints import BY_ROUTE, Endpoint
from hauberk_plugins.sandbox.parameters import NO_PARAMETERS, Parameters
from hauberk_plugins.sandbox.signatures import SIGNED_PARAMETERS, check_signature, check_time
from hauberk_plugins.sandbox.state import Asked, ExchangeState
from hauberk_plugins.sandbox.wire import HttpCall, Json, Refused

_NOBODY: Final = Account("", {})


@define
class Visit:
    """What is learnt of a request on its way, whether it gets through or not.

    Attributes:
        call: The request.
        now_ns: When it arrived.
        headers: Of the answer, so far.
        parameters: None until they are read.
        account: Empty until the signature is found good.
        weight: 0 until it is charged.
    """

    call: HttpCall
    now_ns: int
    headers: dict[str, str] = field(factory=dict)
    parameters: Parameters = NO_PARAMETERS
    account: str = ""
    weight: int = 0


def admit(state: ExchangeState, visit: Visit) -> Json:
    """Take a request through every check, do what it asks, and note on the visit what was learnt.

    Returns:
        The document to answer with status 200.

    Raises:
        Refused: Any other answer.
    """
    call, gate = visit.call, state.gate
    gate.refuse_banned(call.ip, visit.now_ns)
    endpoint = BY_ROUTE.get((call.method, call.path))
    _read(state, visit, endpoint)
    if endpoint is None:
        raise Refused(
            404, wire.UNKNOWN_ENDPOINT, f"Path {call.path}, Method {call.method} is invalid"
        )
    asked = _authenticate(state, visit, endpoint)
    expire(state, asked.now_ms)
    state.engine.match(asked.now_ms)
    if endpoint.places_order:
        visit.headers |= gate.charge_order(call.ip, asked.account.name, visit.now_ns)
    return endpoint.answer(state, asked)


def _read(state: ExchangeState, visit: Visit, endpoint: Endpoint | None) -> None:
    call, flaw = visit.call, None
    # What cannot be read costs 1: else a flood of it would be free.
    visit.weight = 1
    try:
        if call.fault:
            raise wire.bad_request(wire.ILLEGAL_CHARACTERS, call.fault)
        visit.parameters = Parameters.parse(call.query, call.body)
        visit.weight = endpoint.cost(visit.parameters) if endpoint else 1
    except Refused as refused:
        flaw = refused
    visit.headers |= state.gate.charge_weight(call.ip, visit.weight, visit.now_ns)
    if flaw:
        raise flaw


def _authenticate(state: ExchangeState, visit: Visit, endpoint: Endpoint) -> Asked:
    call, sent, now_ms = visit.call, visit.parameters, visit.now_ns // 1_000_000
    if call.method == "GET" and call.body:
        raise wire.bad_request(wire.UNREAD_PARAMETERS, "A GET request has no body.")
    if endpoint.permission is None:
        sent.expect(endpoint.mandatory, endpoint.optional)
        return Asked(sent, now_ms, _NOBODY)
    key = state.keys.find(call.api_keys, endpoint.permission)
    for name in ("timestamp", "signature"):
        sent.text(name)
    check_signature(key.secret, call)
    visit.account = key.account
    check_time(sent, now_ms)
    sent.expect(endpoint.mandatory, (*endpoint.optional, *SIGNED_PARAMETERS))
    return Asked(sent, now_ms, state.accounts[key.account], key.may)
