"""Where the wrapping key of a configuration comes from, and what is written and said of it."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from attrs import frozen

from hauberk.cli.failure import UsageError
from hauberk.secret import Secret

#: Bytes of a wrapping key, and of the id that names one.
KEY: Final = 32
_ID: Final = 6
PASSPHRASE: Final = "HAUBERK_PASSPHRASE"  # noqa: S105 - the variable, not what is in it


@frozen
class Wrapping:
    """A wrapping key as a configuration refers to it.

    Attributes:
        setting: What stands in the section `encryption`, one line.
        reference: What it is called; shows nothing secret.
        said: What the operator has to know, and do.
        path: The file to make, or `None`.
        content: What is to be in it.
    """

    setting: str
    reference: str
    said: str
    path: Path | None = None
    content: Secret | None = None


def wrapping(
    kind: str,
    path: Path | None,
    state: Path,
    environ: Mapping[str, str],
    random: Callable[[int], bytes],
) -> Wrapping:
    """Choose where a wrapping key is kept; nothing is written yet.

    Args:
        kind: `file`, `passphrase` or `keyring`.
        path: The file to make; one below the user's own configuration unless given.
        state: The state folder, in which the key must not be.
        environ: The environment.
        random: Returns that many random bytes.

    Raises:
        UsageError: There is no such kind, or the file cannot be there; says what to do.
    """
    if kind not in ("file", "passphrase", "keyring"):
        # Not repeated: somebody may have typed the key itself.
        raise UsageError("--key is where the key is kept: file, passphrase or keyring")
    if path is not None and kind != "file":
        raise UsageError(f"--key-file goes with --key file, not with --key {kind}")
    name = random(_ID).hex()
    if kind == "passphrase":
        return _passphrase()
    if kind == "keyring":
        return _keyring(f"hauberk-{name}")
    path = _home(environ) / "hauberk" / f"{name}.key" if path is None else path.absolute()
    return _file(path, state, random)


def _file(path: Path, state: Path, random: Callable[[int], bytes]) -> Wrapping:
    if path.resolve().is_relative_to(state.resolve()):
        raise UsageError(f"{path} is in the state folder, which the key protects: name another")
    if not str(path).isprintable():
        raise UsageError("the path of the key file cannot be written in hauberk.yml: name another")
    said = (
        f"The wrapping key is in {path}, outside the state folder.\n"
        "Keep a copy of it elsewhere: without it nothing in the state folder can be read."
    )
    content = Secret(b64encode(random(KEY)) + b"\n")
    # As JSON a path is a double-quoted scalar of YAML, whatever is in it.
    reference = f"file:{path}"
    return Wrapping(
        f"key: {json.dumps(reference, ensure_ascii=False)}", reference, said, path, content
    )


def _passphrase() -> Wrapping:
    reference = f"env:{PASSPHRASE}"
    said = (
        f"Set {PASSPHRASE} to a passphrase of 15 characters or more wherever this runs: without "
        "it nothing in the state folder can be read."
    )
    return Wrapping(f"passphrase: {reference}", reference, said)


def _keyring(name: str) -> Wrapping:
    reference = f"keyring:{name}"
    said = (
        "Put a wrapping key into the keyring, and keep a copy of it elsewhere: without it nothing "
        "in the state folder can be read.\n"
        f"  openssl rand -base64 32 | keyring set hauberk {name}"
    )
    return Wrapping(f"key: {reference}", reference, said)


def _home(environ: Mapping[str, str]) -> Path:
    """Return the folder of the user's own configuration (XDG base directories)."""
    given = Path(environ.get("XDG_CONFIG_HOME", ""))
    if given.is_absolute():
        return given
    try:
        return Path.home().absolute() / ".config"
    except RuntimeError:
        raise UsageError("there is no home folder for the key: name a place: --key-file") from None
