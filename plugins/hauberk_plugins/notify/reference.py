"""Where a route's URL is: `env:NAME`, `vault:NAME`, `keyring:NAME` or `file:PATH`, looked up late.

A URL of apprise's holds passwords and tokens, so it never stands in `hauberk.yml` itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from shlex import quote
from typing import Final

from attrs import frozen

from hauberk.errors import HauberkError, InvalidValue
from hauberk.files import read_private
from hauberk.oskeyring import SERVICE, Entry, look_up
from hauberk.ownership import check_obeyed
from hauberk.quiet import quietly
from hauberk.secret import Secret
from hauberk.spelling import nearest
from hauberk_plugins.notify.errors import RouteUnusable

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_KIND: Final = re.compile(r"[a-z]{1,12}\Z")
#: One line; what stands in it is apprise's to read.
_URL: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]{0,39}://[^\x00-\x1f\x7f]+\Z")
_MAX_FILE: Final = 64 * 1024
FORMS: Final = "env:NAME, vault:NAME, keyring:NAME or file:PATH"


class Kind(StrEnum):
    """Where a reference leads."""

    #: A variable of the environment.
    ENV = "env"
    #: A sealed record of this plugin's: what `hauberk notify put NAME` puts there.
    VAULT = "vault"
    #: An entry of the operating system's keyring: what `keyring set hauberk NAME` puts there.
    KEYRING = "keyring"
    #: A file of one's own that nobody else may use.
    FILE = "file"


_KINDS: Final = [kind.value for kind in Kind]


@frozen
class Reference:
    """Where a URL is.

    Attributes:
        kind: Where to look.
        name: Under which name.
    """

    kind: Kind
    name: str

    @classmethod
    def read(cls, text: str) -> Reference:
        """Take a reference apart.

        Raises:
            InvalidValue: It is none. Its text is not repeated, since it may be the URL itself; of
                a kind that is misspelt, only the kind.
        """
        kind, colon, name = text.partition(":")
        if not colon or name.startswith("//"):
            raise InvalidValue(
                f"must be where its URL is, {FORMS}: the URL holds secrets, and does not stand here"
            )
        if kind not in _KINDS:
            # Shown only where it is a misspelt one: else it may be the beginning of a secret.
            near = nearest(kind, _KINDS) if _KIND.match(kind) else ""
            what = f"{kind!r} is no place for a URL{near}" if near else "it is no reference"
            raise InvalidValue(f"{what}; write {FORMS}")
        if not name or (kind == Kind.ENV and not _VARIABLE.match(name)):
            what = "a variable's name" if kind == Kind.ENV else "a name"
            raise InvalidValue(f"what follows '{kind}:' is not {what}")
        return cls(Kind(kind), name)


@frozen
class Places:
    """Where references are looked up.

    Attributes:
        environ: Environment variables.
        folder: Where relative paths start.
        vault: Returns a sealed record's value, or `None` where there is none of that name.
        keyring: Looks an entry of the operating system's keyring up.
    """

    environ: Mapping[str, str]
    folder: Path
    vault: Callable[[str], Secret | None]
    keyring: Callable[[str], Entry] = look_up


def resolved(route: str, reference: Reference, places: Places) -> Secret:
    """Return a route's URL.

    Args:
        route: The route's name, for errors.
        reference: Where its URL is.
        places: Where to look.

    Raises:
        RouteUnusable: It leads nowhere, or to no URL; says what to do.
        HauberkError: The vault cannot be opened.
    """
    found = _FINDERS[reference.kind](route, reference.name, places)
    url = Secret(found.reveal().strip())
    check_url(route, url)
    return url


def check_url(route: str, url: Secret) -> None:
    """Check that something looks as a URL of apprise's does.

    Raises:
        RouteUnusable: It does not; it is not repeated.
    """
    if not _URL.match(url.reveal()):
        raise RouteUnusable(route, "what stands there is no URL of apprise's, SCHEME://…")


def _from_environment(route: str, name: str, places: Places) -> Secret:
    value = Secret(places.environ.get(name, "").encode("utf-8", "surrogateescape"))
    if not value:
        # A variable's name may be the secret itself, put in the wrong place: it is not repeated.
        raise RouteUnusable(route, "the variable of its reference env:… is not set, or is empty")
    return value


def _from_vault(route: str, name: str, places: Places) -> Secret:
    value = places.vault(name)
    if not value:
        raise RouteUnusable(
            route, f"the vault has nothing of that name; run: hauberk notify put {quote(name)}"
        )
    return value


def _from_keyring(route: str, name: str, places: Places) -> Secret:
    entry = places.keyring(name)
    if entry.value is None:
        why = entry.why or "it has no entry of that name"
        remedy = f"run: keyring set {SERVICE} {quote(name)}"
        raise RouteUnusable(route, f"the keyring: {why}; {remedy}")
    return entry.value


def _from_file(route: str, name: str, places: Places) -> Secret:
    path = places.folder / name
    try:
        found = quietly(f"reading {path}", lambda: Secret(read_private(path, _MAX_FILE)))
        check_obeyed(path, path.lstat())  # nor can others put another URL in its place
    except FileNotFoundError:
        why = f"{path} is not there: write its URL into it, and chmod 600 it"
    except OSError as error:
        why = f"{path} cannot be read: {error.strerror}"
    except HauberkError as error:
        why = str(error)
    else:
        return found
    raise RouteUnusable(route, why)


_FINDERS: Final = {
    Kind.ENV: _from_environment,
    Kind.VAULT: _from_vault,
    Kind.KEYRING: _from_keyring,
    Kind.FILE: _from_file,
}
