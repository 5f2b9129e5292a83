"""Sign cases with ccxt, its clock and nonces frozen: JSON lines in, JSON lines out.

Runs in an environment of its own, since ccxt pins what it needs; it knows nothing of Hauberk.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import ccxt


def exchange(case: dict[str, Any]) -> Any:
    """Make one of ccxt's exchanges with a case's credentials, options and moment."""
    credentials = case["credentials"]
    made = getattr(ccxt, case["ccxt"])(
        {
            "apiKey": credentials["key"],
            "secret": credentials["secret"],
            "password": credentials.get("passphrase"),
            **case.get("settings", {}),
        }
    )
    made.options.update(case.get("options", {}))
    ms = case["time_ns"] // 1_000_000
    made.milliseconds = lambda: ms
    made.seconds = lambda: ms // 1_000
    made.microseconds = lambda: case["time_ns"] // 1_000
    if "nonce" in case:
        made.uuid = lambda: case["nonce"]
        made.incrementing_nonce = lambda: int(case["nonce"])
        made.random_bytes = lambda _: case["nonce"]
    if case.get("nonce_is_own"):
        made.nonce = lambda: int(case["nonce"])
    return made


def main() -> None:
    """Answer every line with what ccxt would send."""
    for line in sys.stdin:
        case = json.loads(line)
        signed = exchange(case).sign(case["path"], case["api"], case["method"], case["params"])
        print(json.dumps({name: signed[name] for name in ("url", "method", "headers", "body")}))


if __name__ == "__main__":
    main()
