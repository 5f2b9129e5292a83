"""`hauberk recovery …`: on a configuration as an operator has it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.ran import Ran

import hauberk
from hauberk import Severity
from hauberk.cli.main import main
from hauberk.command import started
from hauberk.errors import ConfigError
from hauberk.files import make_private_folder, write_private
from hauberk.secret import Secret
from hauberk_plugins.recovery.swap import Swap

ACCOUNT = "https://api.binance.com/api/v3/account"
CONFIG = """\
# of a bot
plugins: [killswitch, policy, bots, throttle, signing, auth, audit, recovery]
accounts:
  main: {{venue: binance, key: env:RECOVERY_KEY, secret: vault:main}}
  file: {{venue: binance, key: env:RECOVERY_KEY, secret: file:secret.key}}
encryption: {{key: file:../keys/wrapping.key}}
auth: {{cost: 10}}
audit: {{witnesses: [file:../witness/checkpoint]}}
recovery: {{folder: ../points, keep: 3}}
{more}
"""


class World:
    """A configuration, its keys beside it, and a command line."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self.config = root / "bot" / "hauberk.yml"
        self.state = root / "bot" / "hauberk-state"
        self.points = root / "points"
        self._capsys = capsys
        for name in ("bot", "keys", "witness"):
            make_private_folder(root / name)
        write_private(root / "keys/wrapping.key", b"QUJD" * 10 + b"QUI=\n")
        self.config.write_text(CONFIG.format(more=""))

    def run(self, *words: str) -> Ran:
        self._capsys.readouterr()
        status = main(["--config", str(self.config), *words])
        out, err = self._capsys.readouterr()
        return Ran(status, out, err)

    def json(self, *words: str) -> Any:
        ran = self.run("--json", "recovery", *words)
        assert ran.status == 0, ran.err
        return ran.document

    def put(self, name: str, value: bytes) -> None:
        with started(self.config, "storage") as running:
            running.provider("sealed").scoped("keys").put(name, value)

    def kept(self) -> dict[str, bytes]:
        with started(self.config, "storage") as running:
            records = running.provider("sealed").scoped("keys").scan()
            return {name: record.value for name, record in records}

    def begin_session(self) -> Secret:
        with started(self.config, "auth") as running:
            return running.plugin.sessions.create("alice", ("admin",), "here")  # type: ignore[no-any-return]

    @contextmanager
    def bot(self) -> Iterator[hauberk.Guard]:
        with hauberk.open(self.config) as guard:
            yield guard


@pytest.fixture
def world(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> World:
    monkeypatch.setenv("RECOVERY_KEY", "k")
    made = World(tmp_path, capsys)
    made.put("main", b"a trading key")
    return made


def test_create_list_verify_drill_restore_undo(world: World) -> None:
    made = world.json("create", "--reason", "a test")
    assert made["reason"] == "a test"
    assert made["audit_records"] == 2
    assert made["version"] == hauberk.__version__
    assert [one["id"] for one in world.json("list")["points"]] == [made["id"]]
    verified = world.json("verify")
    assert (verified["ok"], verified["signature"]) == (True, True)
    drilled = world.json("drill")
    assert drilled["ok"]
    assert drilled["sealed_records"] > 2
    assert {check["status"] for check in drilled["checks"]} <= {"ok", "warn"}
    world.put("main", b"another key")
    world.config.write_text(CONFIG.format(more="# changed"))
    restored = world.json("restore", made["id"])
    assert world.kept() == {"main": b"a trading key"}
    assert world.config.read_text() == CONFIG.format(more="")
    assert restored["notes"] == []
    world.json("restore", "--undo")
    assert world.kept() == {"main": b"another key"}
    assert world.config.read_text() == CONFIG.format(more="# changed")
    assert sorted(path.name for path in world.config.parent.iterdir()) == [
        "hauberk-state", "hauberk.yml",
    ]  # fmt: skip


def test_what_people_see(world: World) -> None:
    ran = world.run("recovery", "create")
    assert "It leaves out:" in ran.out
    assert "key: hauberk-recovery/" in ran.out
    assert "1 recovery points" in world.run("recovery", "list").out
    assert "files, as they were made" in world.run("recovery", "verify").out
    assert "opens" in world.run("recovery", "drill").out
    ran = world.run("recovery", "restore", "latest")
    assert "restored: " in ran.out
    assert "hauberk recovery restore --undo" in ran.out
    assert "no restore was stopped" in world.run("recovery", "restore", "--finish").out


def test_what_is_left_out_is_said_and_no_secret_in_clear_is_taken(world: World) -> None:
    folder = world.config.parent
    write_private(folder / ".env", b"c4nary=1")
    write_private(folder / "secret.key", b"c4nary\n")
    (folder / "venues").mkdir()
    (folder / "venues/own.yml").write_text("mine")
    write_private(folder / "venues/own.key", b"c4nary\n")
    text = world.config.read_text().replace("keep: 3", "keep: 3, include: ['venues/*']")
    world.config.write_text(text)
    made = world.json("create")
    left_out = {one["what"] for one in made["left_out"]}
    assert left_out == {
        ".env", "venues/own.key", "file:secret.key", "env:RECOVERY_KEY",
        "the wrapping key of the key ring",
    }  # fmt: skip
    found = [path for path in world.points.rglob("*") if path.is_file()]
    assert any(path.name == "own.yml" for path in found)
    key = (world.root / "keys/wrapping.key").read_bytes().strip()
    for path in found:
        content = path.read_bytes()
        assert b"c4nary" not in content, path
        assert key not in content, path
        assert b"a trading key" not in content, path


@pytest.mark.parametrize(
    ("include", "said"),
    [
        ("/etc/passwd", "must be within the folder"),
        ("../x", "must be within the folder"),
        (".env", "holds no secret in clear"),
        ("a/b.key", "holds no secret in clear"),
    ],
)
def test_what_cannot_be_included_is_a_problem_of_the_configuration(
    world: World, include: str, said: str
) -> None:
    text = world.config.read_text().replace("keep: 3", f"include: ['{include}']")
    world.config.write_text(text)
    ran = world.run("recovery", "create")
    assert ran.status == 2
    assert said in ran.err
    assert "recovery.include.0" in ran.err


def test_points_are_not_kept_in_the_state_folder(world: World) -> None:
    text = world.config.read_text().replace("../points", "hauberk-state/points")
    world.config.write_text(text)
    ran = world.run("recovery", "create")
    assert ran.status == 2
    assert "recovery.folder" in ran.err


def test_a_point_that_was_changed_exits_1_and_names_the_file(world: World) -> None:
    made = world.json("create")
    store = Path(made["folder"]) / "state/store.sqlite"
    content = bytearray(store.read_bytes())
    content[-1] ^= 1
    store.write_bytes(content)
    for words in (("verify",), ("drill",), ("restore", "latest")):
        ran = world.run("--json", "recovery", *words)
        assert ran.status == 1
        assert ran.document["error"] == "PointAltered"
        assert "state/store.sqlite was changed" in ran.document["message"]
    assert world.kept() == {"main": b"a trading key"}


def test_a_broken_newer_point_is_passed_over_and_named(world: World) -> None:
    made = world.json("create")
    broken = world.points / "20990101T000000Z-00000001"
    broken.mkdir(mode=0o700)
    said = f"{broken.name}: passed over, there is no manifest"
    for words in (("verify",), ("drill",), ("restore", "latest", "--accept-rollback")):
        document = world.json(*words)
        assert document["id"] == made["id"]
        (note,) = document["notes"]
        assert said in note
        told = world.run("recovery", *words)
        assert told.status == 0
        assert "there is no manifest" in " ".join(told.out.split())
    assert broken.exists()


@pytest.mark.parametrize(
    "words",
    [
        ("restore",),
        ("restore", "latest", "--undo"),
        ("restore", "--undo", "--finish"),
        ("restore", "nothing"),
        ("restore", "--undo"),
        ("verify", "nothing"),
        ("verify", "--key", "nonsense"),
        ("drill", "nothing"),
        ("create", "--keep", "-1"),
    ],
)
def test_what_cannot_be_done_exits_2(world: World, words: tuple[str, ...]) -> None:
    ran = world.run("recovery", *words)
    assert ran.status == 2, ran
    assert ran.err.startswith("hauberk: ")


def test_a_copy_elsewhere_is_verified_by_the_key_that_was_noted_down(world: World) -> None:
    made = world.json("create")
    shutil.copytree(made["folder"], world.root / "usb")
    assert world.json("verify", str(world.root / "usb"), "--key", made["key"])["signature"]
    forged = made["key"].split("+")[2]
    other = "hauberk-recovery/0000000000000000"
    from hauberk_plugins.notes.note import VerifierKey

    key = VerifierKey(other, VerifierKey.parse(made["key"]).public)
    assert forged in str(key)
    assert world.run("recovery", "verify", "latest", "--key", str(key)).status == 1


def test_the_log_goes_on_and_says_what_was_done(world: World) -> None:
    made = world.json("create")
    assert world.run("audit", "rotate-key").status == 0
    world.json("restore", made["id"], "--accept-rollback")
    assert world.run("audit", "verify").status == 0
    shown = world.run("--json", "audit", "show").document["records"]
    kinds = [record["kind"] for record in shown]
    assert kinds == [
        "audit.begin", "recovery.create", "audit.key", "recovery.restore", "recovery.restored",
    ]  # fmt: skip
    assert shown[-1]["fields"]["point"] == made["id"]
    with world.bot():  # and a bot starts on it
        pass


def test_an_older_state_than_the_audit_knows_exits_1_unless_accepted(world: World) -> None:
    made = world.json("create")
    with started(world.config, "recovery") as running:
        running.plugin.tell("test", {})
    ran = world.run("--json", "recovery", "restore", made["id"])
    assert ran.status == 1
    assert ran.document["error"] == "Rollback"
    assert world.json("restore", made["id"], "--accept-rollback")["id"] == made["id"]


def test_a_witness_tells_of_a_state_folder_that_was_put_back_as_a_whole(world: World) -> None:
    made = world.json("create")
    shutil.copytree(world.state, world.root / "old")
    with started(world.config, "recovery") as running:
        running.plugin.tell("test", {})
    assert world.run("audit", "checkpoint").status == 0
    shutil.rmtree(world.state)
    shutil.copytree(world.root / "old", world.state)
    ran = world.run("recovery", "restore", made["id"])
    assert ran.status == 1
    assert "witness" in ran.err


def test_a_halt_in_force_outlasts_a_restore(world: World) -> None:
    made = world.json("create")
    with world.bot() as guard:
        guard.report("a key was seen in public", Severity.CRITICAL)
    world.json("restore", made["id"], "--accept-rollback")
    with world.bot() as guard, pytest.raises(hauberk.Denied) as caught:
        guard.clear(
            hauberk.Request("GET", "https://api.binance.com/api/v3/account", account="main")
        )
    assert caught.value.plugin == "killswitch"


def test_no_session_outlasts_a_restore(world: World) -> None:
    token = world.begin_session()
    made = world.json("create")
    restored = world.json("restore", made["id"])
    assert restored["sessions_ended"] == 1
    with started(world.config, "auth") as running:
        assert running.plugin.sessions.validate_session(token) is None


def test_after_a_whole_loss_a_copy_and_the_wrapping_key_are_enough(
    world: World, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    made = world.json("create")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    usb = elsewhere / "usb"
    shutil.copytree(made["folder"], usb)
    fresh = World(elsewhere, capsys)
    shutil.copy(usb / "config/hauberk.yml", fresh.config)  # it is a folder: one file is copied out
    restored = fresh.json("restore", str(usb))
    assert fresh.kept() == {"main": b"a trading key"}
    assert "resume" in restored["notes"][0]
    assert fresh.run("audit", "verify").status == 0
    assert fresh.run("resume", "--reason", "moved").status == 0
    assert fresh.json("create")["key"] == made["key"]


def test_where_who_may_cannot_be_read_the_owner_may_restore(world: World) -> None:
    made = world.json("create")
    (world.state / "store.sqlite").write_bytes(b"damaged" * 999)
    ran = world.run("recovery", "create")
    assert ran.status == 3
    restored = world.json("restore", made["id"], "--accept-rollback")
    assert world.kept() == {"main": b"a trading key"}
    assert any("cannot be read" in note for note in restored["notes"])


def test_nothing_is_restored_under_a_bot_that_runs(world: World) -> None:
    made = world.json("create")
    with world.bot():
        ran = world.run("recovery", "restore", made["id"], "--accept-rollback")
        assert ran.status == 2
        assert "another process uses the state folder" in ran.err
        world.json("create")
    world.json("restore", made["id"], "--accept-rollback")


def test_a_bot_does_not_start_in_the_middle_of_a_restore(world: World) -> None:
    made = world.json("create")
    world.put("main", b"another key")
    code = (
        "import os, sys\n"
        "from hauberk.cli.main import main\n"
        "from hauberk_plugins.recovery.swap import Swap\n"
        "Swap.carry_out = lambda self: os._exit(9)\n"
        "main(sys.argv[1:])\n"
    )
    words = ["--config", str(world.config), "recovery", "restore", made["id"]]
    ended = subprocess.run([sys.executable, "-c", code, *words], env=os.environ, check=False)
    assert ended.returncode == 9
    assert Swap.was_stopped(world.state)
    with pytest.raises(ConfigError, match="a restore was stopped in the middle"):
        hauberk.open(world.config)
    ran = world.run("recovery", "restore", "--finish")
    assert ran.status == 0
    assert f"ended: {made['id']} is restored" in ran.out
    assert world.kept() == {"main": b"a trading key"}
    with world.bot():
        pass


def test_a_reload_keeps_the_state_folder(world: World) -> None:
    made = world.json("create")
    with world.bot() as guard:
        world.config.write_text(CONFIG.format(more="").replace("keep: 3", "keep: 4"))
        guard.reload()
        assert world.run("recovery", "restore", made["id"]).status == 2
    assert world.json("restore", made["id"])["id"] == made["id"]


def test_doctor_says_whether_there_is_a_point(world: World) -> None:
    assert "hauberk recovery create" in world.run("doctor").out
    world.json("create")
    out = world.run("doctor").out
    assert "recovery points" in out
    assert "on the disk that the state is on" in out


def test_doctor_takes_no_broken_point_for_the_newest(world: World) -> None:
    broken = world.points / "20990101T000000Z-00000001"
    made = Path(world.json("create")["folder"])
    broken.mkdir(mode=0o700)
    out = " ".join(world.run("doctor").out.split())
    assert f"{broken.name}: " in out
    assert "there is no manifest" in out
    shutil.rmtree(made)
    assert "hauberk recovery create" in world.run("doctor").out


def test_nobody_else_may(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from hauberk_plugins.recovery import commands

    def refused(self: Any, capability: str) -> str:
        raise hauberk.Denied("auth", f"no {capability}")

    monkeypatch.setattr(commands.Options, "require", refused)
    made = world.json("create")
    ran = world.run("recovery", "restore", made["id"])
    assert ran.status == 1
    assert "recovery.write" in ran.err


def test_progress_is_shown_on_a_terminal_and_nowhere_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert world.run("recovery", "create").err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert world.run("recovery", "create").status == 0


@pytest.fixture
def postgres_url(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Return the connection string of a database in which nothing is stored."""
    server = request.getfixturevalue("postgres")
    return lambda: server.url(server.fresh()).reveal_text()


def test_records_in_postgres_are_restored_there(
    world: World, postgres_url: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECOVERY_DATABASE", postgres_url())
    more = "storage: {backend: postgres, url: env:RECOVERY_DATABASE}"
    shutil.rmtree(world.state)
    shutil.rmtree(world.root / "witness")
    make_private_folder(world.root / "witness")
    world.config.write_text(CONFIG.format(more=more))
    world.put("main", b"a trading key")
    made = world.json("create")
    assert world.json("drill")["ok"]
    world.put("main", b"another key")
    world.json("restore", made["id"])
    assert world.kept() == {"main": b"a trading key"}
    world.json("restore", "--undo")
    assert world.kept() == {"main": b"another key"}
    assert not (world.state / "store.sqlite").exists()


def test_a_point_may_be_restored_into_another_kind_of_store(
    world: World,
    postgres_url: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The configuration that stands says where records are."""
    monkeypatch.setenv("RECOVERY_DATABASE", postgres_url())
    made = world.json("create")
    fresh = World(tmp_path_factory.mktemp("fresh"), capsys)
    more = "storage: {backend: postgres, url: env:RECOVERY_DATABASE}"
    fresh.config.write_text(CONFIG.format(more=more))
    ran = fresh.run("recovery", "restore", made["folder"], "--keep-config")
    assert ran.status == 0, ran.err
    assert fresh.kept() == {"main": b"a trading key"}
    assert not (fresh.state / "store.sqlite").exists()
