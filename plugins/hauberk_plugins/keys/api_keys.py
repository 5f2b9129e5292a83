"""`APIKeyManager`: the credentials of every account, resolved late and again after a rotation."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from shlex import quote
from typing import Final

from attrs import frozen

from hauberk.accounts import Account
from hauberk.errors import CredentialsMissing, HauberkError, UnsafeFile
from hauberk.files import read_private
from hauberk.oskeyring import SERVICE, Entry, look_up
from hauberk.ownership import check_obeyed
from hauberk.ports import Credentials
from hauberk.quiet import quietly
from hauberk.secret import Secret
from hauberk_plugins.keys.dotenv import Dotenv
from hauberk_plugins.keys.reference import (
    AVAILABLE,
    Kind,
    Reference,
    UnusableCredentials,
    read_reference,
)

#: How long what was found is taken to stand before it is looked for again.
FRESH_NS: Final = 1_000_000_000
#: The same where the operating system's keyring has to be asked, which takes milliseconds.
KEYRING_FRESH_NS: Final = 30_000_000_000
#: A larger file holds no key.
_MAX_FILE: Final = 64 * 1024
_PEM: Final = b"-----BEGIN "


def _no_vault(names: Sequence[str]) -> None:  # noqa: ARG001 - none of them is there
    return None


class KeysDisabled(HauberkError):
    """An incident has disabled every key; `hauberk resume` enables them."""


@frozen(eq=False)
class _Held:
    account: Account
    credentials: Credentials
    until_ns: int


class APIKeyManager:
    """Resolves references, and returns the same `Credentials` until what they lead to changes.

    A variable is looked for in the environment first, then in each dotenv file; a file is opened
    only for what the places before it lack, and the vault only for references to it. A rotation is
    seen within a second (30 s in the operating system's keyring), a changed account at once.

    Args:
        accounts: Gives the accounts by name as they now stand.
        monotonic_ns: A clock that never steps back, in nanoseconds.
        environ: Environment variables, for example `os.environ`.
        dotenv: Dotenv files, in order.
        vault: Gives those of some sealed records that are there, all as of one moment; `None`
            where there is no vault.
        folder: Where relative paths of `file:PATH` start.
        keyring: Looks an entry of the operating system's keyring up.
        disabled: Says why nobody may have any key at present; empty where they may.
    """

    def __init__(
        self,
        accounts: Callable[[], Mapping[str, Account]],
        monotonic_ns: Callable[[], int],
        environ: Mapping[str, str],
        dotenv: Sequence[Dotenv] = (),
        vault: Callable[[Sequence[str]], Mapping[str, Secret] | None] = _no_vault,
        *,
        folder: Path = Path(),
        keyring: Callable[[str], Entry] = look_up,
        disabled: Callable[[], str] = str,
    ) -> None:
        self._folder = folder
        self._keyring = keyring
        self._disabled = disabled
        self._accounts = accounts
        self._monotonic_ns = monotonic_ns
        self._environ = environ
        self._files = tuple(dotenv)
        self._vault = vault
        self._held: dict[str, _Held] = {}
        self._resolving = threading.Lock()

    def credentials(self, account: str) -> Credentials:
        """Return an account's credentials; the same object until they are rotated.

        Raises:
            CredentialsMissing: Says which reference leads nowhere, and where it was looked for;
                `UnusableCredentials` what is wrong with what it leads to.
            UnusableReference: A reference is of a kind that is not available.
            KeysDisabled: Everything is halted.
            ConfigError: A dotenv file that is needed may not be used: says what to do.
        """
        if why := self._disabled():
            raise KeysDisabled(f"no key is given out, of {account!r} neither: {why}")
        configured = self._accounts().get(account)
        if (held := self._fresh(account, configured)) is not None:
            return held
        with self._resolving:  # whoever waited here finds what the one before resolved
            return self._fresh(account, configured) or self._resolved(account, configured)

    def _fresh(self, name: str, account: Account | None) -> Credentials | None:
        held = self._held.get(name)
        if held is None or held.account is not account or self._monotonic_ns() >= held.until_ns:
            return None
        return held.credentials

    def _resolved(self, name: str, account: Account | None) -> Credentials:
        if account is None:
            raise CredentialsMissing(name, "the account", ("hauberk.yml",), "add the account")
        if account.disabled:
            remedy = "set `disabled: false` once its key is to be used again"
            raise UnusableCredentials(
                name, "its key", "hauberk.yml", "the account is disabled", remedy
            )
        now_ns = self._monotonic_ns()
        references = self._references(name, account)
        # Each place is read once, so that a key is never paired with another rotation's secret.
        read = cache(lambda file: file.values())
        sealed = self._opened(name, references.values())
        found = Credentials(
            **{
                what: self._secret(name, reference, read, sealed)
                for what, reference in references.items()
            }
        )
        held = self._held.get(name)
        if held is not None and held.credentials == found:
            found = held.credentials
        is_slow = any(one.kind is Kind.KEYRING for one in references.values())
        fresh_ns = KEYRING_FRESH_NS if is_slow else FRESH_NS
        self._held[name] = _Held(account, found, now_ns + fresh_ns)
        return found

    def _references(self, name: str, account: Account) -> dict[str, Reference]:
        given = {"key": account.key, "secret": account.secret, "passphrase": account.passphrase}
        for what, reference in given.items():
            if not reference and what != "passphrase":
                remedy = f"add `{what}: env:NAME` to the account"
                raise CredentialsMissing(name, f"its {what}", ("hauberk.yml",), remedy)
        return {what: read_reference(name, what, text) for what, text in given.items() if text}

    def _opened(self, account: str, references: Iterable[Reference]) -> Mapping[str, Secret]:
        wanted = [one for one in references if one.kind is Kind.VAULT]
        if not wanted:
            return {}
        if (found := self._vault([one.name for one in wanted])) is None:
            remedy = "grant `sealed` to keys, and name its provider under `ports:`"
            raise CredentialsMissing(account, str(wanted[0]), ("no vault",), remedy)
        return found

    def _secret(
        self,
        account: str,
        reference: Reference,
        read: Callable[[Dotenv], Mapping[str, Secret]],
        sealed: Mapping[str, Secret],
    ) -> Secret:
        name = reference.name
        if reference.kind is Kind.VAULT:
            if (secret := sealed.get(name)) is not None:
                return _clean(account, reference, "the vault", secret)
            remedy = f"run: hauberk vault put {quote(name)}"
            raise CredentialsMissing(account, str(reference), ("the vault",), remedy)
        if reference.kind is Kind.KEYRING:
            return self._from_keyring(account, reference)
        if reference.kind is Kind.FILE:
            return self._from_file(account, reference)
        looked_in = ["the environment"]
        if value := self._environ.get(name):
            # Bytes that are not UTF-8 come as lone surrogates; an encoding error would carry them.
            found = Secret(value.encode("utf-8", "surrogateescape"))
            del value
            return _clean(account, reference, "the environment", found)
        for file in self._files:
            looked_in.append(str(file.path))
            if (secret := read(file).get(name)) is not None:
                return _clean(account, reference, str(file.path), secret)
        raise CredentialsMissing(account, str(reference), looked_in)

    def _from_keyring(self, account: str, reference: Reference) -> Secret:
        entry = self._keyring(reference.name)
        if entry.value is not None:
            return _clean(account, reference, "the keyring", entry.value)
        if not entry.is_there:
            remedy = f"{entry.why}; or keep it elsewhere: {', '.join(AVAILABLE)}"
        else:
            why = f"{entry.why}; " if entry.why else ""
            remedy = f"{why}run: keyring set {SERVICE} {quote(reference.name)}"
        places = entry.places or ("the keyring",)
        raise CredentialsMissing(account, str(reference), places, remedy)

    def _from_file(self, account: str, reference: Reference) -> Secret:
        path = self._folder / reference.name
        place = str(path)
        try:
            found = quietly(
                f"reading {path}", lambda: Secret(read_private(path, _MAX_FILE).strip())
            )
            check_obeyed(path, path.lstat())  # nor can others put another key in its place
        except UnsafeFile as error:
            place, why, remedy = str(error.path), error.problem, error.remedy
        except FileNotFoundError:
            raise CredentialsMissing(
                account, str(reference), (place,), "put the key into this file"
            ) from None
        except OSError as error:
            why, remedy = "it cannot be read", str(error.strerror)
        else:
            if found:
                return found
            why, remedy = "it is empty", "put the key into it"
        raise UnusableCredentials(account, str(reference), place, why, remedy)


def _clean(account: str, reference: Reference, place: str, secret: Secret) -> Secret:
    """Return a secret; refuse one with white space around it, which would sign wrongly, unseen.

    A private key in PEM ends with a line's end, and means the same without.
    """
    value = secret.reveal()
    is_clean = value == value.strip() or value.lstrip().startswith(_PEM)
    del value
    if is_clean:
        return secret
    why = "it begins or ends with white space, such as a line's end, which no key does"
    raise UnusableCredentials(account, str(reference), place, why, "put it there without")
