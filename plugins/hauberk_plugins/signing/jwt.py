"""JSON Web Tokens (RFC 7515, RFC 7519) as venues want them: the token `jwt` of a scheme."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import frozen

#: What algorithms are called in a token's header (RFC 7518, 3.1; RFC 8037, 3.1).
_ALG: Final = {"ecdsa-p256": "ES256", "ed25519": "EdDSA"}


@frozen
class Claims:
    """What a venue wants in its tokens.

    Attributes:
        write: From the values of a request and the name of the algorithm to the token without its
            signature. It reads `key`, `method`, `host`, `path`, `at_s` and `nonce`.
        read: From such a token to `at_s` and `nonce`; raises ValueError where it is none.
        window_s: For how long a token is valid, seconds.
    """

    write: Callable[[Mapping[str, str], str], str]
    read: Callable[[str], dict[str, str]]
    window_s: int


def part(value: Any) -> str:
    """Write one part of a token: compact JSON in base64url without padding."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return urlsafe_b64encode(text).rstrip(b"=").decode()


def _unpart(text: str) -> dict[str, Any]:
    found = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    if type(found) is not dict:
        raise ValueError("not a JSON object")
    return found


_COINBASE_S: Final = 120


def _coinbase(values: Mapping[str, str], algorithm: str) -> str:
    at = int(values["at_s"])
    header = {
        "alg": _ALG[algorithm], "typ": "JWT", "kid": values["key"], "nonce": values["nonce"]
    }  # fmt: skip
    claims = {
        "aud": ["retail_rest_api_proxy"],
        "iss": "coinbase-cloud",
        "nbf": at,
        "exp": at + _COINBASE_S,
        "sub": values["key"],
        "uri": f"{values['method']} {values['host']}{values['path']}",
        "iat": at,
    }
    return f"{part(header)}.{part(claims)}"


def _read_coinbase(text: str) -> dict[str, str]:
    header, _, claims = text.partition(".")
    found = {"at_s": _unpart(claims).get("nbf"), "nonce": _unpart(header).get("nonce")}
    return {name: str(value) for name, value in found.items()}


CLAIMS: Final = {"coinbase": Claims(_coinbase, _read_coinbase, _COINBASE_S)}
