"""Sign the same requests with ccxt and with Hauberk, and compare every byte.

    python compare.py --peer PYTHON [VENUE …] [--write FOLDER]

PYTHON is one that has ccxt. A recipe in `recipes/` says how a venue's requests are made; each is
signed 300 times with plain and 300 times with wild parameters, spread over its endpoints. With
`--write`, the first of each endpoint become golden vectors, which are checked without ccxt.
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
from urllib.parse import quote

from overlay import Overlaid

from hauberk import Request, Secret
from hauberk.ports import Credentials
from hauberk.yamlfile import load_yaml
from hauberk_plugins.signing.scheme import read_scheme
from hauberk_plugins.signing.signer import RequestSigner
from hauberk_plugins.venues.catalogue import VenueCatalogue

HERE: Final = Path(__file__).parent
#: Made for this, one of each kind that venues take.
SECRETS: Final = json.loads((HERE / "secrets.json").read_text("utf-8"))
PLAIN, WILD = "plain", "wild"
EACH: Final = 300
#: Kept in the repository, of each endpoint and each kind of parameters.
KEPT: Final = 2
SEED: Final = 20_260_101
#: What is legal in a URL as it is (RFC 3986, 2.2 and 2.3), and `%`.
_LEGAL: Final = string.ascii_letters + string.digits + "-._~:/?#[]@!$&'()*+,;=%"
_WILD: Final = (
    "äßéñçøžğЖЩ中文字漢語日本한국어עבריתالعربية€£¥₿∞≠½😀🚀🔑 \t\n\r\"'<>[]{}|\\^`~!@$*(),;:/?#%&=+"
)


class Recipe:
    """How the requests of a venue are made; see `docs/reference/signing-vectors.md`."""

    def __init__(self, path: Path) -> None:
        data = load_yaml(path).data
        self.venue = path.stem.partition(".")[0]
        self.name = path.stem
        self.ccxt: str = data["ccxt"]
        self.secrets: list[str] = data.get("secrets", ["text"])
        self.has_passphrase: bool = data.get("passphrase", False)
        self.key: str = data.get("key", "")
        self.options: dict[str, Any] = data.get("options", {})
        self.settings: dict[str, Any] = data.get("settings", {})
        self.overlay: dict[str, Any] = data.get("overlay", {})
        #: What the nonce is: `ms` (of the moment), `uuid`, a text of its own, or nothing.
        self.nonce: str = data.get("nonce", "")
        #: Whether ccxt signs and hands over an unescaped query, for its HTTP client to escape.
        self.is_raw: bool = data.get("raw_query", False)
        #: Characters that wild parameters leave out.
        self.without: str = data.get("without", "")
        #: Headers of ccxt that are not compared, such as its broker id.
        self.ignored: set[str] = {name.lower() for name in data.get("ignore_headers", [])}
        #: Whether ccxt says what type a body is of where there is none, which says nothing.
        self.ignores_type_of_nothing: bool = data.get("ignore_type_of_nothing", False)
        #: Whether parameters are given sorted by name, where we sort them all and ccxt does not.
        self.is_sorted: bool = data.get("given_sorted", False)
        self.ignores_body: bool = data.get("ignore_body", False)
        #: Whether every case has at least one parameter.
        self.never_empty: bool = data.get("never_empty", False)
        self.endpoints: list[dict[str, Any]] = data["endpoints"]


def cases(recipe: Recipe, kind: str, count: int) -> Iterator[dict[str, Any]]:
    """Make the requests of a venue: the same ones each time."""
    source = random.Random(f"{SEED} {recipe.name} {kind}")
    for number in range(count):
        endpoint = recipe.endpoints[number % len(recipe.endpoints)]
        secret = recipe.secrets[number // len(recipe.endpoints) % len(recipe.secrets)]
        ms = source.randrange(1_600_000_000, 1_900_000_000) * 1_000 + source.randrange(1_000)
        ms -= ms % 1_000 if endpoint.get("whole_seconds") else 0
        made = {} if endpoint.get("bare") else dict(_params(source, kind, recipe))
        params = {**made, **endpoint.get("given", {}), **endpoint.get("body", {})}
        params = dict(sorted(params.items())) if recipe.is_sorted else params
        inside = {name: _word(source, string.ascii_letters + string.digits, 8)
                  for name in endpoint.get("in_path", [])}  # fmt: skip
        case = {
            "ccxt": recipe.ccxt,
            "secret_kind": secret,
            "credentials": _credentials(source, recipe, secret),
            "settings": recipe.settings,
            "options": {**recipe.options, **endpoint.get("options", {})},
            "api": endpoint["api"],
            "path": endpoint["path"],
            "method": endpoint["method"],
            "url": endpoint["url"].format(**inside),
            "given": params,
            "params": {**inside, **params},
            "time_ns": ms * 1_000_000,
            "endpoint": number % len(recipe.endpoints),
            # Parameters that are no text go as a body.
            "has_body": "body" in endpoint,
            "kind": kind,
        }
        if recipe.nonce:
            case["nonce"] = str(ms) if recipe.nonce == "ms" else _uuid(source)
        yield case


def _params(source: random.Random, kind: str, recipe: Recipe) -> Iterator[tuple[str, str]]:
    letters = string.ascii_lowercase
    wild = "".join(sorted(set(_WILD) - set(recipe.without))) + string.ascii_letters
    fewest = 1 if recipe.never_empty else 0
    for _ in range(source.randint(fewest, 6)):
        name = "p" + _word(source, letters, 8)
        if kind == PLAIN:
            yield name, _word(source, string.ascii_letters + string.digits + "-._", 12)
        else:
            yield name, _word(source, wild, 16)


def _word(source: random.Random, characters: str, longest: int) -> str:
    return "".join(source.choices(characters, k=source.randint(1, longest)))


def _uuid(source: random.Random) -> str:
    digits = f"{source.getrandbits(128):032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _credentials(source: random.Random, recipe: Recipe, kind: str) -> dict[str, str]:
    key = recipe.key or _word(source, string.ascii_letters + string.digits, 1) * 8
    found = {"key": key, "secret": SECRETS[kind]}
    if recipe.has_passphrase:
        found["passphrase"] = "a passphrase".replace(" ", "-")
    return found


def signed_by_ccxt(peer: str, made: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Have ccxt sign every case, in a process of its own."""
    lines = "".join(json.dumps(case) + "\n" for case in made)
    done = subprocess.run(
        [peer, str(HERE / "sign_with_ccxt.py")],
        input=lines, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(f"ccxt failed:\n{done.stderr[-3000:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def signed_by_us(recipe: Recipe, case: dict[str, Any]) -> Request:
    """Sign a case with the venue's file, under the recipe's overlay."""
    venue = Overlaid(VenueCatalogue().venue(recipe.venue), recipe.overlay)
    signer = RequestSigner(read_scheme(venue))
    params, body = asked(case)
    request = Request(case["method"], case["url"], params, body=body)
    held = case["credentials"]
    credentials = Credentials(
        Secret(held["key"]),
        Secret(held["secret"]),
        Secret(held["passphrase"]) if "passphrase" in held else None,
    )
    return signer.sign(request, credentials, case["time_ns"], lambda: case["nonce"])


def asked(case: dict[str, Any]) -> tuple[tuple[tuple[str, str], ...], str]:
    """Return the parameters, or the body, that a caller gives."""
    if not case["has_body"]:
        return tuple(case["given"].items()), ""
    return (), json.dumps(case["given"], ensure_ascii=False, separators=(",", ":"))


def differences(recipe: Recipe, case: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """Say in what the two differ."""
    ours = signed_by_us(recipe, case)
    found = []
    if ours.method != theirs["method"]:
        found.append(f"method\n    ours   {ours.method}\n    theirs {theirs['method']}")
    if len(dict(ours.headers)) != len(ours.headers):
        found.append("a header that we send twice")
    if ours.url != (url := _sendable(theirs["url"], recipe)):
        found.append(f"url\n    ours   {ours.url}\n    theirs {url}")
    wanted = {name.lower(): str(value) for name, value in (theirs["headers"] or {}).items()
              if value is not None and name.lower() not in recipe.ignored}  # fmt: skip
    got = {name.lower(): value for name, value in ours.headers
           if name.lower() not in recipe.ignored}  # fmt: skip
    body = (theirs["body"] or "").encode()
    if recipe.ignores_type_of_nothing and not body and "content-type" not in got:
        wanted.pop("content-type", None)
    for name in sorted(wanted.keys() | got.keys()):
        if wanted.get(name) != got.get(name):
            found.append(f"{name}\n    ours   {got.get(name)}\n    theirs {wanted.get(name)}")
    if not recipe.ignores_body and ours.body != body:
        found.append(f"body\n    ours   {ours.body.decode()}\n    theirs {body.decode()}")
    return found


def _sendable(url: str, recipe: Recipe) -> str:
    """Return a URL as ccxt's HTTP client sends it: what no URL may hold is percent-encoded."""
    base, mark, query = url.partition("?")
    if not mark or not query:
        return base
    if recipe.is_raw:
        pairs = [piece.partition("=")[::2] for piece in query.split("&")]
        query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
    return f"{base}?{quote(query, safe=_LEGAL)}"


def vectors(recipe: Recipe, made: list[dict[str, Any]], peer: str) -> dict[str, Any]:
    """Return the golden vectors of a venue, as `docs/reference/signing-vectors.md` describes."""
    seen: dict[tuple[int, str, str], int] = {}
    kept = []
    for case in made:
        at = (case["endpoint"], case["kind"], case["secret_kind"])
        seen[at] = seen.get(at, 0) + 1
        if seen[at] > KEPT:
            continue
        signed, (params, body) = signed_by_us(recipe, case), asked(case)
        kept.append(
            {
                "credentials": case["credentials"],
                "time_ns": case["time_ns"],
                **({"nonce": case["nonce"]} if "nonce" in case else {}),
                "request": {
                    "method": case["method"],
                    "url": case["url"],
                    "params": list(params),
                    **({"body": body} if body else {}),
                },
                "signed": {
                    "url": signed.url,
                    "headers": [list(pair) for pair in signed.headers],
                    "body": signed.body.decode(),
                },
            }
        )
    return {
        "format": "hauberk-signing-vectors 1",
        "venue": recipe.venue,
        "source": {"peer": peer, "recipe": f"recipes/{recipe.name}.yml", "seed": SEED},
        "overlay": recipe.overlay,
        "vectors": kept,
    }


def main() -> int:
    """Compare, say what differs, and write vectors where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", required=True, help="a Python that has ccxt")
    parser.add_argument("--write", type=Path, help="where golden vectors go")
    parser.add_argument("--count", type=int, default=EACH, help="requests of each kind")
    parser.add_argument("venues", nargs="*", help="recipes; all of them where none is named")
    args = parser.parse_args()
    names = args.venues or sorted(path.stem for path in (HERE / "recipes").glob("*.yml"))
    version = (HERE / "requirements.txt").read_text("utf-8").strip()
    failed = 0
    for name in names:
        recipe = Recipe(HERE / "recipes" / f"{name}.yml")
        made = [case for kind in (PLAIN, WILD) for case in cases(recipe, kind, args.count)]
        theirs = signed_by_ccxt(args.peer, made)
        wrong = [(case, found) for case, other in zip(made, theirs, strict=True)
                 if (found := differences(recipe, case, other))]  # fmt: skip
        print(f"{name}: {len(made) - len(wrong)} of {len(made)} equal to the byte", flush=True)
        for case, found in wrong[:3]:
            print(f"  {case['kind']} {case['method']} {case['url']}")
            print("".join(f"  {line}\n" for line in found), end="")
        failed += bool(wrong)
        if args.write and not wrong:
            text = json.dumps(vectors(recipe, made, version), ensure_ascii=False, indent=1)
            (args.write / f"{name}.json").write_text(text + "\n", "utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
