from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk.secret import HIDDEN, Secret
from hauberk_plugins.logs.masking import (
    _PAIR,
    _STEMS,
    _WORDS,
    MAX_TEXT,
    clean,
    is_credential,
    masked,
)

SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"


@pytest.mark.parametrize(
    "name",
    [
        *("key", "secret", "signature", "token", "password", "authorization", "passphrase"),
        *("apikey", "api_key", "apiKey", "API-Key", "X-MBX-APIKEY", "secretKey", "private_key"),
        *("OK-ACCESS-SIGN-signature", "refresh_token", "user-password", "keys", "sign", "Cookie"),
    ],
)
def test_names_under_which_credentials_stand_are_known(name: str) -> None:
    assert is_credential(name)
    assert masked({name: SECRET}) == {name: HIDDEN}


@pytest.mark.parametrize("name", ["symbol", "account", "quantity", "reason", "keyboard", "design"])
def test_other_names_are_let_be(name: str) -> None:
    assert masked({name: "BTCUSDT"}) == {name: "BTCUSDT"}


@pytest.mark.parametrize(
    "text",
    [
        f"https://api.binance.com/api/v3/order?symbol=X&signature={SECRET}",
        f"GET /?timestamp=1&signature={SECRET}&recvWindow=5000",
        f"X-MBX-APIKEY: {SECRET}",
        f"{{'X-MBX-APIKEY': '{SECRET}', 'Accept': '*/*'}}",
        f'{{"apiKey": "{SECRET}"}}',
        f'{{\\"secret\\": \\"{SECRET}\\"}}',
        f"('X-MBX-APIKEY', '{SECRET}')",
        f"Authorization: Bearer {SECRET}",
        f"authorization=Basic {SECRET}",
        f"password = {SECRET}",
        f'passphrase: "correct horse {SECRET}"',
        f"?key={SECRET}",
        f"signature%3D{SECRET}",
        f"token: 'never closed {SECRET}",
    ],
)
def test_credentials_in_text_are_hidden(text: str) -> None:
    assert SECRET not in clean(text)
    assert HIDDEN in clean(text)


@pytest.mark.parametrize(
    "text",
    [
        "CredentialsMissing: account 'main': env:BINANCE_KEY is not set (looked in .env)",
        "hauberk.errors.CredentialsMissing: account 'main': its key is not set",
        '{"error": "CredentialsMissing", "message": "account \'main\'"}',
        "no credentials: account 'main' has none",
        "TokenExpired: log in again",
        "tokenizer: bpe",
        "SecretsMissing: see hauberk.yml",
    ],
)
def test_a_word_of_prose_that_contains_one_hides_nothing(text: str) -> None:
    assert clean(text) == text
    assert masked(["CredentialsMissing", text]) == ["CredentialsMissing", text]


@pytest.mark.parametrize("mark", ["=", ": ", ":", " = ", "%3D"])
@pytest.mark.parametrize(
    "name",
    [
        *("signature", "secret", "api_key", "apikey", "apiKey", "x-mbx-apikey", "X-MBX-APIKEY"),
        *("token", "password", "passphrase", "authorization", "client_secret", "secretKey"),
        *("api_key_live", "secret_id", "password2", "private-key", "BINANCE_SECRET", "tokens"),
    ],
)
def test_a_whole_credential_word_before_a_value_hides_it(name: str, mark: str) -> None:
    assert clean(f"sent {name}{mark}{SECRET} to it") == f"sent {name}{mark}{HIDDEN} to it"


@pytest.mark.parametrize("quote", ['"', "'", '\\"'])
@pytest.mark.parametrize("name", ["secret", "apiKey", "tokenOfTheDay", "credential", "credentials"])
def test_so_does_one_in_json_or_in_the_repr_of_a_mapping(name: str, quote: str) -> None:
    text = f"{{{quote}{name}{quote}: {quote}{SECRET}{quote}}}"
    assert clean(text) == f"{{{quote}{name}{quote}: {HIDDEN}}}"


def test_what_stands_beside_a_credential_stays() -> None:
    shown = clean(f"POST /order?symbol=BTCUSDT&signature={SECRET}&x=1 failed")
    assert shown == f"POST /order?symbol=BTCUSDT&signature={HIDDEN}&x=1 failed"


def test_a_secret_object_is_hidden_wherever_it_stands() -> None:
    shown = masked({"a": [Secret(SECRET), ("b", Secret(SECRET))], "c": {"d": Secret(SECRET)}})
    assert SECRET not in repr(shown)


def test_pairs_of_parameters_are_looked_into() -> None:
    shown = masked({"params": [["symbol", "BTCUSDT"], ["signature", SECRET]]})
    assert shown == {"params": [["symbol", "BTCUSDT"], ["signature", HIDDEN]]}


def test_nesting_without_end_is_cut() -> None:
    value: list[object] = []
    value.append(value)
    assert "[too deep]" in repr(masked(value))


def test_an_object_whose_repr_shows_a_key_is_masked_too() -> None:
    class Client:
        def __repr__(self) -> str:
            return f"Client(api_key='{SECRET}')"

    assert SECRET not in masked({"client": Client()})["client"]


@given(st.text())
def test_nothing_that_is_not_printable_is_left(text: str) -> None:
    shown = clean(text)
    assert shown.isprintable()
    shown.encode()  # no lone surrogate


@given(st.text(alphabet="aceghiknoprstuwyAKS=:,%3d '\"_-", max_size=40))
def test_the_quick_look_misses_nothing_that_the_pattern_finds(text: str) -> None:
    assert clean(text) == _PAIR.sub(rf"\1{HIDDEN}", text)


@pytest.mark.parametrize("word", _WORDS.replace("(?:or)?", "").replace("[-_]?", "-").split("|"))
def test_the_quick_look_knows_every_word(word: str) -> None:
    assert any(stem in word for stem in _STEMS)


@given(st.text())
def test_masking_twice_changes_nothing_more(text: str) -> None:
    assert clean(clean(text)) == clean(text)


@given(
    st.sampled_from(["signature=", "X-MBX-APIKEY: ", "secret: ", "token=", '"password": "']),
    st.text(max_size=50),
)
def test_whatever_stands_around_it_a_credential_is_hidden(name: str, before: str) -> None:
    assert SECRET not in clean(f"{before} {name}{SECRET}")


def test_long_text_is_cut_and_quick() -> None:
    shown = clean("secret" * 100_000)
    assert len(shown) < MAX_TEXT + 100
    assert shown.endswith("more)")
