"""Entries of the operating system's keyring, from back-ends that are known to encrypt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from attrs import frozen

from hauberk.secret import Secret

#: The service under which entries are kept in it: `keyring set hauberk NAME`.
SERVICE: Final = "hauberk"
#: Back-ends that keep what they are given encrypted, by their exact class: one that only derives
#: from them may do anything.
ALLOWED: Final = frozenset(
    {
        "keyring.backends.SecretService.Keyring",
        "keyring.backends.libsecret.Keyring",
        "keyring.backends.kwallet.DBusKeyring",
        "keyring.backends.kwallet.DBusKeyringKWallet4",
        "keyring.backends.macOS.Keyring",
        "keyring.backends.Windows.WinVaultKeyring",
    }
)
_CHAINER: Final = "keyring.backends.chainer.ChainerBackend"


def installed_backend() -> Any:
    """Return the back-end that the package `keyring` takes.

    Raises:
        ModuleNotFoundError: The package is not installed.
    """
    import keyring

    return keyring.get_keyring()


@frozen
class Entry:
    """What was found under a name.

    Attributes:
        value: The entry; `None` where there is none, or nobody who may be asked.
        places: Which back-ends were looked at.
        is_there: Whether there is a back-end that may be asked.
        why: Why there is none, or why it could not be asked; empty where it was.
    """

    value: Secret | None
    places: tuple[str, ...]
    is_there: bool
    why: str


def look_up(name: str, backend: Callable[[], Any] = installed_backend) -> Entry:
    """Ask the keyring for an entry.

    Of several back-ends, as the package chains them, only the first that is allowed is asked:
    the next one might keep its entries in a plain file.

    Args:
        name: The entry's name, below the service `hauberk`.
        backend: Returns the back-end.
    """
    try:
        found = backend()
        offered = list(found.backends) if _class(found) == _CHAINER else [found]
    except ModuleNotFoundError:
        why = "the package keyring is not installed: pip install 'hauberk[keyring]'"
        return Entry(None, (), is_there=False, why=why)
    except Exception as error:  # whatever a back-end raises while it is loaded
        why = f"the keyring cannot be loaded: {type(error).__name__}"
        return Entry(None, (), is_there=False, why=why)
    names = tuple(map(_class, offered))
    for one_name, one in zip(names, offered, strict=True):
        if one_name in ALLOWED:
            return _asked(one, one_name, name)
    why = "there is no back-end that is known to encrypt what it keeps"
    return Entry(None, names, is_there=False, why=why)


def _asked(backend: Any, place: str, name: str) -> Entry:
    """Ask a back-end; what it raises is not kept, since it may hold anything."""
    try:
        found = _secret(backend.get_password(SERVICE, name))
    except Exception as error:
        why = f"it cannot be asked: {type(error).__name__}"
        return Entry(None, (place,), is_there=True, why=why)
    return Entry(found, (place,), is_there=True, why="")


def _secret(found: object) -> Secret | None:
    # A lone surrogate is in no entry that anybody kept on purpose.
    return Secret(found.encode("utf-8", "replace")) if isinstance(found, str) and found else None


def _class(backend: object) -> str:
    return f"{type(backend).__module__}.{type(backend).__qualname__}"
