"""`hauberk verify --venue`: requests as they were sent, each rebuilt into what was signed."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, field, frozen
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from hauberk.cli.main import main
from hauberk.errors import SigningError
from hauberk.ports import Credentials
from hauberk.request import Request
from hauberk.secret import Secret
from hauberk_plugins.batch import text
from hauberk_plugins.signing.scheme import read_scheme
from hauberk_plugins.signing.schemes import signer_for, verifier_for
from hauberk_plugins.signing.verdict import VerificationFailed
from hauberk_plugins.venues.catalogue import BUILT_IN, VenueCatalogue

VECTORS = Path(__file__).parents[2] / "vectors"
SCHEMED = sorted(path.stem for path in (VECTORS / "signing").glob("*.json"))
VENUES = [*SCHEMED, "hyperliquid"]
CATALOGUE = VenueCatalogue()
#: Requests of each kind and secret.
EACH = 2
PUBLIC = {"ed25519": "ed25519", "rsa-sha256": "rsa-pkcs1v15", "ecdsa-p256": "ecdsa-p256"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiled: Path) -> Path:
    """An empty folder without a configuration, small parts, and a warm cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hauberk_plugins.batch.compiled.cache_folder", lambda: compiled)
    monkeypatch.setattr("hauberk_plugins.batch.cpu.cache_folder", lambda: compiled)
    monkeypatch.setattr(text, "ROWS", 5)
    return tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]):
    def run(*words: object, engine: str = "reference") -> tuple[int, Any, str]:
        asked = ("verify", *words, "--report", "r.jsonl", "--json", "--engine", engine)
        status = main([str(word) for word in asked])
        captured = capsys.readouterr()
        return status, json.loads(captured.out or "{}"), captured.err

    return run


def reported() -> dict[int, str]:
    lines = map(json.loads, Path("r.jsonl").read_text().splitlines())
    return {line["row"]: line["reason"] for line in lines}


@frozen
class Row:
    """A signed request, and whose it is."""

    key_id: str
    request: Request
    credentials: Credentials
    entry: dict[str, str] = field(repr=False)
    #: What was changed after it was signed.
    change: str = ""

    def changed(self, change: str, **fields: Any) -> Row:
        kept = {"url": self.request.url, "headers": self.request.headers, "body": self.request.body}
        return evolve(self, request=self.request.signed(**{**kept, **fields}), change=change)


@cache
def rows_of(venue_name: str) -> tuple[Row, ...]:
    """Requests of a venue's vectors, signed as its file has it, a few of each kind."""
    venue = CATALOGUE.venue(venue_name)
    signer, schemed = signer_for(venue), venue_name in SCHEMED
    path = "signing/" + venue_name if schemed else "hyperliquid/ccxt"
    taken: Counter[Any] = Counter()
    rows = []
    for vector in json.loads((VECTORS / f"{path}.json").read_text("utf-8"))["vectors"]:
        held, asked = vector["credentials"], vector["request"]
        kind = (asked["method"], bool(asked["params"]), held["secret"])
        if taken[kind] == EACH:
            continue
        passphrase = Secret(held["passphrase"]) if "passphrase" in held else None
        credentials = Credentials(Secret(held["key"]), Secret(held["secret"]), passphrase)
        params = tuple(map(tuple, asked["params"]))
        request = Request(asked["method"], asked["url"], params, body=asked.get("body", ""))
        try:
            signed = signer.sign(
                request, credentials, vector["time_ns"], lambda one=vector: one["nonce"]
            )
        except SigningError:  # ccxt puts it where the venue's own file does not
            continue
        taken[kind] += 1
        entry = entry_of(venue, held, credentials) if schemed else {"key": held["key"]}
        rows.append(Row(f"id {len(rows)}", signed, credentials, entry))
    return tuple(rows)


def entry_of(venue: Any, held: dict[str, str], credentials: Credentials) -> dict[str, str]:
    """What the file of keys says of an account."""
    entry = {name: held[name] for name in ("key", "passphrase") if name in held}
    name = verifier_for(venue).algorithm("main", credentials)  # type: ignore[union-attr]
    text = held["secret"]
    if name not in PUBLIC:
        raw = base64.b64decode(text) if read_scheme(venue).secret == "base64" else text.encode()
        return {**entry, "algorithm": name, "secret": base64.b64encode(raw).decode()}
    if "BEGIN" in text:
        public = serialization.load_pem_private_key(text.encode(), None).public_key()
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        raw = public.public_bytes(serialization.Encoding.DER, form)
    else:
        raw = base64.b64decode(text)
    # Of Ed25519, the 32 bytes behind whatever is before them.
    raw = raw[-32:] if name == "ed25519" else raw
    return {**entry, "algorithm": PUBLIC[name], "public": base64.b64encode(raw).decode()}


@cache
def another_public(algorithm: str) -> bytes:
    if algorithm == "ed25519":
        return ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    made: Any = (
        rsa.generate_private_key(65_537, 2_048)
        if algorithm == "rsa-pkcs1v15"
        else ec.generate_private_key(ec.SECP256R1())
    )
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    der: bytes = made.public_key().public_bytes(serialization.Encoding.DER, form)
    return der


def write(rows: list[Row]) -> tuple[str, ...]:
    """Write a log and its keys, in every way that rows may have; return the command."""
    with Path("log.jsonl").open("w") as file:
        for number, row in enumerate(rows):
            method, url, _, headers, body, *_ = row.request
            line: dict[str, Any] = {"key_id": row.key_id, "method": method, "url": url}
            line["headers"] = dict(headers) if number % 2 else headers
            if number % 3 == 0:
                line["body_base64"] = base64.b64encode(body).decode()
            elif body:
                line["body"] = body.decode()
            file.write(json.dumps({**line, "status": 200}) + "\n")
    Path("keys.json").write_text(json.dumps({row.key_id: row.entry for row in rows}))
    return "log.jsonl", "--keys", "keys.json", "--venue"


def flipped(text: str, at: int) -> str:
    return text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :]


def flips(row: Row, headers: set[str]) -> Iterator[Row]:
    """Yield a request with one bit changed, here and there in every part that counts."""
    url, body = row.request.url, row.request.body.decode()
    path = url.index("/", 8) + 1
    query = url.index("?") + 1 if "?" in url else len(url)
    for part, begin, end in (("path", path, query - 1), ("query", query, len(url))):
        for at in {*range(begin, end, 7), *range(max(begin, end - 2), end)}:
            yield row.changed(part, url=flipped(url, at))
    for at in {*range(0, len(body), 7), *range(max(0, len(body) - 2), len(body))}:
        yield row.changed("body", body=flipped(body, at).encode())
    for number, (name, value) in enumerate(row.request.headers):
        part = "header" if name.lower() in headers else "another header"
        for at in {*range(0, len(value), 9), len(value) - 1}:
            changed = [*row.request.headers]
            changed[number] = (name, flipped(value, at))
            yield row.changed(part, headers=tuple(changed))


@pytest.mark.parametrize("name", VENUES)
def test_requests_of_every_venue_are_valid(run, name: str) -> None:
    rows = [*rows_of(name)]
    assert len(rows) >= 2
    status, document, error = run(*write(rows), name)
    assert (status, reported(), error) == (0, {}, "")
    assert (document["rows"], document["valid"]) == (len(rows), len(rows))
    assert document["engine"] == "reference"


@pytest.mark.parametrize("name", VENUES)
def test_a_flipped_bit_is_rejected_wherever_the_exchange_would_refuse_it(run, name: str) -> None:
    venue = CATALOGUE.venue(name)
    verifier = verifier_for(venue)
    headers = {"x"}
    if name in SCHEMED:
        headers = {one.lower() for one in read_scheme(venue).headers}
    rows, refused = [], set()
    for row in rows_of(name)[:: 1 if name in SCHEMED else 3]:
        covers = verifier.verify(row.request, row.credentials, None).covers
        for changed in flips(row, headers):
            try:
                verifier.verify(changed.request, row.credentials, None)
            except VerificationFailed:
                refused.add(len(rows))
            else:
                assert changed.change not in {*covers, "header"} or name in ONE_MEANING
            rows.append(changed)
    status, document, _ = run(*write(rows), name)
    assert (status, document["invalid"]) == (1, len(refused))
    assert set(reported()) == refused
    assert len(refused) > len(rows) * 2 // 3


#: A bit more or less may stand for the same there: hexadecimal digits, JSON's spaces.
ONE_MEANING = ("hyperliquid",)


@pytest.mark.parametrize("name", SCHEMED)
def test_another_key_secret_or_passphrase_is_rejected(run, name: str) -> None:
    rows = [*rows_of(name)]
    for member in ("secret", "public", "key", "passphrase"):
        changed = []
        for row in rows:
            if (said := row.entry.get(member)) is None:
                continue
            if member == "public":  # one that is changed may be no key at all
                said = base64.b64encode(another_public(row.entry["algorithm"])).decode()
            elif member == "secret":
                raw = bytearray(base64.b64decode(said))
                raw[len(raw) // 2] ^= 1
                said = base64.b64encode(raw).decode()
            else:
                said = flipped(said, 0)
            changed.append(evolve(row, entry={**row.entry, member: said}))
        if changed:
            status, document, _ = run(*write(changed), name)
            assert (status, document["valid"]) == (1, 0), member


@pytest.mark.parametrize("name", ["binance", "kraken", "coinbase", "bitfinex"])
def test_the_compiled_engine_says_the_same(run, name: str) -> None:
    rows = [*rows_of(name)]
    bad = [next(iter(flips(rows[0], set()))), rows[1].changed("headers", headers=())]
    status = run(*write([*rows, *bad]), name, engine="cpu")[0]
    refused = set(reported())
    assert status == 1
    assert len(rows) + 1 in refused
    run(*write([*rows, *bad]), name)
    assert set(reported()) == refused


def test_a_tag_cut_short_is_rejected_though_engines_take_it(run) -> None:
    row = rows_of("deribit")[0]
    ((name, value),) = (one for one in row.request.headers if one[0] == "Authorization")
    at = value.index("sig=") + 4
    cut = row.changed("", headers=((name, value[: at + 32] + value[at + 64 :]),))
    status, _, _ = run(*write([cut]), "deribit")
    assert (status, [*reported()]) == (1, [0])


def test_what_holds_no_request_is_a_rejected_row_with_its_reason(run) -> None:
    row = rows_of("binance")[0]
    command = write([row])
    good = json.loads(Path("log.jsonl").read_text())
    given: list[tuple[Any, str]] = [
        (b"", "no JSON object"),
        (b"[]", "no JSON object"),
        (b"\xff", "no JSON object"),
        (b"[" * 100_000, "no JSON object"),
        (b'{"url": 1, "url": 2}', "'url' stands there twice"),
        (b'{"headers": {"a": "1", "a": "2"}}', "'a' stands there twice"),
        ({"key_id": None}, "key_id"),
        ({"key_id": 5}, "key_id"),
        ({"key_id": "mallory"}, "its key is not known"),
        ({"method": None}, "method"),
        ({"method": 5}, "method"),
        ({"url": None}, "url"),
        ({"url": "https://api.example.org/api/v3/order"}, "base URLs"),
        ({"headers": 5}, "headers"),
        ({"headers": "x"}, "headers"),
        ({"headers": [["a"]]}, "headers"),
        ({"headers": [["a", 5]]}, "a: expected text"),
        ({"headers": None}, "another account's"),
        ({"body": "x", "body_base64": "eA=="}, "too much"),
        ({"body": {"x": 1}, "body_base64": None}, "body"),
        ({"body_base64": "?"}, "no base64"),
        ({"body": "\ud800", "body_base64": None}, "Unicode"),
    ]
    with Path("log.jsonl").open("wb") as file:
        for said, _ in given:
            changed = said if isinstance(said, bytes) else json.dumps({**good, **said}).encode()
            file.write(changed + b"\n")
        file.write(json.dumps(good).encode())
    status, document, _ = run(*command, "binance")
    assert (status, document["rows"], document["valid"]) == (1, len(given) + 1, 1)
    for number, why in reported().items():
        assert given[number][1] in why


def test_a_request_that_bears_a_key_and_no_signature_is_not_valid(run) -> None:
    row = rows_of("binance")[0]
    bare = Request("POST", "https://api.binance.com/api/v3/userDataStream")
    signed = signer_for(CATALOGUE.venue("binance")).sign(bare, row.credentials, 10**18)
    status, document, _ = run(*write([evolve(row, request=signed)]), "binance")
    assert (status, document["valid"]) == (1, 0)
    assert "no signature" in reported()[0]


@pytest.mark.parametrize(
    ("name", "entry", "said"),
    [
        ("binance", {"algorithm": "hmac-sha512", "secret": "eA=="}, "none that binance takes"),
        ("binance", {"algorithm": "sha256"}, "none that binance takes"),
        ("binance", {"algorithm": "hmac-sha256"}, '"secret"'),
        ("binance", {"algorithm": "hmac-sha256", "secret": ""}, "empty"),
        ("binance", {"algorithm": "hmac-sha256", "secret": "?"}, "no base64"),
        ("binance", {"algorithm": "hmac-sha256", "secret": "eA==", "more": 1}, "nothing else"),
        ("binance", {"algorithm": "ed25519", "public": "eA=="}, "no public key of ed25519"),
        ("binance", {"algorithm": "rsa-pkcs1v15", "public": "eA=="}, "no public key of rsa"),
        ("binance", {"algorithm": "hmac-sha256", "secret": "eA==", "key": 5}, "header can carry"),
        ("binance", {"algorithm": "hmac-sha256", "secret": "eA==", "key": "a b"}, "no header"),
        ("okx", {"algorithm": "hmac-sha256", "secret": "eA=="}, '"passphrase"'),
        ("hyperliquid", {"algorithm": "ecdsa-secp256k1", "public": "eA=="}, "nothing else"),
        ("hyperliquid", {}, "address"),
        ("binance", [], "must be an object"),
    ],
)
def test_keys_of_no_use_for_the_venue_are_said_to_be(run, name: str, entry: Any, said: str) -> None:
    Path("log.jsonl").write_text("")
    Path("keys.json").write_text(json.dumps({"bot": entry}))
    status, _, error = run("log.jsonl", "--keys", "keys.json", "--venue", name)
    assert status == 2
    assert "key 'bot'" in error
    assert said in error


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"a": {}, "a": {}}', "[" * 100_000])
def test_a_file_of_keys_that_is_none_is_said_to_be(run, content: str) -> None:
    Path("log.jsonl").write_text("")
    Path("keys.json").write_text(content)
    status, _, error = run("log.jsonl", "--keys", "keys.json", "--venue", "binance")
    assert status == 2
    assert error.startswith("hauberk: keys.json: ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["log.jsonl", "--keys", "keys.json", "--venue", "binanec"], "binance"),
        (["log.jsonl", "--keys", "none.json", "--venue", "binance"], "cannot be read"),
        (["log.csv", "--keys", "keys.json", "--venue", "binance"], ".jsonl"),
        (["log.jsonl", "--attribute", "keys.json", "--venue", "binance"], "--keys"),
        (["log.jsonl", "--keys", "keys.json", "--venue", "no/such.yml"], "no/such"),
    ],
)
def test_what_cannot_be_done_says_what_to_do(run, words: list[str], said: str) -> None:
    write([*rows_of("binance")[:1]])
    Path("log.csv").write_text("")
    status, _, error = run(*words)
    assert status == 2
    assert said in error


def test_an_engine_that_does_not_read_wallets_signatures_is_refused_by_name(run) -> None:
    status, _, error = run(*write([*rows_of("hyperliquid")[:1]]), "hyperliquid", engine="cpu")
    assert status == 2
    assert "leave it out" in error


def test_a_line_without_an_end_is_an_error_with_its_place(
    run, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = write([*rows_of("binance")[:2]])
    monkeypatch.setattr(text, "LONGEST", 100)
    status, _, error = run(*command, "binance")
    assert status == 2
    assert "log.jsonl: row 0: the line is longer" in error


def test_a_venue_file_of_ones_own_is_taken_by_its_path(run) -> None:
    own = Path("venues/mine.yml")
    own.parent.mkdir(mode=0o700)
    text = (BUILT_IN / "binance.yml").read_text("utf-8")
    own.write_text(text.replace("name: binance", "name: mine", 1), "utf-8")
    own.chmod(0o600)
    status, document, error = run(*write([*rows_of("binance")]), own)
    assert (status, error) == (0, "")
    assert document["valid"] == len(rows_of("binance"))


def test_an_interruption_leaves_a_report_that_resume_goes_on_with(
    run, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [*rows_of("kraken")] * 6
    rows = [row.changed("", headers=()) if at % 4 == 0 else row for at, row in enumerate(rows)]
    command = write(rows)
    assert run(*command, "kraken")[0] == 1
    whole = Path("r.jsonl").read_text()
    Path("r.jsonl").unlink()

    from hauberk_plugins.batch.parts import Judge

    judge, left = Judge.judge, [3]

    def interrupted(self, part):
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return judge(self, part)

    monkeypatch.setattr(Judge, "judge", interrupted)
    assert run(*command, "kraken")[0] == 130
    assert "other archives or keys" in run("--resume", *command, "krakenfutures")[2]
    status, document, _ = run("--resume", *command, "kraken")
    assert (status, document["rows"]) == (1, len(rows))
    assert Path("r.jsonl").read_text() == whole
