"""A wrapping key in the keyring of the operating system."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from hauberk.secret import Secret
from hauberk_plugins.encryption.errors import NoKey
from hauberk_plugins.encryption.wrapping import KEY, MAKE, decoded

#: The service under which keys are kept in it.
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


class KeyringEntry:
    """An entry of the operating system's keyring, 32 bytes in base64.

    Of several back-ends, as the package chains them, only the first that is allowed is asked:
    the next one might keep its entries in a plain file.

    Args:
        name: The entry's name, below the service `hauberk`.
        backend: Returns the back-end.
    """

    is_passphrase = False

    def __init__(self, name: str, backend: Callable[[], Any] = installed_backend) -> None:
        self.reference = f"keyring:{name}"
        self._name = name
        self._backend = backend

    def fetch(self) -> Secret:
        """Ask for the key; raises as `WrappingKey.fetch`."""
        backend, places, why = self._found()
        if backend is None:
            remedy = "have a keyring there, or set `key: file:PATH`"
            raise NoKey(self.reference, places, why, remedy)
        found, why = _asked(backend, self._name)
        if found is None:
            raise NoKey(self.reference, places, why, f"keep one: {MAKE} | {self._command}")
        return found

    @property
    def _command(self) -> str:
        return f"keyring set {SERVICE} {self._name}"

    def _found(self) -> tuple[Any, tuple[str, ...], str]:
        """Return an allowed back-end, or `None`; what was looked at; and why there is none."""
        try:
            backend = self._backend()
            offered = list(backend.backends) if _class(backend) == _CHAINER else [backend]
        except ModuleNotFoundError:
            why = "the package keyring is not installed: pip install 'hauberk[keyring]'"
            return None, (), why
        except Exception as error:  # whatever a back-end raises while it is loaded
            return None, (), f"the keyring cannot be loaded: {type(error).__name__}"
        names = tuple(map(_class, offered))
        for name, one in zip(names, offered, strict=True):
            if name in ALLOWED:
                return one, (name,), ""
        return None, names, "there is no back-end that is known to encrypt what it keeps"


def _asked(backend: Any, name: str) -> tuple[Secret | None, str]:
    """Ask a back-end; what it raises is not kept, since it may hold anything."""
    try:
        found = decoded(_bytes(backend.get_password(SERVICE, name)))
    except Exception as error:
        return None, f"it cannot be asked: {type(error).__name__}"
    return found, "" if found else f"there is no such entry, or it is not {KEY} bytes in base64"


def _bytes(value: object) -> bytes:
    return value.encode("ascii", "replace") if isinstance(value, str) else b""


def _class(backend: object) -> str:
    return f"{type(backend).__module__}.{type(backend).__qualname__}"
