"""Sign the same actions of Hyperliquid with ccxt and with Hauberk, and compare the signatures.

    python compare_hyperliquid.py --peer PYTHON [--write FILE]

PYTHON is one that has ccxt. 300 actions with plain and 300 with wild members are signed as agents,
on both networks, with and without vaults and expiry, and 300 as messages of their own. ccxt makes
the requests of other venues in one function, `sign`; Hyperliquid's it signs before, so that they
are compared here. With `--write`, some become golden vectors.
"""

from __future__ import annotations

import argparse
import json
import random
import string
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from hauberk import Request, Secret
from hauberk.ports import Credentials
from hauberk_plugins.signing.hyperliquid_actions import USER_SIGNED
from hauberk_plugins.signing.schemes import signer_for
from hauberk_plugins.venues.catalogue import VenueCatalogue

HERE: Final = Path(__file__).parent
SECRET: Final = json.loads((HERE / "secrets.json").read_text("utf-8"))["secp256k1"]
KEY: Final = "0x14791697260e4c9a71f18484c9f997b308e59325"
URLS: Final = {
    "Mainnet": "https://api.hyperliquid.xyz/exchange",
    "Testnet": "https://api.hyperliquid-testnet.xyz/exchange",
}
EACH: Final = 300
KEPT: Final = 4
SEED: Final = 20_260_101
#: ccxt signs messages for this chain only.
CHAIN: Final = "0x66eee"
#: Messages that ccxt describes itself; for the others, it gets their members from here.
BUILDERS: Final = {
    "usdSend": "build_usd_send_sig",
    "usdClassTransfer": "build_usd_class_send_sig",
    "withdraw3": "build_withdraw_sig",
    "userDexAbstraction": "build_user_dex_abstraction_sig",
    "userSetAbstraction": "build_user_abstraction_sig",
    "approveBuilderFee": "build_approve_builder_fee_sig",
}
_PLAIN: Final = string.ascii_letters + string.digits + ".-"
_WILD: Final = _PLAIN + "äßéñЖ中文字日本한ער€₿😀🔑 \t\n\r\"'<>[]{}|\\^`~!@$*(),;:/?#%&=+\0"


def agents(kind: str, count: int) -> Iterator[dict[str, Any]]:
    """Make actions that are signed as agents."""
    source = random.Random(f"{SEED} hyperliquid {kind}")
    letters = _PLAIN if kind == "plain" else _WILD
    for number in range(count):
        order = {
            "a": source.randrange(20_000),
            "b": source.random() < 0.5,
            "p": str(source.randrange(1, 10**6) / 100),
            "s": str(source.randrange(1, 10**6) / 1_000),
            "r": source.random() < 0.5,
            "t": {"limit": {"tif": source.choice(["Alo", "Ioc", "Gtc"])}},
        }
        action: dict[str, Any] = {"type": "order", "orders": [order] * source.randint(1, 3)}
        if number % 2:
            action = {"type": _word(source, _PLAIN, 12), **_members(source, letters, 3)}
        yield {
            "network": source.choice(list(URLS)),
            "action": action,
            # ccxt writes a nonce's hexadecimal digits behind five zeros: eleven digits, until 2527.
            "nonce": source.randrange(1_600_000_000_000, 1_900_000_000_000),
            "vault": f"0x{source.getrandbits(160):040x}" if source.random() < 0.4 else None,
            "expires": source.randrange(1_600_000_000_000, 1_900_000_000_000)
            if source.random() < 0.4
            else None,
            "types": None,
        }


def messages(count: int) -> Iterator[dict[str, Any]]:
    """Make actions that are signed as messages of their own."""
    source = random.Random(f"{SEED} hyperliquid messages")
    for number in range(count):
        kind = list(USER_SIGNED)[number % len(USER_SIGNED)]
        name, fields = USER_SIGNED[kind]
        network = source.choice(list(URLS))
        values: dict[str, Any] = {field: _value(source, type_) for field, type_ in fields}
        values["hyperliquidChain"] = network
        last = fields[-1][0]
        yield {
            "network": network,
            "action": {"type": kind, "signatureChainId": CHAIN, **values},
            "nonce": values[last],
            "vault": None,
            "expires": None,
            "types": {
                f"HyperliquidTransaction:{name}": [
                    {"name": field, "type": type_} for field, type_ in fields
                ]
            },
            "build": BUILDERS.get(kind),
            "message": values,
        }


def _value(source: random.Random, type_: str) -> Any:
    if type_ == "bool":
        return source.random() < 0.5
    if type_ == "address":
        return f"0x{source.getrandbits(160):040x}"
    if type_ == "uint64":
        return source.getrandbits(source.randint(1, 64))
    return _word(source, _WILD, 24)


def _members(source: random.Random, letters: str, depth: int) -> dict[str, Any]:
    return {
        _word(source, letters, 40): _member(source, letters, depth)
        for _ in range(source.randint(0, 20 if depth == 3 else 4))
    }


def _member(source: random.Random, letters: str, depth: int) -> Any:
    kind = source.randrange(6 if depth else 4)
    if kind == 0:
        return source.choice([True, False, None])
    if kind == 1:
        return source.getrandbits(source.randint(1, 64))
    if kind == 2:
        return -source.getrandbits(source.randint(1, 63))
    if kind == 3:
        return _word(source, letters, 300)
    if kind == 4:
        return [_member(source, letters, depth - 1) for _ in range(source.randint(0, 17))]
    return _members(source, letters, depth - 1)


def _word(source: random.Random, characters: str, longest: int) -> str:
    return "".join(source.choices(characters, k=source.randint(1, longest)))


def signed_by_ccxt(peer: str, made: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Have ccxt sign every case, in a process of its own."""
    done = subprocess.run(
        [peer, str(HERE / "hyperliquid_with_ccxt.py")],
        input="".join(json.dumps({"secret": SECRET, "key": KEY, **case}) + "\n" for case in made),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(f"ccxt failed:\n{done.stderr[-3000:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def asked(case: dict[str, Any]) -> Request:
    """Return the request that a caller makes of a case."""
    members = {"action": case["action"]}
    if case["vault"] is not None:
        members["vaultAddress"] = case["vault"]
    if case["expires"] is not None:
        members["expiresAfter"] = case["expires"]
    return Request("POST", URLS[case["network"]], body=json.dumps(members, ensure_ascii=False))


def vector(case: dict[str, Any], signed: Request) -> dict[str, Any]:
    """Return a golden vector, as `docs/reference/signing-vectors.md` describes."""
    request = asked(case)
    return {
        "credentials": {"key": KEY, "secret": SECRET},
        "time_ns": case["nonce"] * 1_000_000,
        "nonce": str(case["nonce"]),
        "request": {
            "method": "POST",
            "url": request.url,
            "params": [],
            "body": request.body.decode(),
        },
        "signed": {
            "url": signed.url,
            "headers": [list(pair) for pair in signed.headers],
            "body": signed.body.decode(),
        },
    }


def main() -> int:
    """Compare, say what differs, and write vectors where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", required=True, help="a Python that has ccxt")
    parser.add_argument("--write", type=Path, help="the file that golden vectors go into")
    parser.add_argument("--count", type=int, default=EACH, help="actions of each kind")
    args = parser.parse_args()
    kinds = {
        "plain": list(agents("plain", args.count)),
        "wild": list(agents("wild", args.count)),
        "messages": list(messages(args.count)),
    }
    made = [case for cases in kinds.values() for case in cases]
    signer = signer_for(VenueCatalogue().venue("hyperliquid"))
    credentials = Credentials(Secret(KEY), Secret(SECRET))

    def sign(case: dict[str, Any]) -> Request:
        return signer.sign(
            asked(case), credentials, case["nonce"] * 1_000_000, lambda: str(case["nonce"])
        )

    wrong = 0
    for case, theirs in zip(made, signed_by_ccxt(args.peer, made), strict=True):
        ours = json.loads(sign(case).body)
        sent = {"action": case["action"], "nonce": case["nonce"], "signature": theirs}
        if {name: ours[name] for name in sent} != sent:
            wrong += 1
            if wrong <= 3:
                print(f"  {case}\n    ours   {ours['signature']}\n    theirs {theirs}")
    print(f"hyperliquid: {len(made) - wrong} of {len(made)} signatures equal", flush=True)
    if args.write and not wrong:
        kept = [
            case
            for name, cases in kinds.items()
            for case in cases[: len(USER_SIGNED) if name == "messages" else KEPT]
        ]
        document = {
            "format": "hauberk-signing-vectors 1",
            "venue": "hyperliquid",
            "source": {
                "peer": (HERE / "requirements.txt").read_text("utf-8").strip(),
                "recipe": "compare_hyperliquid.py",
                "seed": SEED,
            },
            "overlay": {},
            "vectors": [vector(case, sign(case)) for case in kept],
        }
        text = json.dumps(document, ensure_ascii=False, indent=1)
        args.write.write_text(text + "\n", "utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
