"""Cancelling everything at once, and after a countdown that nobody renews.

Binance's USDⓈ-M futures, "Cancel All Open Orders" and "Auto-Cancel All Open Orders". What ends
between two requests is dated at the next one, or when its operator looks.
"""

from __future__ import annotations

from hauberk_plugins.sandbox import wire
from hauberk_plugins.sandbox.state import Asked, ExchangeState
from hauberk_plugins.sandbox.timers import MAX_COUNTDOWN_MS
from hauberk_plugins.sandbox.wire import Json, bad_request


def cancel_all(state: ExchangeState, asked: Asked) -> Json:
    """Cancel every open order of a symbol; none at all is as good."""
    symbol = state.market.rules(asked.parameters.text("symbol")).symbol
    _cancel(state, asked.account.name, symbol, asked.now_ms)
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


def count_down(state: ExchangeState, asked: Asked) -> Json:
    """Have every open order of a symbol cancelled later; 0 stops the countdown."""
    symbol = state.market.rules(asked.parameters.text("symbol")).symbol
    countdown_ms = asked.parameters.integer("countdownTime")
    if countdown_ms > MAX_COUNTDOWN_MS:
        raise bad_request(
            wire.INVALID_PARAMETER, "Data sent for parameter 'countdownTime' is not valid."
        )
    if countdown_ms:
        state.timers.arm(asked.account.name, symbol, asked.now_ms + countdown_ms)
    else:
        state.timers.disarm(asked.account.name, symbol)
    return {"symbol": symbol, "countdownTime": str(countdown_ms)}


def expire(state: ExchangeState, now_ms: int) -> None:
    """Cancel what countdowns that have ended were for."""
    for account, symbol in state.timers.take_ended(now_ms):
        _cancel(state, account, symbol, now_ms)


def _cancel(state: ExchangeState, account: str, symbol: str, now_ms: int) -> None:
    owner = state.accounts[account]
    for order in state.engine.blotter(owner).open_in(symbol):
        state.engine.cancel(owner, order, now_ms)
