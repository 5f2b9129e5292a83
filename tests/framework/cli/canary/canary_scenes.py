"""What is typed: every command in success, and the ways in which each is misused.

A command that is added without a scene here fails a test.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import frozen
from canary_marks import awkward, core
from canary_world import Typed, World

BASE = "https://api.binance.com"
ACCOUNT = f"{BASE}/api/v3/account"
#: What somebody types in the wrong place.
ASTRAY = awkward("astray")


@frozen
class Scene:
    """One command line.

    Attributes:
        words: Separated by spaces; `ROOT` is the folder of the world.
        types: What is typed at its prompts.
        shows: The secrets that it is for showing, once: those whose names begin so.
        status: How it ends where nothing is wrong.
        is_seen: Whether a person sees what it writes on stderr.
        before: Command lines before it.
    """

    words: str
    types: Sequence[Typed | Callable[[World], Typed]] = ()
    shows: tuple[str, ...] = ()
    status: int = 0
    is_seen: bool = False
    before: tuple[str, ...] = ()


def of(name: str) -> Callable[[World], Typed]:
    """What is typed is one of the secrets."""
    return lambda world: world.marks.values[name].decode()


def made(name: str) -> Callable[[World], Typed]:
    """What is typed is a secret that nobody has had before."""
    return lambda world: world.marks.awkward(name)


def recovery(world: World) -> Typed:
    return world.recovery[-1]


def code(world: World) -> Typed:
    return world.code


def a_url(world: World) -> Typed:
    return f"json://127.0.0.1:9/{made('another URL')(world)}"


VERIFY = "verify ROOT/keys/archive.jsonl --engine reference"
TWICE = [made("another password")] * 2

#: Every command; the first scene of each is one of success.
SCENES: dict[str, list[Scene]] = {
    "demo": [Scene("demo surplus", status=2)],  # the whole of it has a test of its own
    "init": [
        Scene("init ROOT/fresh"),
        Scene("init ROOT/fresh --key-file ROOT/keys/fresh.key"),
        Scene("init ROOT/bot", status=2),
        Scene(f"init ROOT/fresh --key {ASTRAY}", status=2),
        Scene(f"init ROOT/fresh --key={ASTRAY} --key-file ROOT/x.key", status=2),
    ],
    "doctor": [Scene("doctor")],
    "plugins": [Scene("plugins")],
    "plugin new": [Scene("plugin new hauberk-mine ROOT/mine")],
    "sign": [
        Scene(f"sign GET {ACCOUNT}", shows=("dotenv key",)),
        Scene(f"sign GET {ACCOUNT} --account env", shows=("env key",)),
        Scene(f"sign GET {ACCOUNT} --account sealed", shows=("vault key",)),
        Scene(f"sign POST {BASE}/sapi/v1/capital/withdraw/apply coin=BTC", status=1),
        Scene(f"sign GET {ACCOUNT} {ASTRAY.replace('=', '')}", status=2),
        Scene(f"sign GET {ACCOUNT} --at {ASTRAY}", status=2),
        Scene(f"sign GET {ACCOUNT} signature=0", status=1),
        Scene(f"sign GET {ACCOUNT} x={'x' * 9_000}", status=1),
        Scene("sign GET https://evil.example/x", status=1),
    ],
    "verify": [
        Scene(f"{VERIFY} --keys ROOT/keys/archive.json"),
        Scene(f"{VERIFY} --attribute ROOT/keys/archive.json --report ROOT/tmp/who.jsonl"),
        Scene(f"{VERIFY} --keys ROOT/keys/cut/archive.json", status=2),
        Scene(f"{VERIFY} --keys ROOT/keys/turned/archive.json", status=2),
        # Keys where the archive is meant to be, and the other way round.
        Scene("verify ROOT/keys/archive.json --keys ROOT/keys/archive.jsonl", status=2),
    ],
    "config get": [
        Scene("config get alerts.token"),
        Scene("config get alerts.token --reveal", shows=("sealed value",)),
        Scene("config get alerts --reveal", shows=("sealed value",)),
        Scene("config get accounts"),
        Scene("config get alerts.nothing", status=1),
    ],
    "config set": [
        Scene("config set mode shadow"),
        Scene("config set alerts.other --sealed", [made("another sealed value")]),
        Scene("config set alerts.other --sealed", [""], status=2),
        Scene(f"config set alerts.other {ASTRAY}", status=2),
        Scene(f"config set alerts.other {ASTRAY} --sealed", status=2),
        Scene(f"config set accounts.main.secret.x {ASTRAY}", status=2),
        Scene(f"config set alerts.token [{ASTRAY}", status=2),
    ],
    "config unset": [Scene("config unset alerts.token")],
    "config check": [Scene("config check")],
    "config schema": [Scene("config schema")],
    "migrate": [
        Scene("migrate ROOT/old"),
        Scene("migrate ROOT/old --delete"),
        Scene("migrate ROOT/nowhere", status=2),
        Scene("migrate ROOT/old", before=("migrate ROOT/old",)),
    ],
    "vault put": [
        Scene("vault put spare", [made("another record")]),
        Scene("vault put main/key", [made("another record")]),
        Scene("vault put spare", [""], status=2),
        Scene("vault put spare", [awkward("too long") * 40_000], status=2),
        Scene(f"vault put spare {ASTRAY}", status=2),
    ],
    "vault get": [
        Scene("vault get main/secret"),
        Scene("vault get main/secret --reveal", shows=("vault secret",)),
        Scene("vault get nothing --reveal", status=1),
    ],
    "vault list": [Scene("vault list")],
    "vault delete": [Scene("vault delete main/spare")],
    "vault rotate": [Scene("vault rotate")],
    "storage copy": [
        Scene("storage copy postgres --url env:NO_DATABASE", status=2),
        Scene(f"storage copy postgres --url {ASTRAY}", status=2),
    ],
    "vault rewrap": [
        Scene("vault rewrap --key file:../keys/other.key"),
        Scene("vault rewrap --key file:../keys/wrapping.key"),
        Scene("vault rewrap --command cat\0ROOT/keys/other.key"),
        Scene("vault rewrap --command false", status=2),
        Scene("vault rewrap --passphrase env:PASSPHRASE"),
        Scene("vault rewrap", [made("another passphrase")] * 2),
        Scene("vault rewrap", [made("another passphrase"), made("typed otherwise")], status=2),
        Scene("vault rewrap", [core("short")[:14]] * 2, status=2),
        Scene(f"vault rewrap --key {ASTRAY}", status=2),
        Scene(f"vault rewrap --passphrase {ASTRAY}", status=2),
    ],
    "keys check": [
        Scene("keys check off"),
        # Nobody is there who could say that a key works.
        Scene("keys check", status=1),
        Scene("keys check env", status=1),
        Scene("keys check nobody", status=2),
    ],
    "nonces reset": [Scene("nonces reset main"), Scene("nonces reset nobody", status=2)],
    "audit show": [
        Scene("audit show"),
        Scene("audit show --user alice --since 7d"),
        Scene(f"audit show --since {ASTRAY}", status=2),
    ],
    "audit verify": [Scene("audit verify"), Scene("audit verify --folder nowhere", status=2)],
    "audit export": [Scene("audit export --proof 0"), Scene("audit export --proof 99", status=2)],
    "audit checkpoint": [Scene("audit checkpoint")],
    "audit rotate-key": [Scene("audit rotate-key")],
    "monitor rules": [Scene("monitor rules")],
    "audit begin": [Scene("audit begin --reason the-report-of-May")],
    "budgets": [Scene("budgets")],
    "notify test": [Scene("notify test", status=1), Scene("notify test --route none", status=2)],
    "notify outbox": [Scene("notify outbox"), Scene("notify outbox --dead")],
    "notify retry": [Scene("notify retry --all"), Scene("notify retry 0123abcd", status=2)],
    "notify put": [
        Scene("notify put mail", [a_url]),
        Scene("notify put mail", [made("no URL")], status=2),
        Scene("notify put mail", [""], status=2),
    ],
    "policy explain": [
        Scene("policy explain GET https://api.binance.com/api/v3/account --account main"),
        Scene("policy explain GET https://api.binance.com/other --account main", status=1),
    ],
    "policy reset": [Scene("policy reset main"), Scene("policy reset nobody", status=2)],
    "recovery create": [
        Scene("recovery create"),
        Scene("recovery create --reason monthly --keep 1", before=("recovery create",)),
        Scene(f"recovery create --keep {ASTRAY}", status=2),
    ],
    "recovery list": [Scene("recovery list"), Scene("recovery list", before=("recovery create",))],
    "recovery verify": [
        Scene("recovery verify latest", before=("recovery create",)),
        Scene(f"recovery verify {ASTRAY}", status=2),
        Scene(f"recovery verify latest --key {ASTRAY}", status=2),
    ],
    "recovery drill": [
        Scene("recovery drill latest", before=("recovery create",)),
        Scene(f"recovery drill {ASTRAY}", status=2),
    ],
    "recovery restore": [
        Scene("recovery restore latest --accept-rollback", before=("recovery create",)),
        # Every session has ended: alice is to log in first.
        Scene(
            "recovery restore --undo",
            status=1,
            before=("recovery create", "recovery restore latest --accept-rollback"),
        ),
        Scene("recovery restore --finish"),
        Scene(f"recovery restore {ASTRAY}", status=2),
    ],
    "halt": [Scene("halt"), Scene("halt --reason fire")],
    "resume": [
        Scene("resume --reason mended"),
        Scene("resume --reason x", status=1, before=("halt",)),
    ],
    "incident report": [
        Scene("incident report fire --severity MEDIUM --detail n=1"),
        Scene(f"incident report fire --severity MEDIUM --detail api_key={ASTRAY}"),
        Scene(f"incident report fire --severity {ASTRAY}", status=2),
    ],
    "incident list": [Scene("incident list"), Scene("incident list --open")],
    "incident show": [Scene("incident show nothing", status=2)],
    "incident resolve": [Scene("incident resolve nothing --resolution done", status=2)],
    "user add": [
        Scene("user add carol --role trader", TWICE),
        Scene(
            "user add carol --role trader",
            [made("another password"), made("typed otherwise")],
            status=2,
        ),
        Scene("user add carol", [core("too short")[:14]] * 2, status=2),
        Scene("user add bob", TWICE, status=2),
        Scene("user add carol --role none", TWICE, status=2),
    ],
    "user list": [Scene("user list")],
    "user disable": [Scene("user disable bob"), Scene("user disable nobody", status=2)],
    "user enable": [Scene("user enable bob")],
    "user roles": [Scene("user roles bob operator")],
    "user passwd": [
        Scene("user passwd bob", TWICE),
        Scene("user passwd", [of("password of alice"), recovery, *TWICE]),
        Scene("user passwd alice", [made("not hers"), recovery, *TWICE], status=1),
        Scene("user passwd nobody", TWICE, status=2),
    ],
    "user recover": [
        Scene("user recover alice --yes", TWICE),
        Scene("user recover alice", TWICE, status=2),
        Scene("user recover bob --yes", TWICE, status=2),
    ],
    "user rotate-pepper": [Scene("user rotate-pepper")],
    "user second-factor": [
        Scene("user second-factor bob", [code], ("TOTP", "recovery"), is_seen=True),
        Scene("user second-factor alice", [code], ("TOTP", "recovery"), is_seen=True),
        Scene("user second-factor bob", [core("no code")], ("TOTP",), 2, is_seen=True),
        Scene("user second-factor bob", [code], status=2),
        Scene("user second-factor bob --reveal", [code], ("TOTP", "recovery")),
    ],
    "login": [
        Scene("login alice", [of("password of alice"), recovery]),
        Scene("login bob", [of("password of bob"), ""]),
        Scene("login alice", [of("password of alice"), core("wrong code")], status=1),
        Scene("login alice", [made("wrong password"), recovery], status=1),
        Scene("login nobody", [of("password of alice"), recovery], status=1),
        Scene(f"login alice {ASTRAY}", status=2),
    ],
    "sessions list": [Scene("sessions list")],
    "sessions revoke": [
        Scene("sessions revoke --user bob"),
        Scene("sessions revoke --all"),
        Scene("sessions revoke 0123456789ab", status=2),
    ],
    "whoami": [Scene("whoami")],
    "logout": [Scene("logout")],
    "token create": [
        Scene("token create taker --account main --allow read --days 9", shows=("token of",)),
        Scene("token create taker --account nothing --allow read --days 9", status=2),
        Scene(f"token create taker --account main --allow read --days {ASTRAY}", status=2),
    ],
    "token rotate": [Scene("token rotate maker", shows=("token of",))],
    "token list": [Scene("token list")],
    "token revoke": [Scene("token revoke maker")],
}

#: Added to a scene of every command, and refused by each.
MISUSES = (f"--nonsense={ASTRAY}", ASTRAY)
#: Commands that take one more word as one of their own.
TAKE_MORE = {"sign", "policy explain", "keys check", "vault list", "user roles", "verify"}
