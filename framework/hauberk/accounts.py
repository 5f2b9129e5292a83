"""An account at a venue, as `hauberk.yml` describes it."""

from __future__ import annotations

from attrs import field, frozen

from hauberk.request import Operation

#: What an account may do unless `allow` says otherwise: nothing that moves funds or rights.
DEFAULT_ALLOW = (Operation.READ, Operation.TRADE, Operation.CANCEL)


@frozen
class Account:
    """One account: where it is, what it may do, and where its keys are. Holds no secret.

    Attributes:
        venue: Name of a venue file.
        key: Reference to the API key, for example `env:BINANCE_KEY`.
        secret: Reference to the API secret.
        passphrase: Reference to the passphrase, where the venue has one.
        allow: Capabilities: read, trade, cancel, transfer, withdraw, admin.
        signer: The plugin that signs for it.
        base_url: A base URL used instead of the venue's own, for a testnet or a sandbox; plain
            http only on loopback.
        disabled: Whether everything for it is denied, at once and also what waits.
    """

    venue: str
    key: str = ""
    secret: str = ""
    passphrase: str = ""
    allow: tuple[Operation, ...] = DEFAULT_ALLOW
    signer: str = "signing"
    base_url: str = field(default="")
    disabled: bool = False
