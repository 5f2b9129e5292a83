"""The hauberk.yml that `hauberk init` writes."""

from __future__ import annotations

from string import Template
from typing import Final

#: What a repository of the bot's must not hold.
GITIGNORE: Final = """\
hauberk-state/
.env
*.key
"""

_TEMPLATE: Final = Template("""\
# yaml-language-server: $$schema=hauberk.schema.json
#
# Hauberk's configuration. It works as it stands once BINANCE_KEY and BINANCE_SECRET are set,
# in the environment or in a file .env beside this one (chmod 600). Check it: hauberk doctor

# enforce, or shadow: log what would be denied or delayed, and let it pass. For the first days.
mode: enforce

# Where state is kept, relative to this file.
state: hauberk-state

# Who is asked about a request, in this order. The kill switch comes first; `bots` is where hooks
# registered at run time stand; no plugin that judges requests stands after throttle. Add `auth` for
# users who log in: `hauberk user`, `hauberk login`.
plugins: [killswitch, policy, bots, throttle, signing, monitor, audit, logs]

# Without these nothing starts; and what changes something waits until audit has recorded it.
required: [killswitch, policy, throttle, signing, audit]

# Which plugin provides which port: records are kept by `store`, sealed by `vault`, and both by
# `sealed`.
ports:
  venues: venues
  keys: keys
  store: storage
  vault: encryption
  sealed: storage
  transport: transport

# What each may do beyond objecting: amend, sign, authenticate, record, verify, or use a port.
grants:
  keys: [sealed]
  storage: [vault]
  encryption: []
  transport: []
  killswitch: [store, emergency, venues]
  policy: [venues, store, reference_price]
  throttle: [venues, store]
  signing: [sign, keys, venues, store, transport]
  monitor: [record, venues, store]
  audit: [record, sealed, transport, hashes]
  logs: [record]

# Plugins of others, by distribution; nothing of a distribution that is not named is imported.
# third_party:
#   hauberk-trading-hours: {plugins: [trading_hours], grants: []}
third_party: {}

# Accounts hold references to keys, never keys.
accounts:
  main:
    venue: binance
    key: env:BINANCE_KEY
    secret: env:BINANCE_SECRET
    # Capabilities: read, trade, cancel, transfer, withdraw, admin.
    allow: [read, trade, cancel]

# What state is sealed with: a wrapping key in a file, in the keyring of the operating system or
# printed by a command, or a passphrase. It is never kept in the state folder, and without it
# nothing there can be read: keep a copy elsewhere.
encryption:
  $encryption

# Who is told of incidents: list `notify` last under `plugins:`, pip install 'hauberk[notify]', and
# keep the URL of each route where nobody sees it: hauberk notify put mail
# notify:
#   routes:
#     - {name: mail, to: vault:mail, severity: medium}
#     - {name: pager, to: env:PAGER_URL, severity: critical}

# A plugin's own settings stand under its name. `hauberk config schema` describes them all.

# What happened is recorded so that nobody can rewrite it unseen, once a witness elsewhere holds the
# newest checkpoint: a file on another mount, or a URL.
# audit:
#   witnesses: ["file:/media/usb/hauberk-checkpoint"]

logs:
  format: console
""")


def configuration(encryption: str) -> str:
    """Return the text of a hauberk.yml.

    Args:
        encryption: What stands in the section `encryption`, one line.
    """
    return _TEMPLATE.substitute(encryption=encryption)
