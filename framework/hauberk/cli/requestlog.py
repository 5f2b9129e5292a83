"""Logs of requests as they were sent to a venue, each rebuilt into what was signed."""

from __future__ import annotations

import binascii
import json
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from hauberk.batch import Finding
from hauberk.cli.failure import UsageError
from hauberk.cli.requestkeys import RequestKey, batch_name, read_request_keys
from hauberk.errors import HauberkError, InvalidValue, SigningError
from hauberk.ports import Credentials, Venue
from hauberk.request import Request
from hauberk_plugins.batch.archive import MISSING, ArchiveUnusable, Part, Reader, Start
from hauberk_plugins.batch.keyfile import Key, KeysUnusable, Twice, once
from hauberk_plugins.batch.text import Columns, read_lines
from hauberk_plugins.signing.hyperliquid import HyperliquidVerifier
from hauberk_plugins.signing.scheme import read_scheme
from hauberk_plugins.signing.schemes import verifier_for
from hauberk_plugins.signing.verdict import VerificationFailed
from hauberk_plugins.signing.verifier import RequestVerifier
from hauberk_plugins.signing.wallet import wallet_address
from hauberk_plugins.venues.catalogue import VenueCatalogue

_SUFFIXES: Final = (".jsonl", ".ndjson")
_UNKNOWN: Final = Finding.UNKNOWN_KEY.reason

#: Of a request and whose it is: the message that was signed, and its signature.
Rebuild = Callable[[Request, Credentials], tuple[bytes, bytes]]


class RequestLog:
    """Reads logs of one venue's requests.

    Args:
        venue: The venue.
        path: The file of keys.

    Attributes:
        keys: For the engines.
        is_verified: Whether reading a row is verifying it, since no engine reads the venue's
            signatures: what is left to do is to report the rows that are rejected.

    Raises:
        KeysUnusable: A key is of no use for this venue.
        ConfigError: The venue's file cannot be obeyed.
        SigningError: A library that its scheme needs is not installed.
    """

    def __init__(self, venue: Venue, path: Path) -> None:
        verifier = verifier_for(venue)
        self.is_verified = isinstance(verifier, HyperliquidVerifier)
        scheme = None if self.is_verified else read_scheme(venue)
        self._keys = read_request_keys(path, venue.name, scheme)
        self.keys: dict[str, Key] = {
            name: one.key for name, one in self._keys.items() if one.key is not None
        }
        self._rebuild = _rebuilding(verifier)
        for name, one in self._keys.items():
            try:
                _check(verifier, name, one)
            except SigningError as error:
                raise KeysUnusable(f"{path}: key {name!r}: {error}") from None

    def reader_of(self, path: Path) -> Reader:
        """Return what reads a log.

        Raises:
            ArchiveUnusable: It is not in JSON lines.
        """
        if path.suffix.lower() not in _SUFFIXES:
            raise ArchiveUnusable(
                f"{path}: a log of requests is in JSON lines: its name must end in "
                f"{' or '.join(_SUFFIXES)}"
            )
        return self._read

    def _read(self, path: Path, start: Start) -> Iterator[Part]:
        return read_lines(path, start, lambda _: self._add)

    def _add(self, rows: Columns, line: bytes) -> None:
        row: Mapping[str, Any] = {}
        message, signature, why = b"", b"", ""
        try:
            row = _row(line)
            message, signature = self._rebuilt(row)
        except VerificationFailed as error:
            why = error.why
        except (_Rejected, InvalidValue) as error:
            why = str(error)
        # Of the algorithm, the key decides: a request does not say.
        told = {name: row.get(name) for name in ("key_id", "time")}
        rows.add(told, message, signature, why)

    def _rebuilt(self, row: Mapping[str, Any]) -> tuple[bytes, bytes]:
        key_id = row.get("key_id")
        if not isinstance(key_id, str) or not key_id:
            raise _Rejected(f"key_id: {MISSING}")
        key = self._keys.get(key_id)
        if key is None:
            raise _Rejected(_UNKNOWN)
        request = Request(
            row.get("method", ""),
            row.get("url", ""),
            headers=() if row.get("headers") is None else row["headers"],
            body=_body(row),
            account=key_id,
        )
        return self._rebuild(request, key.credentials)


def open_log(venue: str, path: Path) -> RequestLog:
    """Return what reads logs of a venue's requests; no configuration is needed.

    Args:
        venue: The name of a venue that comes with Hauberk, or the path of a file of one's own.
        path: The file of keys.

    Raises:
        HauberkError: There is no such venue, or as `RequestLog`.
    """
    own = Path(venue)
    if own.suffix == ".yml":
        if not own.is_file():
            raise UsageError(f"--venue {venue}: there is no such file")
        return RequestLog(VenueCatalogue((own.parent,)).venue(own.stem), path)
    return RequestLog(VenueCatalogue().venue(venue), path)


class _Rejected(HauberkError):
    """A row holds no request; says why."""


def _rebuilding(verifier: RequestVerifier | HyperliquidVerifier) -> Rebuild:
    def stated(request: Request, credentials: Credentials) -> tuple[bytes, bytes]:
        found = verifier.statement(request, credentials)  # type: ignore[union-attr]
        return found.message, found.signature

    def verified(request: Request, credentials: Credentials) -> tuple[bytes, bytes]:
        verifier.verify(request, credentials, None)
        return b"", b""

    return stated if isinstance(verifier, RequestVerifier) else verified


def _check(verifier: RequestVerifier | HyperliquidVerifier, name: str, key: RequestKey) -> None:
    """Refuse a key by which no request could verify.

    Raises:
        SigningError: Says why.
    """
    if key.key is None or isinstance(verifier, HyperliquidVerifier):
        wallet_address(key.credentials.key)
        return
    found = batch_name(verifier.algorithm(name, key.credentials))
    if found != key.key.algorithm:
        raise SigningError(f"it is of {found}, and said to be of {key.key.algorithm}")


def _row(line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line, object_pairs_hook=once)
    except Twice as error:
        raise _Rejected(f"{error.args[0][:40]!r} stands there twice") from None
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict):
        raise _Rejected("the line is no JSON object")
    return row


def _body(row: Mapping[str, Any]) -> bytes | str:
    """Return a row's body."""
    text, coded = row.get("body"), row.get("body_base64")
    if text is not None and coded is not None:
        raise _Rejected("it has body and body_base64: one of them is too much")
    if text is not None:
        if not isinstance(text, str):
            raise _Rejected("body: must be the text that was sent, or use body_base64")
        return text
    try:
        return b"" if coded is None else b64decode(coded, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise _Rejected("body_base64: is no base64") from None
