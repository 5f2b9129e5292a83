"""Signing beside ccxt's `sign()`: the same requests, made as `tests/peer_signing` makes them.

ccxt runs in an environment of its own, `.venv-ccxt`, made where it is missing, and in a process of
its own; the two take turns. Both are given what to sign ready made, a `Request` here and a dict
there. What either does the first time only, such as reading a private key, is done before; ccxt
reads it in every call.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _rounds import figure

ROOT = Path(__file__).parents[1]
PEER = ROOT / "tests" / "peer_signing"
sys.path.insert(0, str(PEER))

from compare import PLAIN, Recipe, asked, cases  # noqa: E402
from overlay import Overlaid  # noqa: E402

from hauberk import Request, Secret  # noqa: E402
from hauberk.ports import Credentials  # noqa: E402
from hauberk_plugins.signing.scheme import read_scheme  # noqa: E402
from hauberk_plugins.signing.signer import RequestSigner  # noqa: E402
from hauberk_plugins.venues.catalogue import VenueCatalogue  # noqa: E402

ROUNDS = 7
#: How long a round of each takes, about.
ROUND_S = 0.15
GOALS = {"rsa": "<= 0.05", "ed25519": "<= 1.0"}


def main() -> None:
    subprocess.run(["make", "--silent", ".venv-ccxt/.made"], cwd=ROOT, check=True)
    python = str(ROOT / ".venv-ccxt" / "bin" / "python")
    for path in sorted((PEER / "recipes").glob("*.yml")):
        recipe = Recipe(path)
        for kind in recipe.secrets:
            made = [case for case in cases(recipe, PLAIN, 200) if case["secret_kind"] == kind][:20]
            measure(recipe, kind, made, python)


def measure(recipe: Recipe, kind: str, made: list[dict[str, Any]], python: str) -> None:
    ours = [_signing(recipe, case) for case in made]

    def sign_all(rounds: int) -> float:
        began = time.perf_counter()
        for _ in range(rounds):
            for sign in ours:
                sign()
        return (time.perf_counter() - began) / rounds / len(ours)

    with subprocess.Popen(
        [python, str(PEER / "time_ccxt.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:

        def theirs(rounds: int) -> float:
            process.stdin.write(f"{rounds}\n")
            process.stdin.flush()
            return float(process.stdout.readline())

        process.stdin.write(json.dumps(made) + "\n")
        rounds = [max(1, round(ROUND_S / len(made) / once(1))) for once in (sign_all, theirs)]
        pairs = [(sign_all(rounds[0]), theirs(rounds[1])) for _ in range(ROUNDS)]
        process.stdin.close()
    value, peer = (statistics.median(side) * 1e6 for side in zip(*pairs, strict=True))
    name = f"{recipe.name}, {kind}" if len(recipe.secrets) > 1 else recipe.name
    figure(f"sign for {name}", value, "us", "ccxt's sign()", peer, GOALS.get(kind, "<= 1.0"))


def _signing(recipe: Recipe, case: dict[str, Any]) -> Callable[[], object]:
    venue = Overlaid(VenueCatalogue().venue(recipe.venue), recipe.overlay)
    signer = RequestSigner(read_scheme(venue))
    held = case["credentials"]
    credentials = Credentials(
        Secret(held["key"]),
        Secret(held["secret"]),
        Secret(held["passphrase"]) if "passphrase" in held else None,
    )
    params, body = asked(case)
    request = Request(case["method"], case["url"], params, body=body)
    at_ns, nonce = case["time_ns"], case.get("nonce", "")
    return lambda: signer.sign(request, credentials, at_ns, lambda: nonce)


if __name__ == "__main__":
    main()
