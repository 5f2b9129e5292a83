"""`hauberk vault put`, `get`, `list`, `delete` and `rotate`."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import sqlite3
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.ran import Ran

from hauberk.cli.main import main
from hauberk.command import started
from hauberk_plugins.storage import commands
from hauberk_plugins.storage.errors import RecordMissing
from hauberk_plugins.storage.secure_storage import SecureStorage

SECRET = "c4nary-s3cret"
DATE = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
CONFIG = """\
state: state
plugins: [killswitch, policy, bots, throttle, signing]
encryption: {key: file:wrapping.key}
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "state").mkdir(0o700)
    for name, text in (
        ("hauberk.yml", CONFIG),
        ("wrapping.key", b64encode(bytes(32)).decode()),
    ):
        (tmp_path / name).touch(0o600)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HAUBERK_CONFIG", raising=False)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    return tmp_path / "hauberk.yml"


@pytest.fixture
def hauberk(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Ran]:
    """Run a command, with something on its stdin."""

    def run(*words: str, stdin: bytes = b"") -> Ran:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), "utf-8"))
        capsys.readouterr()
        status = main(["vault", *words])
        return Ran(status, *capsys.readouterr())

    return run


@pytest.fixture
def kept(hauberk: Callable[..., Ran]) -> Callable[..., Ran]:
    """The same, with a record there already."""
    hauberk("put", "binance/main", stdin=SECRET.encode())
    return hauberk


# put


def test_what_is_put_is_what_get_reveals(hauberk: Callable[..., Ran]) -> None:
    ran = hauberk("put", "binance/main", stdin=SECRET.encode())
    assert ran == Ran(0, "binance/main: version 1 is kept\n", "")
    assert hauberk("get", "binance/main", "--reveal") == Ran(0, f"{SECRET}\n", "")


def test_what_stands_there_is_replaced(kept: Callable[..., Ran]) -> None:
    assert kept("put", "binance/main", stdin=b"other").out == (
        "binance/main: version 2 is kept, in place of version 1\n"
    )
    assert kept("get", "binance/main", "--reveal").out == "other\n"


@pytest.mark.parametrize(
    ("stdin", "value"),
    [(b"x\n", "x"), (b"x\r\n", "x"), (b"x\n\n", "x\n"), (b"x", "x"), (b" x ", " x "),
     (b"a\nb\n", "a\nb"), ("ключ\n".encode(), "ключ")],
)  # fmt: skip
def test_only_the_end_of_the_last_line_is_no_part_of_it(
    hauberk: Callable[..., Ran], stdin: bytes, value: str
) -> None:
    hauberk("put", "a", stdin=stdin)
    assert hauberk("get", "a", "--reveal", "--json").document["value"] == value


def test_nothing_on_stdin_keeps_nothing(kept: Callable[..., Ran]) -> None:
    for stdin in (b"", b"\n"):
        ran = kept("put", "binance/main", stdin=stdin)
        assert ran.status == 2
        assert "empty" in ran.err
    assert kept("get", "binance/main", "--reveal").out == f"{SECRET}\n"


def test_more_than_a_mebibyte_is_refused(hauberk: Callable[..., Ran]) -> None:
    ran = hauberk("put", "a", stdin=bytes(commands.MAX_BYTES + 1))
    assert ran.status == 2
    assert f"more than {commands.MAX_BYTES} bytes" in ran.err
    assert hauberk("put", "a", stdin=bytes(commands.MAX_BYTES)).status == 0


def test_the_value_is_no_argument(hauberk: Callable[..., Ran]) -> None:
    ran = hauberk("put", "binance/main", SECRET)
    assert ran.status == 2
    assert hauberk("list").out == "nothing is kept\n"


def test_on_a_terminal_it_is_asked_for_without_an_echo(config: Path) -> None:
    """On a real one: what is typed must not come back."""
    child, terminal = pty.fork()
    if child == 0:
        code = "import sys; from hauberk.cli.main import main; sys.exit(main(sys.argv[1:]))"
        words = ["vault", "put", "a", "--config", str(config)]
        os.execv(sys.executable, [sys.executable, "-c", code, *words])  # noqa: S606
    seen = b""
    while b"value of 'a': " not in seen:
        seen += os.read(terminal, 1024)
    os.write(terminal, SECRET.encode() + b"\n")
    try:
        while more := os.read(terminal, 1024):
            seen += more
    except OSError:  # the other end has closed
        pass
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, seen
    assert SECRET.encode() not in seen
    assert b"version 1 is kept" in seen


# get


def test_without_reveal_only_version_and_date_are_said(kept: Callable[..., Ran]) -> None:
    ran = kept("get", "binance/main")
    assert re.fullmatch(rf"binance/main: version 1, of {DATE}\n", ran.out)
    document = kept("get", "binance/main", "--json").document
    assert re.fullmatch(DATE, document.pop("written_at"))
    assert document == {"name": "binance/main", "version": 1}


def test_what_is_not_there_is_a_no(hauberk: Callable[..., Ran]) -> None:
    for words in (["get", "x"], ["get", "x", "--reveal"]):
        ran = hauberk(*words)
        assert (ran.status, ran.out) == (
            1,
            "x: there is no record of that name; see: hauberk vault list\n",
        )
        assert hauberk(*words, "--json").document == {"name": "x", "version": 0}


@pytest.mark.parametrize("value", [b"\xff\x00", b"a\x1b[2Jb", "\u202eabc".encode()])
def test_what_a_terminal_would_not_show_is_only_given_in_json(
    hauberk: Callable[..., Ran], value: bytes
) -> None:
    hauberk("put", "a", stdin=value)
    ran = hauberk("get", "a", "--reveal")
    assert (ran.status, ran.out) == (2, "")
    assert "use --json, in base64" in ran.err
    document = hauberk("get", "a", "--reveal", "--json").document
    assert document["value_base64"] == b64encode(value).decode()


def test_a_record_that_was_changed_is_not_revealed(kept: Callable[..., Ran], config: Path) -> None:
    with closing(sqlite3.connect(config.parent / "state" / "store.sqlite")) as connection:
        connection.execute("DELETE FROM records WHERE length(name) > 5")
        connection.commit()
    ran = kept("get", "binance/main", "--reveal", "--json")
    assert ran.status == 1
    assert ran.document["error"] == RecordMissing.__name__


# list


def test_names_are_listed_with_versions_and_dates_and_no_values(kept: Callable[..., Ran]) -> None:
    for _ in range(2):
        kept("put", "kraken/main", stdin=SECRET.encode())
    ran = kept("list")
    assert re.fullmatch(
        rf"binance/main  version 1  {DATE}\nkraken/main   version 2  {DATE}\n", ran.out
    )
    records = kept("list", "--json").document["records"]
    assert [(row["name"], row["version"]) for row in records] == [
        ("binance/main", 1),
        ("kraken/main", 2),
    ]
    assert len(kept("list", "kraken/").out.splitlines()) == 1
    assert kept("list", "nothing", "--json").document == {"records": []}


def test_a_name_cannot_act_on_the_terminal(hauberk: Callable[..., Ran]) -> None:
    hauberk("put", "a\x1b[2Jb", stdin=b"x")
    for words in (["list"], ["get", "a\x1b[2Jb"], ["put", "a\x1b[2Jb"]):
        assert "\x1b" not in hauberk(*words, stdin=b"y").out


# delete


def test_what_is_deleted_is_gone(kept: Callable[..., Ran]) -> None:
    assert kept("delete", "binance/main") == Ran(0, "binance/main: version 1 is removed\n", "")
    assert kept("get", "binance/main").status == 1
    assert kept("list").out == "nothing is kept\n"


def test_deleting_what_is_not_there_is_a_no(kept: Callable[..., Ran]) -> None:
    ran = kept("delete", "binance/other", "--json")
    assert (ran.status, ran.document) == (1, {"name": "binance/other", "deleted": False})
    assert kept("delete", "binance/main", "--json").document["deleted"] is True


# rotate; the sealed values of a configuration are in tests/framework/cli/test_cli_rotate.py.

ROTATED = {
    "fresh_key": True, "records": 0, "values": 0, "keys_retired": 0, "keys_kept_for": [],
}  # fmt: skip


def outdated(config: Path) -> int:
    with started(config, "storage") as running:
        storage: SecureStorage = running.plugin.sealed
        return storage.outdated()


def test_everything_is_sealed_under_a_fresh_key(kept: Callable[..., Ran], config: Path) -> None:
    kept("put", "b", stdin=b"x")
    ran = kept("rotate")
    assert ran == Ran(0, "A fresh key is in place: 2 records sealed under the present key.\n", "")
    assert outdated(config) == 0
    with started(config, "storage") as running:
        assert running.provider("vault").retire() == 1
    assert kept("get", "binance/main", "--reveal").out == f"{SECRET}\n"
    assert kept("rotate", "--json").document == {**ROTATED, "records": 2}


def test_with_nothing_kept_there_is_a_fresh_key_all_the_same(hauberk: Callable[..., Ran]) -> None:
    assert hauberk("rotate", "--json").document == ROTATED


def interrupt_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    whole = SecureStorage.reseal

    def reseal(self: SecureStorage) -> Iterator[int]:
        for step, left in enumerate(whole(self)):
            if step == steps:
                raise KeyboardInterrupt
            yield left

    monkeypatch.setattr(SecureStorage, "reseal", reseal)


def test_who_interrupts_it_reads_everything_and_goes_on(
    kept: Callable[..., Ran], config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        kept("put", f"{number}", stdin=b"%d" % number)
    with monkeypatch.context() as patched:
        interrupt_after(patched, 5)
        ran = kept("rotate")
    assert ran.status == 130
    assert "everything can be read. To go on: hauberk vault rotate\n" in ran.err
    left = outdated(config)
    assert 0 < left < 21
    for number in range(20):
        assert kept("get", f"{number}", "--reveal").out == f"{number}\n"
    ran = kept("rotate")
    assert ran.out == (
        f"A rotation that was stopped has ended: {left} records sealed under the present key.\n"
        "Run it again to put a fresh key in place.\n"
    )
    assert outdated(config) == 0


def test_progress_is_shown_on_a_terminal_and_nothing_of_it_in_a_pipe(
    kept: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kept("rotate").err == ""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setenv("TERM", "xterm")
    kept("rotate")
    assert "sealing" in shown.getvalue()


# All of them.


def test_no_command_shows_a_value_unless_told_to(kept: Callable[..., Ran], config: Path) -> None:
    lines = [
        ["put", "binance/main"], ["get", "binance/main"], ["list"], ["rotate"],
        ["delete", "nothing"], ["get", "nothing", "--reveal"], ["put"], ["delete", "binance/main"],
    ]  # fmt: skip
    for words in lines:
        for extra in ([], ["--json"]):
            ran = kept(*words, *extra, stdin=SECRET.encode())
            assert SECRET not in ran.out + ran.err, words
    for path in config.parent.rglob("*"):
        assert path.is_dir() or SECRET.encode() not in path.read_bytes()


def test_each_needs_a_capability() -> None:
    assert {(command.name, command.capability) for command in commands.COMMANDS} == {
        ("vault put", "vault.write"),
        ("vault get", "vault.read"),
        ("vault list", "vault.read"),
        ("vault delete", "vault.write"),
        ("vault rotate", "vault.rotate"),
    }


def test_without_a_wrapping_key_it_says_what_to_do(
    hauberk: Callable[..., Ran], config: Path
) -> None:
    (config.parent / "wrapping.key").unlink()
    ran = hauberk("put", "a", stdin=SECRET.encode())
    assert ran.status == 2
    assert "no wrapping key" in ran.err
    assert SECRET not in ran.err


def test_a_date_that_no_calendar_has_is_left_out() -> None:
    assert commands._date(1 << 63) in ("", "2262-04-11T23:47:16Z")
    assert commands._date(10**30) == ""
    assert commands._date(0) == "1970-01-01T00:00:00Z"


def test_the_whole_program_does_the_same(config: Path) -> None:
    """From a shell, where standard input is a pipe."""
    hauberk = [sys.executable, "-m", "hauberk.cli", "vault"]
    subprocess.run([*hauberk, "put", "a"], input=b"\xff\n", check=True, capture_output=True)
    done = subprocess.run(
        [*hauberk, "get", "a", "--reveal", "--json"], check=True, capture_output=True
    )
    assert json.loads(done.stdout)["value_base64"] == "/w=="


# Names.


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a\nb", r"'a\nb'"),
        ("\x1b[2Jgone", r"'\x1b[2Jgone'"),
        (" a ", "' a '"),
        ("", "''"),
        ("'a'", "\"'a'\""),
        ("a\u202eb", r"'a\u202eb'"),
        ("ключ", "ключ"),
    ],
)
def test_a_name_is_shown_on_one_line_and_moves_no_cursor(
    hauberk: Callable[..., Ran], name: str, told: str
) -> None:
    begins = f"{told}: version 1"
    assert hauberk("put", name, stdin=b"x").out == f"{begins} is kept\n"
    assert hauberk("get", name).out.startswith(f"{begins}, of ")
    listed = hauberk("list").out
    assert listed.startswith(f"{told}  version 1 ")
    assert listed.count("\n") == 1
    assert hauberk("list", "--json").document["records"][0]["name"] == name
    assert hauberk("delete", name).out == f"{begins} is removed\n"
    for command in ("delete", "get"):
        ran = hauberk(command, name)
        assert (ran.status, ran.out.startswith(f"{told}: there is no")) == (1, True)


def test_a_name_with_a_newline_is_shown_on_one_line_where_its_value_is_no_text(
    hauberk: Callable[..., Ran],
) -> None:
    hauberk("put", "a\nb", stdin=b"\xff")
    assert r"'a\nb' is not text" in hauberk("get", "a\nb", "--reveal").err


def test_deleting_what_is_not_there_makes_no_key_ring(
    hauberk: Callable[..., Ran], config: Path
) -> None:
    assert hauberk("delete", "a").status == 1
    assert not (config.parent / "state" / "keyring.json").exists()


@pytest.mark.parametrize(
    ("harm", "error"),
    [
        (lambda value: value[:-1] + bytes([value[-1] ^ 1]), "Tampered"),
        (lambda value: value[:-1], "Truncated"),
        (lambda value: value[:8] + b"\x07" + value[9:], "UnknownFormat"),
        (lambda value: value[:9] + b"\0\0\0\0" + value[13:], "UnknownKey"),
    ],
)
def test_an_error_names_a_record_as_it_was_put(
    kept: Callable[..., Ran], config: Path, harm: Callable[[bytes], bytes], error: str
) -> None:
    path = config.parent / "state" / "store.sqlite"
    with closing(sqlite3.connect(path)) as thief, thief:
        thief.create_function("harmed", 1, harm)
        thief.execute(
            "UPDATE records SET value = harmed(value) "
            "WHERE CAST(name AS TEXT) LIKE '%/r/binance/main'"
        )
    ran = kept("get", "binance/main", "--json")
    assert ran.document["error"] == error
    assert ran.document["message"].startswith("record 'binance/main' of 'keys' ")
    assert "/r/" not in ran.document["message"] + ran.err


def test_an_error_of_a_sum_names_its_bucket(kept: Callable[..., Ran], config: Path) -> None:
    with closing(sqlite3.connect(config.parent / "state" / "store.sqlite")) as thief, thief:
        thief.execute(
            "UPDATE records SET value = substr(value, 1, 70) WHERE CAST(name AS TEXT) LIKE '%/s'"
        )
    ran = kept("get", "binance/main", "--json")
    assert ran.document["error"] == "Truncated"
    assert re.match(r"record 'the sum of bucket [0-9a-f]{2}' of 'keys' ", ran.document["message"])
