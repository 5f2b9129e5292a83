"""What ccxt, guarded, asks for: signed by Hauberk it is what ccxt, with keys, would have sent.

    PYTHON golden_with_ccxt.py [RECIPE …]

Runs where ccxt and Hauberk are both installed. The requests are those of `tests/peer_signing`. What
ccxt writes for a bot is stripped, taken apart, and signed with the venue's file; it must equal what
`tests/peer_signing/compare.py` signs of the same parameters, which it compares with ccxt's own.
"""

from __future__ import annotations

import os
import sys
from inspect import signature
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ccxt

PEER_SIGNING = Path(__file__).parents[1] / "peer_signing"
sys.path.insert(0, str(PEER_SIGNING))

from compare import PLAIN, WILD, Recipe, cases, signed_by_us  # noqa: E402
from overlay import Overlaid  # noqa: E402
from sign_with_ccxt import exchange  # noqa: E402

from hauberk import Request, Secret  # noqa: E402
from hauberk.clients import ccxt as guarded_ccxt  # noqa: E402
from hauberk.clients.unsigned import unsigned  # noqa: E402
from hauberk.ports import Credentials  # noqa: E402
from hauberk_plugins.signing.scheme import read_scheme  # noqa: E402
from hauberk_plugins.signing.signer import RequestSigner  # noqa: E402
from hauberk_plugins.venues.catalogue import VenueCatalogue  # noqa: E402

#: Hyperliquid's actions are signed inside ccxt's methods, which a guarded exchange refuses.
#: Of each kind; CI compares a part, since ccxt makes each exchange anew.
EACH = 60 if os.environ.get("HAUBERK_SWEEP") == "full" else 6


def asked_by_ccxt(recipe: Recipe, case: dict[str, Any]) -> Request:
    """Return the request that a guarded exchange has cleared."""
    bare = {**case, "credentials": {"key": None, "secret": None}}
    made = exchange(bare)
    venue = VenueCatalogue().venue(recipe.venue)
    account = SimpleNamespace(base_url="")
    bindings = {"main": SimpleNamespace(venue=venue, account=account)}
    guard: Any = SimpleNamespace(snapshot=SimpleNamespace(bindings=bindings))
    guarded_ccxt.guarded(made, guard)
    api = case["api"]
    if isinstance(signature(ccxt.Exchange.sign).parameters["api"].default, list):
        api = [api] if isinstance(api, str) else api
    written = made.sign(case["path"], api, case["method"], case["params"])
    headers = list((written["headers"] or {}).items())
    return unsigned(written["method"], written["url"], headers, (written["body"] or "").encode())[0]


def signed(recipe: Recipe, case: dict[str, Any], request: Request) -> Request:
    venue = Overlaid(VenueCatalogue().venue(recipe.venue), recipe.overlay)
    held = case["credentials"]
    passphrase = Secret(held["passphrase"]) if "passphrase" in held else None
    credentials = Credentials(Secret(held["key"]), Secret(held["secret"]), passphrase)
    if recipe.is_sorted or getattr(venue, "sorts_params", False):
        request = request.amend(params=sorted(request.params))
    signer = RequestSigner(read_scheme(venue))
    return signer.sign(request, credentials, case["time_ns"], lambda: case["nonce"])


def compare(name: str) -> tuple[int, int, list[str]]:
    recipe = Recipe(PEER_SIGNING / "recipes" / f"{name}.yml")
    good, count, wrong = 0, 0, []
    for kind in (PLAIN, WILD):
        for case in cases(recipe, kind, EACH):
            count += 1
            ours = signed_by_us(recipe, case)
            try:
                theirs = signed(recipe, case, asked_by_ccxt(recipe, case))
                same = (ours.method, ours.url, ours.body) == (
                    theirs.method,
                    theirs.url,
                    theirs.body,
                )
                auth = {n.lower() for n, _ in ours.headers}
                kept = [pair for pair in theirs.headers if pair[0].lower() in auth]
                same = same and sorted(kept) == sorted(ours.headers)
                text = "" if same else f"ours {tuple(ours)[1:5]}\n   theirs {tuple(theirs)[1:5]}"
            except Exception as error:
                same, text = False, f"{type(error).__name__}: {error}"
            good += same
            if not same:
                wrong.append(f"{kind} {case['method']} {case['path']} {text}")
    return good, count, wrong


def main() -> int:
    """Compare, and say what differs."""
    names = sys.argv[1:] or sorted(path.stem for path in (PEER_SIGNING / "recipes").glob("*.yml"))
    failed = 0
    for name in names:
        if not hasattr(ccxt, Recipe(PEER_SIGNING / "recipes" / f"{name}.yml").ccxt):
            print(f"{name}: this ccxt has it no more")
            continue
        good, count, wrong = compare(name)
        print(f"{name}: {good} of {count} are what ccxt with keys would have sent", flush=True)
        for text in wrong[:2]:
            print("  ", text[:900])
        failed += bool(wrong)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
