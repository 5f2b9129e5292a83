"""The built-in plugins, by name: a class is imported only when a configuration asks for it."""

from __future__ import annotations

from typing import Final

from attrs import frozen


@frozen
class Builtin:
    """A plugin that ships with Hauberk.

    Attributes:
        target: Its class, as `module:Class`.
        grants: What it is granted unless `grants:` has an entry for it.
    """

    target: str
    grants: tuple[str, ...] = ()


BUILTINS: Final[dict[str, Builtin]] = {
    "venues": Builtin("hauberk_plugins.venues.plugin:VenuesPlugin"),
    "encryption": Builtin("hauberk_plugins.encryption.plugin:EncryptionPlugin"),
    "storage": Builtin("hauberk_plugins.storage.plugin:StoragePlugin", ("vault",)),
    "keys": Builtin("hauberk_plugins.keys.plugin:KeysPlugin", ("sealed",)),
    "killswitch": Builtin(
        "hauberk_plugins.killswitch.plugin:KillSwitchPlugin", ("store", "emergency", "venues")
    ),
    "policy": Builtin(
        "hauberk_plugins.policy.plugin:PolicyPlugin", ("venues", "store", "reference_price")
    ),
    "throttle": Builtin("hauberk_plugins.throttle.plugin:ThrottlePlugin", ("venues", "store")),
    "signing": Builtin(
        "hauberk_plugins.signing.plugin:SigningPlugin",
        ("sign", "keys", "venues", "store", "transport"),
    ),
    "transport": Builtin("hauberk_plugins.transport.plugin:TransportPlugin"),
    "audit": Builtin(
        "hauberk_plugins.audit.plugin:AuditPlugin", ("record", "sealed", "transport", "hashes")
    ),
    "monitor": Builtin(
        "hauberk_plugins.monitor.plugin:MonitorPlugin", ("record", "venues", "store")
    ),
    "notify": Builtin("hauberk_plugins.notify.plugin:NotifyPlugin", ("store", "sealed", "record")),
    "logs": Builtin("hauberk_plugins.logs.plugin:LogsPlugin", ("record",)),
    "batch": Builtin("hauberk_plugins.batch.plugin:BatchPlugin", ("verify",)),
    "gpu": Builtin("hauberk_plugins.gpu.plugin:GpuPlugin", ("verify", "reference")),
    "recovery": Builtin("hauberk_plugins.recovery.plugin:RecoveryPlugin", ("store", "sealed")),
    "auth": Builtin("hauberk_plugins.auth.plugin:AuthPlugin", ("authenticate", "sealed", "store")),
}

#: Who provides a port unless `ports:` says otherwise.
DEFAULT_PORTS: Final[dict[str, str]] = {
    "venues": "venues",
    "vault": "encryption",
    "store": "storage",
    "sealed": "storage",
    "keys": "keys",
    "access": "auth",
    "transport": "transport",
    "reference": "batch",
    "hashes": "batch",
}
#: Ports whose default provider is loaded whoever is granted them.
ALWAYS: Final = frozenset({"venues", "keys"})

#: Names that no third party may bear the built-ins, those to come, and those under
#: which the kernel and the program itself speak.
RESERVED: Final = frozenset(BUILTINS) | {
    *("audit", "auth", "batch", "encryption", "gateway", "gpu", "monitor", "notify"),
    *("recovery", "sandbox", "storage", "bots", "bot", "kernel", "hauberk", "config"),
}
