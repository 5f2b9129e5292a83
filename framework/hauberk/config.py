"""`hauberk.yml`: its keys, and what must hold between them.

Reading never stops at the first error: what can be checked is, and `discovery` adds what it finds
in the plugins' own sections before everything is raised at once.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, get_origin

import attrs
from attrs import field, frozen

from hauberk.accounts import Account
from hauberk.builtins import ALWAYS, BUILTINS, DEFAULT_PORTS, RESERVED
from hauberk.errors import ConfigError, ConfigProblem
from hauberk.ports import PORTS
from hauberk.registry import BOTS, EMERGENCY, FIRST
from hauberk.settings import KernelLimits, Mode, Settings
from hauberk.spelling import nearest
from hauberk.structure import structure
from hauberk.yamlfile import Document, KeyPath, inspect_yaml, read_bytes, shown

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
_ACCOUNT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
_DISTRIBUTION: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\Z")  # PEP 508
_REFERENCE: Final = re.compile(r"(?:env|vault|keyring|file):.+\Z")
_BASE_URL: Final = re.compile(r"(https?)://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?\Z")


#: What an account may be allowed; the kernel decides about the others by itself.
_CAPABILITIES: Final = ("read", "trade", "cancel", "transfer", "withdraw", "admin")
_ALLOWED: Final = re.compile(r"accounts\..+\.allow\.[0-9]+\Z")


class Grant(StrEnum):
    """What a plugin may be granted beyond objecting."""

    AMEND = "amend"
    SIGN = "sign"
    AUTHENTICATE = "authenticate"
    RECORD = "record"
    VERIFY = "verify"
    EMERGENCY = "emergency"
    STORE = "store"
    VAULT = "vault"
    SEALED = "sealed"
    KEYS = "keys"
    ACCESS = "access"
    TRANSPORT = "transport"
    VENUES = "venues"
    REFERENCE_PRICE = "reference_price"
    REFERENCE = "reference"
    HASHES = "hashes"


@frozen
class ThirdParty:
    """What is loaded from a distribution of somebody else.

    Attributes:
        plugins: The names of its entry points that may be loaded.
        grants: What each of these plugins may do beyond objecting.
    """

    plugins: tuple[str, ...]
    grants: tuple[Grant, ...] = ()


@frozen(kw_only=True)
class ConfigFile:
    """The keys of `hauberk.yml`, the plugins' own sections aside.

    Attributes:
        mode: `enforce`, or `shadow` to log what would have been denied and let it pass.
        state: The state folder, relative to the file.
        plugins: Every plugin, in the order in which they are asked; `bots` is where hooks
            registered at run time stand.
        required: Plugins without which nothing starts.
        ports: Port to the plugin that provides it.
        grants: Plugin to what it may do beyond objecting, in place of what it has by default.
        third_party: Distribution to what is loaded from it; nothing of any other is imported.
        accounts: Accounts by name; they hold references to keys, never keys.
        kernel: Time limits of the kernel.
    """

    mode: Mode = Mode.ENFORCE
    state: Path = Path("hauberk-state")
    plugins: tuple[str, ...]
    required: tuple[str, ...] = ()
    ports: dict[str, str] = field(factory=dict)
    grants: dict[str, tuple[Grant, ...]] = field(factory=dict)
    third_party: dict[str, ThirdParty] = field(factory=dict)
    accounts: dict[str, Account] = field(factory=dict)
    kernel: KernelLimits = field(factory=KernelLimits)


@frozen(kw_only=True)
class Config(ConfigFile):
    """What was read from `hauberk.yml`: not to be used before `discover` has accepted it.

    Attributes:
        document: The file's data and lines.
        problems: What is wrong so far; a value that is wrong is left out or has its default.
    """

    document: Document = field(repr=False)
    problems: tuple[ConfigProblem, ...] = ()

    @property
    def settings(self) -> Settings:
        """The kernel's part of it."""
        folder = Path(self.document.file).absolute().parent
        return Settings(
            self.mode, self.accounts, self.providers, self.kernel, folder / self.state, folder
        )

    @property
    def providers(self) -> dict[str, str]:
        """Port to the plugin that provides it: those named, and by default those needed.

        What stands in the environment and in venue files is always at hand; a built-in that
        keeps something is loaded only where a plugin is granted its port, and `vault` where the
        file holds a sealed value.
        """
        needed = {*ALWAYS, "vault"} if self.document.sealed else ALWAYS
        providers = {port: name for port, name in DEFAULT_PORTS.items() if port in needed}
        providers |= self.ports
        waiting = [*self.plugins, *providers.values()]
        while waiting:
            for port in sorted(self.granted(waiting.pop()) & (DEFAULT_PORTS.keys() - providers)):
                providers[port] = DEFAULT_PORTS[port]
                waiting.append(providers[port])
        return {port: providers[port] for port in DEFAULT_PORTS if port in providers} | providers

    @property
    def names(self) -> tuple[str, ...]:
        """Every plugin that is to be loaded, once: providers that are not listed come first."""
        unlisted = [name for name in self.providers.values() if name not in self.plugins]
        return tuple(dict.fromkeys(n for n in (*unlisted, *self.plugins) if n != BOTS))

    def distribution(self, name: str) -> str | None:
        """Return the third party's distribution that a plugin is to be loaded from."""
        if name in RESERVED:
            return None
        return next((d for d, third in self.third_party.items() if name in third.plugins), None)

    def granted(self, name: str) -> frozenset[str]:
        """Return what a plugin may do beyond objecting."""
        distribution = self.distribution(name)
        default: tuple[str, ...] = BUILTINS[name].grants if name in BUILTINS else ()
        if distribution is not None:
            default = self.third_party[distribution].grants
        return frozenset(str(grant) for grant in self.grants.get(name, default))


def read_config(path: str | Path) -> Config:
    """Read `hauberk.yml` without importing any plugin.

    Returns:
        What was read, with every problem found so far in `problems`.

    Raises:
        ConfigError: The file is missing or is no YAML that could be checked further.
    """
    return parse_config(read_bytes(path, is_obeyed=True), str(path))


def parse_config(content: bytes, file: str) -> Config:
    """Read what stands in a `hauberk.yml`, or is to stand there; as `read_config`."""
    document, problems = inspect_yaml(content, file, sealed=True)
    values: dict[str, Any] = {}
    for key in attrs.fields(attrs.resolve_types(ConfigFile)):
        if document.data.get(key.name) is not None:
            values[key.name] = _value(document, key, problems)
        elif key.default is attrs.NOTHING:
            problems.append(document.problem((), f"missing key {key.name!r}"))
    values = {name: value for name, value in values.items() if value is not None}
    values.setdefault("plugins", _texts(document.data.get("plugins")))
    config = Config(document=document, **values)
    found = [document.problem(at, words) for check in _CHECKS for at, words in check(config)]
    return attrs.evolve(config, problems=(*problems, *found))


def _texts(value: Any) -> tuple[str, ...]:
    """Return the names in a list, whatever else may be wrong with it."""
    return tuple(v for v in value if isinstance(v, str)) if isinstance(value, list) else ()


def _value(document: Document, key: attrs.Attribute[Any], problems: list[ConfigProblem]) -> Any:
    """Structure one key; of a mapping, each entry by itself, so that one error hides no other."""
    entries = document.data[key.name]
    if get_origin(key.type) is not dict or not isinstance(entries, dict):
        return _structured(document, key.type, (key.name,), problems)
    kind = key.type.__args__[1]  # type: ignore[union-attr]
    made = {name: _structured(document, kind, (key.name, name), problems) for name in entries}
    return {name: value for name, value in made.items() if value is not None}


def _structured(document: Document, kind: Any, at: KeyPath, problems: list[ConfigProblem]) -> Any:
    try:
        return structure(document, kind, at)
    except ConfigError as error:
        # What `allow` lists is for _check_accounts to judge: not every operation may stand there.
        problems += [p for p in error.problems if kind is not Account or not _ALLOWED.match(p.path)]
        return None


_Wrong = Iterator[tuple[KeyPath, str]]


def _check_plugins(config: Config) -> _Wrong:
    listed: list[tuple[KeyPath, str]]
    listed = [(("plugins", index), name) for index, name in enumerate(config.plugins)]
    listed += [(("ports", port), name) for port, name in config.ports.items()]
    known = set(BUILTINS)
    for _, third in _entries(config.document, "third_party"):
        known.update(name for name in _texts(third.get("plugins")))
    for at, name in listed:
        if name == BOTS and at[0] == "plugins":
            continue
        if name in RESERVED and name not in BUILTINS:
            yield at, f"{name!r} is a reserved name, and no plugin of this version bears it"
        elif name not in known:
            hint = _offers(name) or nearest(name, known)
            yield at, f"{shown(name)} is no built-in and of no distribution in third_party{hint}"


def _offers(name: str) -> str:
    """Name the installed distributions that offer a plugin, and the line that lets one in."""
    from hauberk.discovery import installed  # which imports this module

    found = [
        f"; {owner} {version} offers it: if you trust it, add under `third_party:` "
        f"`{owner}: {{plugins: [{name}]}}`"
        for owner, version, names in installed()
        if name in names and _NAME.match(name) and _DISTRIBUTION.match(owner)
    ]
    return "".join(found)


def _check_ports(config: Config) -> _Wrong:
    for port in config.ports:
        if port not in PORTS:
            yield ("ports", port), f"{shown(port)} is no port{nearest(port, PORTS)}"


def _check_mentions(config: Config) -> _Wrong:
    """Whatever names a plugin must name one that is loaded."""
    mentions: list[tuple[KeyPath, str]]
    mentions = [(("required", index), name) for index, name in enumerate(config.required)]
    mentions += [(("grants", name), name) for name in config.grants]
    for at, name in mentions:
        if name not in config.names:
            near = nearest(name, config.names)
            yield at, f"{shown(name)} is neither listed in plugins nor provides a port{near}"


def _check_third_party(config: Config) -> _Wrong:
    distributions: dict[str, str] = {}
    owners: dict[str, str] = {}
    for distribution, third in config.third_party.items():
        at: KeyPath = ("third_party", distribution)
        if not _DISTRIBUTION.match(distribution):
            yield at, f"{shown(distribution)} is no name of a distribution"
        if (
            same := distributions.setdefault(normalised(distribution), distribution)
        ) != distribution:
            yield at, f"is the same distribution as {shown(same)}"
        for index, name in enumerate(third.plugins):
            if name in RESERVED or name in attrs.fields_dict(ConfigFile):
                yield (
                    (*at, "plugins", index),
                    f"{name!r} is a reserved name: third parties may not bear it",
                )
            elif not _NAME.match(name):
                yield (*at, "plugins", index), f"{shown(name)} is no name: a-z, 0-9 and _"
            elif (owner := owners.setdefault(name, distribution)) != distribution:
                yield (*at, "plugins", index), f"{name!r} is claimed by {owner} too"


def _check_accounts(config: Config) -> _Wrong:
    # As written rather than as structured: one wrong field must not hide what else is wrong.
    for name, account in _entries(config.document, "accounts"):
        at: KeyPath = ("accounts", name)
        if not _ACCOUNT.match(name):
            yield at, f"{shown(name)} is no name: letters, digits, and . _ - within"
        allow = account.get("allow")
        for index, operation in enumerate(allow if isinstance(allow, list) else ()):
            if wrong := _wrong_capability(operation):
                yield (*at, "allow", index), wrong
        signer = account.get("signer", "signing")
        if signer not in config.plugins:
            near = nearest(str(signer), config.plugins)
            yield (*at, "signer"), f"signer {shown(signer)} is not listed in plugins{near}"
        elif "sign" not in config.granted(signer):
            yield (*at, "signer"), f"signer {signer!r} lacks the grant 'sign'"
        for what in ("key", "secret", "passphrase"):
            reference = account.get(what)
            # Not repeated: it may be the secret itself, in the wrong place.
            if isinstance(reference, str) and reference and not _REFERENCE.match(reference):
                yield (*at, what), "is no reference: write for example env:NAME"
        url = account.get("base_url")
        if isinstance(url, str) and url and (wrong := _wrong_base(url)):
            yield (*at, "base_url"), wrong


def _wrong_capability(value: object) -> str:
    """Say what is wrong with an entry of `allow`."""
    listed = ", ".join(_CAPABILITIES)
    if isinstance(value, dict | list):
        return f"expected one of {listed}, not a {'mapping' if isinstance(value, dict) else 'list'}"
    if value in ("public", "reduce", "unknown"):
        return f"{value!r} is not an account's to be allowed: {listed} are"
    if value in _CAPABILITIES:
        return ""
    return f"{shown(value)} is not one of {listed}{nearest(str(value), _CAPABILITIES)}"


def _entries(document: Document, key: str) -> list[tuple[str, dict[str, Any]]]:
    entries = document.data.get(key)
    found = entries.items() if isinstance(entries, dict) else ()
    return [(name, entry) for name, entry in found if isinstance(entry, dict)]


def _wrong_base(url: str) -> str:
    """Say what is wrong with a base URL; it is not repeated, since it may hold a password."""
    if not (found := _BASE_URL.match(url)) or int(found[3] or 1) not in range(1, 65_536):
        return "must be https://HOST or https://HOST:PORT, without path, query or user"
    host = found[2].strip("[]")
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = host.lower() == "localhost"
    return "" if found[1] == "https" or is_loopback else "must be https: http is for loopback only"


def _check_authenticators(config: Config) -> _Wrong:
    able = [name for name in config.names if "authenticate" in config.granted(name)]
    for name in able[1:]:
        distribution = config.distribution(name)
        at: KeyPath = ("grants", name)
        if name not in config.grants and distribution is not None:
            at = ("third_party", distribution, "grants")
        yield at, f"{name!r} and {able[0]!r} both have the grant 'authenticate': one may"


def _check_emergency(config: Config) -> _Wrong:
    for name in config.names:
        distribution = config.distribution(name)
        if name != FIRST and EMERGENCY in config.granted(name):
            at: KeyPath = ("grants", name)
            if name not in config.grants and distribution is not None:
                at = ("third_party", distribution, "grants")
            yield at, f"the grant {EMERGENCY!r} is for {FIRST} alone: take it out"


def _check_sealed(config: Config) -> _Wrong:
    if "vault" not in config.providers:
        for at in config.document.sealed:
            yield at, "is sealed, and no plugin opens it: name one, `ports: {vault: PLUGIN}`"


def _check_sections(config: Config) -> _Wrong:
    own = attrs.fields_dict(ConfigFile)
    for key in config.document.data:
        if key in own or key in config.names:
            continue
        if key in BUILTINS or config.distribution(key) is not None:
            yield (key,), f"section of {key!r}, which is not listed in plugins"
        else:
            near = nearest(key, {*own, *config.names})
            yield (key,), f"unknown key {shown(key)}: no setting and no plugin{near}"


_CHECKS: Final[tuple[Callable[[Config], _Wrong], ...]] = (
    _check_plugins,
    _check_ports,
    _check_mentions,
    _check_third_party,
    _check_accounts,
    _check_authenticators,
    _check_emergency,
    _check_sealed,
    _check_sections,
)


def normalised(distribution: str) -> str:
    """Normalise a distribution's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()
