"""Reading Fernet, by the vectors of its specification (https://github.com/fernet/spec)."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from hauberk.secret import Secret
from hauberk_plugins.encryption import fernet
from hauberk_plugins.encryption.errors import NoKey, Tampered
from hauberk_plugins.encryption.fernet import open_fernet

VECTORS = Path(__file__).parents[2] / "vectors" / "fernet"


def vectors(name: str) -> list[Any]:
    found = json.loads((VECTORS / f"{name}.json").read_text())
    assert found
    return list(found)


def opened(vector: dict[str, Any]) -> Secret:
    return open_fernet(
        vector["token"].encode(),
        Secret(vector["secret"]),
        ttl_s=vector.get("ttl_sec"),
        at_s=int(datetime.fromisoformat(vector["now"]).timestamp()),
    )


@pytest.mark.parametrize("vector", vectors("generate") + vectors("verify"), ids=str)
def test_the_specifications_tokens_are_read(vector: dict[str, Any]) -> None:
    assert opened(vector).reveal_text() == vector["src"]


@pytest.mark.parametrize("vector", vectors("invalid"), ids=lambda vector: vector["desc"])
def test_the_specifications_invalid_tokens_are_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(Tampered):
        opened(vector)


def test_without_a_time_to_live_a_token_of_any_age_is_read_whatever_the_clock_shows() -> None:
    vector = vectors("verify")[0]
    token, key = vector["token"].encode(), Secret(vector["secret"])
    assert open_fernet(token, key).reveal() == b"hello"


def test_a_token_of_another_key_is_refused_and_named() -> None:
    token = vectors("verify")[0]["token"].encode()
    with pytest.raises(Tampered, match=r"record 'main\.enc' of 'fernet'"):
        open_fernet(token, Secret("A" * 43 + "="), name="main.enc")


@pytest.mark.parametrize("key", ["", "short", "A" * 44, "\u00e9" * 44])
def test_what_is_no_key_is_said_and_not_shown(key: str) -> None:
    with pytest.raises(NoKey, match=r"from \.encryption_key: it is no Fernet key") as caught:
        open_fernet(b"gAAAAA==", Secret(key), name=".encryption_key")
    assert not key or key not in str(caught.value)


def test_nothing_in_the_module_writes_one() -> None:
    source = Path(fernet.__file__).read_text()
    assert "encrypt" not in source.replace("decrypt", "").replace("encryption", "")
