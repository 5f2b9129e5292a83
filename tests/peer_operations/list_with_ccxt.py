"""List ccxt's endpoints of some exchanges, and which of its unified methods call each: JSON out.

    python list_with_ccxt.py EXCHANGE …

Runs in an environment of its own, since ccxt pins what it needs; it knows nothing of Hauberk.
"""

from __future__ import annotations

import ast
import importlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import ccxt

HERE: Final = Path(__file__).parent
SECRETS: Final = json.loads((HERE.parent / "peer_signing" / "secrets.json").read_text("utf-8"))
#: Which of the made secrets an exchange takes; text where it is not named.
KINDS: Final = {
    "coinbase": "ecdsa",
    "coinbaseexchange": "base64",
    "kraken": "base64",
    "krakenfutures": "base64",
}
#: Endpoints whose names a method makes up as it runs, and which kind of method that is.
MADE_UP: Final = {"bitstamp": {re.compile("_address/$"): "read"}}
KEY: Final = "account-placeholderkey"
#: Addresses that ccxt lacks for groups of endpoints that it lists.
_BINGX: Final = "https://open-api.{hostname}/openApi"
_GATE: Final = dict.fromkeys(("unified", "loan", "flash_swap"), "https://api.gateio.ws/api/v4")
URLS: Final[dict[str, dict[str, Any]]] = {
    "bingx": dict.fromkeys(("agent", "wealth"), _BINGX),
    "gate": {"public": _GATE, "private": _GATE},
}
#: Names of headers and parameters that only signed requests have.
_SIGNS: Final = re.compile(
    rf"{KEY}|signature|authorization|-sign\b|api-?key|access-?key|authent", re.IGNORECASE
)
#: Unified methods that do what a bot does all day. The rest moves funds or changes settings.
GROUPS: Final = {
    "trade": re.compile(
        r"(create|edit)_.*orders?(_ws|_with_.*|_request)?\Z|close_(all_)?positions?"
    ),
    "cancel": re.compile(r"cancel_(all_)?(orders?|orders_.*|order_.*)\Z"),
    "read": re.compile(r"(fetch|watch|un_watch|load)_"),
}


class Source:
    """What the methods of an exchange name: other methods, and endpoints.

    Args:
        name: What ccxt calls the exchange.
        endpoints: The names of its endpoints, in both of ccxt's spellings.
    """

    def __init__(self, name: str, endpoints: set[str]) -> None:
        self._endpoints = endpoints
        self._methods: dict[str, set[str]] = {}
        self._named: dict[str, set[str]] = {}
        folder = Path(ccxt.__file__).parent
        for path in ("base/exchange.py", f"{name}.py", f"pro/{name}.py"):
            if (folder / path).is_file():
                self._read(ast.parse((folder / path).read_text("utf-8")))

    def _read(self, tree: ast.AST) -> None:
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            methods = self._methods.setdefault(function.name, set())
            named = self._named.setdefault(function.name, set())
            for node in ast.walk(function):
                if isinstance(node, ast.Attribute):
                    methods.add(node.attr)
                    named.add(node.attr)
                # Some methods choose an endpoint by its name.
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    named.add(node.value)

    def methods(self) -> Iterator[str]:
        """Every method."""
        return iter(self._methods)

    def reached(self, method: str) -> set[str]:
        """Return the endpoints that a method calls, itself or through others."""
        seen, left = {method}, [method]
        found: set[str] = set()
        while left:
            current = left.pop()
            found |= self._named[current] & self._endpoints
            more = self._methods[current] & self._methods.keys() - seen
            seen |= more
            left.extend(more)
        return found


def exchange_of(name: str) -> Any:
    """Make an exchange with credentials that open nothing."""
    exchange = getattr(ccxt, name)(
        {"apiKey": KEY, "secret": SECRETS[KINDS.get(name, "text")], "password": "passphrase"}
    )
    _add(exchange.urls["api"], URLS.get(name, {}))
    if name == "bingx":  # which joins it to text in one place
        exchange.nonce = lambda: "1700000000000"
    return exchange


def rows(name: str) -> Iterator[dict[str, Any]]:
    """List an exchange's endpoints."""
    exchange = exchange_of(name)
    listed = vars(importlib.import_module(f"ccxt.abstract.{name}").ImplicitAPI)
    named: dict[int, list[str]] = {}
    entries = {}
    for spelling, entry in listed.items():
        if type(entry).__name__ == "Entry":
            named.setdefault(id(entry), []).append(spelling)
            entries[id(entry)] = entry
    callers = _callers(name, {spelling for names in named.values() for spelling in names})
    for key, entry in entries.items():
        used = {one for spelling in named[key] for one in callers.get(spelling, ())}
        used |= {group for pattern, group in MADE_UP.get(name, {}).items()
                 if pattern.search(entry.path)}  # fmt: skip
        yield {**asked(exchange, entry), "needed": sorted(used)}


def _add(urls: dict[str, Any], more: dict[str, Any]) -> None:
    for part, url in more.items():
        if isinstance(url, dict):
            _add(urls[part], url)
        else:
            urls.setdefault(part, url)


def _callers(name: str, endpoints: set[str]) -> dict[str, set[str]]:
    source = Source(name, endpoints)
    found: dict[str, set[str]] = {}
    for method in source.methods():
        for group, pattern in GROUPS.items():
            if pattern.match(method):
                for endpoint in source.reached(method):
                    found.setdefault(endpoint, set()).add(group)
    return found


def asked(exchange: Any, entry: Any) -> dict[str, Any]:
    """Return an endpoint's method, host and path as ccxt sends it, and whether it is signed."""
    inside = re.findall(r"\{(\w+)\}", entry.path)
    params = {name: f"zz{name}zz" for name in inside}
    signed = exchange.sign(entry.path, entry.api, entry.method, params)
    url = urlsplit(signed["url"])
    told = f"{signed['headers']}{url.query}{signed['body']}"
    return {
        "method": entry.method,
        "host": url.netloc,
        "path": re.sub(r"zz(\w+?)zz", r"{\1}", url.path),
        "private": bool(_SIGNS.search(told)),
    }


def main() -> None:
    """Print a document an exchange, a line each; nothing for those that this ccxt lacks."""
    for name in sys.argv[1:]:
        if not hasattr(ccxt, name):
            continue
        told = {"ccxt": ccxt.__version__, "exchange": name, "endpoints": list(rows(name))}
        print(json.dumps(told))


if __name__ == "__main__":
    main()
