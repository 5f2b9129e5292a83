"""Sealing and opening a value of 1 KiB, beside AES-256-GCM of `cryptography` by itself."""

import os
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hauberk.secret import Secret
from hauberk_plugins.encryption.data_encryption import DataEncryption
from hauberk_plugins.encryption.envelope import HEADER
from hauberk_plugins.encryption.ring import KeyRing
from hauberk_plugins.encryption.wrapping import Given

from _rounds import figure, in_turn

CALLS = 5_000
VALUE = os.urandom(1024)


def main() -> None:
    bare = AESGCM(os.urandom(32))
    bound = os.urandom(HEADER)
    nonce = os.urandom(12)
    encrypted = bare.encrypt(nonce, VALUE, bound)
    with tempfile.TemporaryDirectory() as folder:
        ring = KeyRing(Path(folder) / "state", Given(Secret(os.urandom(32))))
        vault = DataEncryption(ring).scoped("bench")
        sealed = vault.seal("record", VALUE, version=1)
        took, peer = in_turn(
            lambda: vault.seal("record", VALUE, version=1),
            lambda: bare.encrypt(os.urandom(12), VALUE, bound),
            CALLS,
        )
        figure("seal 1 KiB", took * 1e6, "us", "AESGCM.encrypt", peer * 1e6, "reported")
        took, peer = in_turn(
            lambda: vault.open("record", sealed, version=1),
            lambda: bare.decrypt(nonce, encrypted, bound),
            CALLS,
        )
        figure("open 1 KiB", took * 1e6, "us", "AESGCM.decrypt", peer * 1e6, "reported")


if __name__ == "__main__":
    main()
