"""Sign Hyperliquid's actions with ccxt: JSON lines in, JSON lines out.

Runs in ccxt's environment; it knows nothing of Hauberk.
"""

from __future__ import annotations

import json
import sys

import ccxt


def main() -> None:
    """Answer every line with ccxt's signature."""
    for line in sys.stdin:
        case = json.loads(line)
        made = ccxt.hyperliquid({"privateKey": case["secret"], "walletAddress": case["key"]})
        made.options["sandboxMode"] = case["network"] == "Testnet"
        if case["types"] is None:
            vault = case["vault"]
            # ccxt takes a vault's address without its prefix here.
            signature = made.sign_l1_action(
                case["action"], case["nonce"], vault and vault[2:], case["expires"]
            )
        elif case["build"]:
            signature = getattr(made, case["build"])(case["message"])
        else:
            signature = made.sign_user_signed_action(case["types"], case["message"])
        print(json.dumps(signature))


if __name__ == "__main__":
    main()
