"""What may leave through a WebSocket: public subscriptions, and nothing that could be an order.

Hauberk signs no WebSocket message, and some exchanges take orders there without a signature, once a
login or a token has opened the way. So what is not known to be harmless is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from hauberk.clients.ccxtunsigned import MARK

#: Where exchanges say what a message is for.
_VERBS: Final = ("method", "op", "event", "action", "type", "reqType", "cmd")
#: Messages that are what they are by a name alone, as `{"sub": "market.btcusdt.trade"}`.
_NAMES: Final = frozenset({"sub", "unsub", "ping", "pong"})
_HARMLESS: Final = re.compile(
    r"(?:public/|bts:)?(?:[a-z0-9_]+\.)?(?:(?:un)?sub(?:scribe|scription)?(?:_all)?)\Z"
    r"|(?:public/)?(?:ping|pong|heartbeat|respond-heartbeat|set_heartbeat|test|conf|hello)\Z"
    r"|(?:server|[a-z]+\.)?ping\Z",
    re.IGNORECASE,
)


def objection(message: Any) -> str:
    """Say why a message may not be sent; empty where it may.

    Args:
        message: What ccxt is about to send: text, or what becomes JSON.
    """
    text = message if isinstance(message, str) else json.dumps(message, default=str)
    if MARK in text:
        return "it would have to be signed"
    try:
        documents = json.loads(text, object_pairs_hook=_unique)
    except _TwiceError:
        return "a name stands in it twice"
    except ValueError:
        documents = None if text.strip('"').lower() in ("ping", "pong") else [text]
    for document in documents if isinstance(documents, list) else [documents or {"ping": ""}]:
        if not isinstance(document, Mapping) or not _is_harmless(document):
            return "it is not known to be a public subscription"
    return ""


def _is_harmless(document: Mapping[str, Any]) -> bool:
    verbs = [document[name] for name in _VERBS if name in document]
    if not verbs:
        return not _NAMES.isdisjoint(document)
    # Which of several the exchange goes by, nobody knows.
    return all(isinstance(verb, str) and _HARMLESS.match(verb) for verb in verbs)


class _TwiceError(Exception):
    """Which of two values the exchange goes by, nobody knows."""


def _unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) != len(members):
        raise _TwiceError
    return found
