"""`SecureConfig`: absent, sealed and unreadable are three different things."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hauberk.errors import ConfigError, ConfigProblem, InvalidValue, SealError
from hauberk.files import FileOperations
from hauberk.rewrite import FileChanged
from hauberk.sealed import Sealed, Unreadable
from hauberk.secret import Secret
from hauberk.secureconfig import SecureConfig
from hauberk.testing import MemoryVault
from hauberk.yamledit import CannotEdit

TEXT = """\
# comment
host: example.org # where
ports: [25, 465]
empty:
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "config.yml"
    made.write_text(TEXT)
    return made


class Turned(MemoryVault):
    """A vault whose key was turned: what was sealed before is not current."""

    def is_current(self, sealed: bytes) -> bool:
        return sealed.startswith(b"new:")

    def seal(self, name: str, value: bytes, *, version: int = 0) -> bytes:
        return b"new:" + super().seal(name, value, version=version)

    def open(self, name: str, sealed: bytes, *, version: int = 0) -> Secret:
        return super().open(name, sealed.removeprefix(b"new:"), version=version)


@pytest.fixture
def vault() -> MemoryVault:
    return MemoryVault("config")


@pytest.fixture
def config(path: Path, vault: MemoryVault) -> SecureConfig:
    return SecureConfig(path, vault)


def test_a_value_is_got_and_what_is_absent_gives_the_default(config: SecureConfig) -> None:
    assert config.get("host", "default") == "example.org"
    assert config.get("ports") == [25, 465]
    assert config.get("ports.1") == 465
    assert config.get("empty", "default") is None
    for absent in ("nowhere", "host.x", "ports.2", "ports.x", "ports.'0'", "nowhere.deep.0"):
        assert config.get(absent, "default") == "default"
        assert config.get(absent) is None


def test_a_sealed_value_comes_back_as_a_secret_and_is_not_in_the_file(
    config: SecureConfig, path: Path
) -> None:
    assert config.set("db.password", "hunter2", sealed=True) == 6
    assert "hunter2" not in path.read_text()
    assert path.read_text().startswith(TEXT + "db:\n  password: !sealed ")
    assert config.get("db.password") == Secret("hunter2")
    assert config.get("db") == {"password": Secret("hunter2")}
    assert config.sealed() == ("db.password",)
    assert config.check() == []


@pytest.mark.parametrize("value", ["text", b"\0\xff bytes", Secret("secret"), Secret(b"\xff"), ""])
def test_text_bytes_and_secrets_can_be_sealed(config: SecureConfig, value: Any) -> None:
    config.set("a", value, sealed=True)
    assert config.get("a") == (value if isinstance(value, Secret) else Secret(value))


@pytest.mark.parametrize("value", [5, None, True, ["hunter2"], bytearray(b"hunter2")])
def test_nothing_else_can_be_sealed(config: SecureConfig, path: Path, value: Any) -> None:
    with pytest.raises(InvalidValue, match="only text and bytes can be sealed") as caught:
        config.set("a", value, sealed=True)
    assert "hunter2" not in str(caught.value)
    assert path.read_text() == TEXT


def test_a_secret_is_not_written_in_clear_by_mistake(config: SecureConfig, path: Path) -> None:
    with pytest.raises(InvalidValue, match="not Secret"):
        config.set("a", Secret("hunter2"))
    assert path.read_text() == TEXT


def tampered(text: str) -> str:
    blob = text.rpartition(" ")[2].strip()
    return text.replace(blob, ("B" if blob[0] == "A" else "A") + blob[1:])


def moved(text: str) -> str:
    return text.replace("password:", "passphrase:")


def cut(text: str) -> str:
    return text.replace(text.rpartition(" ")[2].strip(), "AAAA")


@pytest.mark.parametrize("change", [tampered, moved, cut])
def test_what_does_not_open_is_an_error_and_never_the_default(
    config: SecureConfig, path: Path, change: Callable[[str], str]
) -> None:
    config.set("password", "hunter2", sealed=True)
    path.write_text(change(path.read_text()))
    [name] = config.sealed()
    with pytest.raises(Unreadable) as caught:
        config.get(name, "default")
    assert str(caught.value) == (
        f"{path}:5: {name}: {name!r} was not sealed under this name and version"
    )
    assert isinstance(caught.value.__cause__, SealError)
    assert config.check() == [
        ConfigProblem(str(path), 5, name, f"{name!r} was not sealed under this name and version")
    ]


def test_with_another_key_it_does_not_open(config: SecureConfig, path: Path) -> None:
    config.set("password", "hunter2", sealed=True)
    with pytest.raises(Unreadable):
        SecureConfig(path, MemoryVault("other")).get("password", "default")


def test_every_value_that_does_not_open_is_listed(config: SecureConfig, path: Path) -> None:
    for name in ("a", "b", "c"):
        config.set(name, name, sealed=True)
    path.write_text(path.read_text().replace("\na: ", "\nx: ").replace("\nc: ", "\nl.m: "))
    assert [(p.line, p.path) for p in config.check()] == [(5, "x"), (7, '"l.m"')]


def test_without_a_vault_what_is_not_sealed_can_be_read_and_edited(path: Path) -> None:
    plain = SecureConfig(path)
    plain.set("host", "example.com")
    assert plain.get("host") == "example.com"
    with pytest.raises(SealError, match=r"config\.yml: there is no vault"):
        plain.set("token", "x", sealed=True)
    path.write_text("a: !sealed AAAA\n")
    with pytest.raises(SealError, match=r"config\.yml: there is no vault"):
        plain.get("a", "default")
    assert plain.find("a") == Sealed("a", b"\0\0\0")
    assert plain.find("b", 5) == 5


def test_what_is_sealed_is_not_put_into_clear_text_by_a_slip(
    config: SecureConfig, path: Path
) -> None:
    config.set("db.password", "hunter2", sealed=True)
    before = path.read_text()
    for name in ("db.password", "db"):
        with pytest.raises(
            CannotEdit, match="is sealed: seal what is to stand there too, or unset"
        ):
            config.set(name, "x")
    assert path.read_text() == before
    config.set("db.password", "other", sealed=True)
    assert config.get("db.password") == Secret("other")
    assert config.unset("db.password") == 6
    config.set("db.password", "x")


def test_what_is_removed_is_gone_and_what_was_not_there_changes_nothing(
    config: SecureConfig, path: Path
) -> None:
    assert config.unset("host") == 2
    assert path.read_text() == TEXT.replace("host: example.org # where\n", "")
    inode = path.stat().st_ino
    assert config.unset("host") is None
    assert path.stat().st_ino == inode


def test_what_stands_there_already_is_not_written_again(config: SecureConfig, path: Path) -> None:
    inode = path.stat().st_ino
    assert config.set("host", "example.org") == 2
    assert path.stat().st_ino == inode


def test_what_the_check_refuses_is_not_written(path: Path, vault: MemoryVault) -> None:
    seen: list[tuple[bytes, str]] = []

    def check(content: bytes, file: str) -> None:
        seen.append((content, file))
        raise ConfigError([ConfigProblem(file, 2, "host", "is wrong")])

    config = SecureConfig(path, vault, check=check)
    for edit in (
        lambda: config.set("host", "x"),
        lambda: config.set("a", "x", sealed=True),
        lambda: config.unset("host"),
        lambda: config.rehearse("a"),
    ):
        with pytest.raises(ConfigError, match="is wrong"):
            edit()
    assert path.read_text() == TEXT
    assert seen[0] == (TEXT.replace("example.org", "x").encode(), str(path))
    assert len(seen) == 4


def test_a_rehearsal_writes_and_seals_nothing(path: Path) -> None:
    SecureConfig(path).rehearse("db.password")
    with pytest.raises(CannotEdit, match="ports is a list"):
        SecureConfig(path).rehearse("ports.x")
    assert path.read_text() == TEXT


def test_an_edit_of_somebody_else_in_between_is_not_overwritten(
    path: Path, vault: MemoryVault
) -> None:
    def check(_content: bytes, _file: str) -> None:
        path.write_text(TEXT + "theirs: 1\n")

    config = SecureConfig(path, vault, check=check)
    with pytest.raises(FileChanged):
        config.set("host", "x")
    assert path.read_text() == TEXT + "theirs: 1\n"
    assert [other.name for other in path.parent.iterdir()] == ["config.yml"]


def test_of_many_editors_at_once_none_loses_what_another_wrote(path: Path) -> None:
    def edit(number: int) -> None:
        for key in range(10):
            while True:
                try:
                    SecureConfig(path).set(f"e{number}.k{key}", key)
                    break
                except FileChanged:
                    continue

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(edit, range(4)))
    text = path.read_text()
    assert text.startswith(TEXT)
    for number in range(4):
        assert SecureConfig(path).get(f"e{number}") == {f"k{key}": key for key in range(10)}


def test_a_disk_that_fails_leaves_the_file_as_it_was(path: Path, vault: MemoryVault) -> None:
    class Full(FileOperations):
        def write(self, *_: object) -> int:  # type: ignore[override]
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        SecureConfig(path, vault, files=Full()).set("host", "x")
    assert path.read_text() == TEXT


def test_after_a_new_key_everything_is_sealed_anew_at_once(
    config: SecureConfig, path: Path
) -> None:
    config.set("a", "one", sealed=True)
    config.set("b.c", b"\xfftwo", sealed=True)
    turned = SecureConfig(path, Turned("config"))
    turned.set("d", "three", sealed=True)
    lines = path.read_text().splitlines()
    assert turned.reseal() == 2
    after = path.read_text().splitlines()
    assert [i for i, line in enumerate(lines) if line != after[i]] == [4, 6]
    assert len(after) == len(lines)
    assert [turned.get(name) for name in turned.sealed()] == [
        Secret("one"),
        Secret(b"\xfftwo"),
        Secret("three"),
    ]
    inode = path.stat().st_ino
    assert turned.reseal() == 0
    assert path.stat().st_ino == inode


def test_one_value_that_does_not_open_leaves_all_as_they_were(
    config: SecureConfig, path: Path
) -> None:
    config.set("a", "one", sealed=True)
    path.write_text(path.read_text() + "moved: !sealed AAAA\n")
    before = path.read_text()
    with pytest.raises(Unreadable, match="moved"):
        SecureConfig(path, Turned("config")).reseal()
    assert path.read_text() == before


@pytest.mark.parametrize("text", ["a: 1\na: 2\n", "a: [", "a: !python/x y\n", "a: !sealed ?\n"])
def test_a_file_that_cannot_be_read_is_an_error_for_every_call(
    config: SecureConfig, path: Path, text: str
) -> None:
    path.write_text(text)
    for call in (
        lambda: config.get("a", "default"),
        lambda: config.set("b", 1),
        lambda: config.unset("a"),
        config.sealed,
        config.check,
        config.reseal,
    ):
        with pytest.raises(ConfigError):
            call()
    assert path.read_text() == text


def test_a_missing_file_is_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        SecureConfig(tmp_path / "none.yml").get("a", "default")
