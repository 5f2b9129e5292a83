"""What is on the disk before the first command: configuration, keys, and what the guide left."""

from __future__ import annotations

import hmac
import json
import shutil
from base64 import b64encode, urlsafe_b64encode
from pathlib import Path

import bcrypt
from canary_marks import Marks
from cryptography.fernet import Fernet

#: Folders of the user's own, by the variable that says where.
HOMES = {"HOME": "home", "XDG_CONFIG_HOME": "config", "XDG_STATE_HOME": "state",
         "XDG_CACHE_HOME": "cache", "XDG_RUNTIME_DIR": "run", "TMPDIR": "tmp"}  # fmt: skip
CONFIG = """\
mode: enforce
state: hauberk-state
plugins: [killswitch, policy, bots, throttle, signing, auth, monitor, audit, logs, notify, recovery,
  gpu, batch, alerts]
required: [killswitch, policy, throttle, signing]
third_party: {canary-alerts: {plugins: [alerts], grants: []}}
accounts:
  main: {venue: binance, key: env:DOT_KEY, secret: env:DOT_SECRET}
  env: {venue: binance, key: env:ENV_KEY, secret: env:ENV_SECRET}
  sealed: {venue: binance, key: vault:main/key, secret: vault:main/secret}
  off: {venue: binance, key: env:ENV_KEY, secret: env:ENV_SECRET, disabled: true}
encryption: {key: file:../keys/wrapping.key}
auth: {cost: 10}
logs: {format: json, level: debug, file: events.jsonl}
notify: {routes: [{name: pager, to: "file:../keys/pager.key"}, {name: mail, to: vault:mail}]}
"""
ALERTS = """\
from attrs import frozen
from hauberk.hooks import Plugin, hookimpl
from hauberk.sealed import Sealed


@frozen
class Config:
    '''Where alerts go.'''

    token: Sealed | None = None
    other: Sealed | None = None


class Alerts(Plugin):
    interface = (1, 1)
    Config = Config

    def __init__(self, config):
        self.config = config

    @hookimpl
    def on_start(self, context):
        if self.config.token is not None:
            self.token = context.unseal(self.config.token)
"""


def lay_out(root: Path, marks: Marks) -> None:
    """Make all of it below a folder."""
    for name in (*HOMES.values(), "bot", "keys", "keys/cut", "keys/turned", "old", "site"):
        (root / name).mkdir(mode=0o700)
    _write(root / "bot/hauberk.yml", CONFIG)
    key, secret = marks.mark("dotenv key"), marks.awkward("dotenv secret")
    _write(root / "bot/.env", f"DOT_KEY={key}\nDOT_SECRET='{secret}'\n")
    for name in ("wrapping", "other", "wrong"):
        _write(root / f"keys/{name}.key", b64encode(marks.key(f"{name} key")).decode() + "\n")
    _write(root / "keys/pager.key", f"json://127.0.0.1:9/{marks.mark('pager key')}\n")
    _lay_out_archive(root / "keys", marks)
    _write(root / "site/canary_alerts.py", ALERTS)
    info = root / "site/canary_alerts-1.0.dist-info"
    info.mkdir()
    _write(info / "METADATA", "Metadata-Version: 2.1\nName: canary-alerts\nVersion: 1.0\n")
    _write(info / "entry_points.txt", "[hauberk]\nalerts = canary_alerts:Alerts\n")
    _lay_out_guide(root / "old", marks)


def _lay_out_archive(folder: Path, marks: Marks) -> None:
    """Make signed rows, the keys that verify them, and the same keys where they make no sense."""
    secret = marks.key("archive key")
    rows = [b"order 1", b"order 2"]
    lines = [
        json.dumps(
            {
                "message": b64encode(row).decode(),
                "signature": b64encode(hmac.digest(secret, row, "sha256")).decode(),
                "key_id": "bot",
            }
        )
        for row in rows
    ]
    _write(folder / "archive.jsonl", "\n".join(lines) + "\n")
    key = {"algorithm": "hmac-sha256", "secret": b64encode(secret).decode()}
    turned = {"algorithm": key["secret"], "secret": key["algorithm"]}
    _write(folder / "archive.json", json.dumps({"bot": key}))
    _write(folder / "cut/archive.json", json.dumps({"bot": {**key, "secret": key["secret"][:-2]}}))
    _write(folder / "turned/archive.json", json.dumps({"bot": turned}))


def _lay_out_guide(folder: Path, marks: Marks) -> None:
    """Make what the security guide's code leaves, to the letter."""
    key = urlsafe_b64encode(marks.key("guide's key"))
    _write(folder / ".encryption_key", key.decode())
    (folder / ".secure_storage").mkdir()

    def sealed(data: str) -> str:
        return Fernet(key).encrypt(data.encode()).decode()

    secret = marks.awkward("guide's record")
    _write(folder / ".secure_storage/x.enc", sealed(json.dumps({"secret": secret})))
    password, salt = marks.mark("guide's password"), bcrypt.gensalt(4)
    hashed = marks.add("guide's hash", bcrypt.hashpw(password.encode(), salt))
    user = {"username": "dora", "password_hash": hashed, "salt": salt.decode()}
    _write(folder / ".secure_storage/user_dora.enc", sealed(json.dumps(user)))
    value = sealed(marks.awkward("guide's value"))
    _write(folder / "config.yml", f"# of the bot\napi_key: {value}\nexchange: binance\n")


def restore(root: Path, spare: Path) -> None:
    """Put everything back as it was, at the same paths."""
    for path in root.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(spare, root, symlinks=True, dirs_exist_ok=True)


def _write(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")
    path.chmod(0o600)
