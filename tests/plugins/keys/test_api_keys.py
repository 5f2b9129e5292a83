"""`APIKeyManager`: from references to credentials."""

from __future__ import annotations

import copy
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor

import pytest
from attrs import evolve

from hauberk.accounts import Account
from hauberk.errors import ConfigError, CredentialsMissing, HauberkError
from hauberk.oskeyring import Entry, look_up
from hauberk.secret import Secret
from hauberk_plugins.keys.api_keys import FRESH_NS, KEYRING_FRESH_NS, APIKeyManager
from hauberk_plugins.keys.dotenv import Dotenv
from hauberk_plugins.keys.reference import UnusableCredentials, UnusableReference

CANARY = "c4nary-s3cret-value"
#: What the documentation promises, whatever the code counts by.
SECOND_NS = 1_000_000_000


class World:
    """Accounts, environment, a dotenv file and a clock, and a manager that looks at them."""

    def __init__(self, folder, **account):
        self.path = folder / ".env"
        self.environ = {}
        self.now_ns = 5
        self.sealed = None
        self.asked = []
        given = {"key": "env:KEY", "secret": "env:SECRET"} | account
        self.accounts = {"main": Account("binance", **given)}
        self.manager = APIKeyManager(
            lambda: self.accounts,
            lambda: self.now_ns,
            self.environ,
            [Dotenv(self.path)],
            self.opened,
            folder=folder,
            keyring=lambda name: self.entry(name),
        )
        self.entries = {}

    def entry(self, name):
        value = self.entries.get(name)
        return Entry(Secret(value) if value else None, ("a.Keyring",), is_there=True, why="")

    def opened(self, names):
        self.asked.append(tuple(names))
        found = self.sealed
        return found if found is None else {n: Secret(found[n]) for n in names if n in found}

    def write(self, text):
        self.path.touch(0o600)
        self.path.write_text(text)

    def credentials(self, account="main"):
        return self.manager.credentials(account)

    def values(self):
        found = self.credentials()
        return found.key.reveal_text(), found.secret.reveal_text()


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_values_come_from_the_environment(world):
    world.environ |= {"KEY": "k", "SECRET": "s"}
    assert world.values() == ("k", "s")
    assert world.credentials().passphrase is None


def test_the_environment_goes_before_the_dotenv_file(world):
    world.environ["KEY"] = "from environment"
    world.write("KEY=from file\nSECRET=s\n")
    assert world.values() == ("from environment", "s")


def test_an_empty_variable_counts_as_not_set(world):
    world.environ |= {"KEY": "", "SECRET": "s"}
    world.write("KEY=from file\n")
    assert world.values() == ("from file", "s")


def test_a_dotenv_file_that_is_not_needed_is_not_opened(world):
    world.environ |= {"KEY": "k", "SECRET": "s"}
    world.write("OTHER=1\n")
    world.path.chmod(0o644)
    assert world.values() == ("k", "s")


def test_a_dotenv_file_that_is_needed_and_open_to_others_is_refused(world):
    world.write(f"KEY=k\nSECRET={CANARY}\n")
    world.path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        world.credentials()


def test_a_passphrase_is_resolved_where_the_account_has_one(tmp_path):
    world = World(tmp_path, passphrase="env:PASS")
    world.environ |= {"KEY": "k", "SECRET": "s", "PASS": "p"}
    assert world.credentials().passphrase.reveal_text() == "p"
    del world.environ["PASS"]
    world.now_ns += FRESH_NS
    with pytest.raises(CredentialsMissing, match="env:PASS"):
        world.credentials()


def test_what_is_missing_is_said_with_account_reference_and_places(world):
    world.environ["KEY"] = CANARY
    with pytest.raises(CredentialsMissing) as caught:
        world.credentials()
    assert str(caught.value) == (
        f"account 'main': env:SECRET is not set (looked in the environment, {world.path})"
    )
    assert caught.value.looked_in == ("the environment", str(world.path))


def test_an_account_without_a_reference_is_told_to_have_one(tmp_path):
    with pytest.raises(CredentialsMissing, match="add `key: env:NAME` to the account"):
        World(tmp_path, key="").credentials()


def test_an_unknown_account_is_said(world):
    with pytest.raises(CredentialsMissing, match=r"'other'.*hauberk\.yml"):
        world.credentials("other")


def test_a_kind_of_reference_that_there_is_not_is_said_with_those_that_are(tmp_path):
    with pytest.raises(UnusableReference) as caught:
        World(tmp_path, key="aws:x").credentials()
    assert str(caught.value) == (
        "the key of account 'main' cannot be used, since this is not a reference to a secret; "
        "available are: env:NAME, vault:NAME, keyring:NAME, file:PATH"
    )


def in_file(folder, text=b"s3\n", mode=0o600):
    path = folder / "main.pem"
    path.write_bytes(text)
    path.chmod(mode)
    return path


def test_a_file_is_read_beside_hauberk_yml_without_the_line_end(tmp_path):
    in_file(tmp_path, b"-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\n")
    world = World(tmp_path, key="env:KEY", secret="file:main.pem")
    world.environ["KEY"] = "k"
    assert world.values()[1].endswith("END PRIVATE KEY-----")


def test_a_file_that_was_rotated_is_seen_within_a_second(tmp_path):
    in_file(tmp_path)
    world = World(tmp_path, key="file:main.pem", secret="file:main.pem")
    before = world.credentials()
    in_file(tmp_path, b"s4")
    assert world.credentials() is before
    world.now_ns += SECOND_NS
    assert world.values() == ("s4", "s4")


@pytest.mark.parametrize(
    ("content", "mode", "told"),
    [
        (b"s", 0o644, "run: chmod 600"),
        (b"s", 0o660, "run: chmod 600"),
        (b" \n", 0o600, "it is empty"),
        (b"x" * 70_000, 0o600, "larger than"),
    ],
)
def test_a_file_that_may_not_be_used_is_said_with_what_to_do(tmp_path, content, mode, told):
    path = in_file(tmp_path, content, mode)
    with pytest.raises(CredentialsMissing) as caught:
        World(tmp_path, key="file:main.pem").credentials()
    begins = f"account 'main': file:main.pem cannot be used: {path}: "
    assert str(caught.value).startswith(begins)
    assert told in str(caught.value)
    assert "is not set" not in str(caught.value)


def test_a_file_that_others_may_read_is_told_with_the_command_to_run(tmp_path):
    path = in_file(tmp_path, b"s3", 0o644)
    with pytest.raises(UnusableCredentials) as caught:
        World(tmp_path, key="file:main.pem").credentials()
    assert caught.value.looked_in == (str(path),)
    assert str(caught.value).endswith(f"others may use it (mode 0644); run: chmod 600 {path}")
    assert str(copy.copy(caught.value)) == str(caught.value)


@pytest.mark.parametrize("reference", ["file:open/main.pem", "file:link/main.pem"])
def test_a_file_in_whose_place_anybody_can_put_another_is_refused(tmp_path, reference):
    folder = tmp_path / "open"
    folder.mkdir()
    (tmp_path / "link").symlink_to(folder)
    in_file(folder, CANARY.encode(), 0o600)
    world = World(tmp_path, secret=reference)
    world.environ["KEY"] = "k"
    assert world.values() == ("k", CANARY)
    folder.chmod(0o777)
    world.now_ns += SECOND_NS
    with pytest.raises(UnusableCredentials) as caught:
        world.credentials()
    place = tmp_path / reference.removeprefix("file:").split("/")[0]
    assert f"cannot be used: {place}: others can change it (mode 0777)" in str(caught.value)
    assert str(caught.value).endswith(f"run: chmod go-w {place}")


PEM = "-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    "around", [f"{CANARY}\n", f" {CANARY}", f"{CANARY}\r\n", f"\t{CANARY}", "\n"]
)
@pytest.mark.parametrize("where", ["environment", "dotenv", "vault", "keyring"])
def test_white_space_around_a_secret_is_told_and_signs_nothing(tmp_path, around, where):
    given = {"vault": "vault:k", "keyring": "keyring:k"}.get(where, "env:KEY")
    world = World(tmp_path, key=given)
    if where == "environment":
        world.environ["KEY"], told = around, "the environment"
    elif where == "dotenv":
        told = str(world.path)
        world.write(f'KEY="{around.encode("unicode_escape").decode()}"\n')
    elif where == "vault":
        world.sealed, told = {"k": around}, "the vault"
    else:
        world.entries["k"], told = around, "the keyring"
    with pytest.raises(UnusableCredentials) as caught:
        world.credentials()
    assert f"{told}: it begins or ends with white space" in str(caught.value)
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_a_private_key_may_end_with_a_lines_end(tmp_path):
    world = World(tmp_path)
    world.environ |= {"KEY": "k", "SECRET": PEM}
    assert world.values() == ("k", PEM)


@pytest.mark.parametrize("pasted", ["c4narySecret1", "aB3" * 21, "A1B2C3D4" * 5, "a0b1c2d3" * 4])
def test_a_key_in_the_place_of_a_variables_name_is_not_repeated(tmp_path, pasted):
    with pytest.raises(CredentialsMissing) as caught:
        World(tmp_path, key=f"env:{pasted}").credentials()
    assert pasted not in str(caught.value) + repr(caught.value)
    assert f"env:… ({len(pasted)} characters, not shown" in str(caught.value)


@pytest.mark.parametrize(
    "name", ["BINANCE_KEY", "K", "kraken_main_secret", "_KEY2", "OKX_PASSPHRASE_"]
)
def test_the_name_of_a_variable_is_told(tmp_path, name):
    with pytest.raises(CredentialsMissing, match=rf"env:{name} is not set"):
        World(tmp_path, key=f"env:{name}").credentials()


def test_a_file_that_is_not_there_is_said_with_its_path(tmp_path):
    with pytest.raises(CredentialsMissing, match=r"is not set \(looked in .*/nothing\.pem"):
        World(tmp_path, key="file:nothing.pem").credentials()


def test_an_entry_of_the_keyring_is_a_secret(tmp_path):
    world = World(tmp_path, key="keyring:main key", secret="env:SECRET")
    world.environ["SECRET"] = "s"
    world.entries["main key"] = "from the keyring"
    assert world.values() == ("from the keyring", "s")
    world.entries["main key"] = "rotated"
    world.now_ns += KEYRING_FRESH_NS - 1
    assert world.values()[0] == "from the keyring"
    world.now_ns += 1
    assert world.values()[0] == "rotated"


def test_an_entry_that_is_not_there_is_said_with_the_command_that_makes_it(tmp_path):
    with pytest.raises(CredentialsMissing) as caught:
        World(tmp_path, key="keyring:main key").credentials()
    assert "run: keyring set hauberk 'main key'" in str(caught.value)
    assert "looked in a.Keyring" in str(caught.value)


def test_a_keyring_that_keeps_things_in_clear_is_not_asked(tmp_path):
    world = World(tmp_path, key="keyring:k")
    world.entry = lambda name: look_up(name, lambda: Plaintext())
    with pytest.raises(CredentialsMissing, match="no back-end that is known to encrypt"):
        world.credentials()


class Plaintext:
    def get_password(self, service, name):
        raise AssertionError("it was asked")


def test_a_disabled_account_has_no_key_at_once(world):
    world.environ |= {"KEY": "k", "SECRET": "s"}
    world.credentials()
    world.accounts = {"main": evolve(world.accounts["main"], disabled=True)}
    with pytest.raises(CredentialsMissing, match="is disabled"):
        world.credentials()


@pytest.mark.parametrize(
    "text", [CANARY, f"env:{CANARY}", f"x:{CANARY}", f":{CANARY}", "env:", "vault:"]
)
def test_a_secret_put_where_its_reference_belongs_is_not_repeated(tmp_path, text):
    with pytest.raises(UnusableReference) as caught:
        World(tmp_path, key=text).credentials()
    assert CANARY not in "".join(traceback.format_exception(caught.value))
    assert "the key of account 'main'" in str(caught.value)


def test_references_to_the_vault_are_read_at_one_moment(tmp_path):
    world = World(tmp_path, key="vault:binance/main key", secret="vault:s", passphrase="env:P")
    world.sealed = {"binance/main key": "k", "s": "x", "other": "y"}
    world.environ["P"] = "p"
    assert world.values() == ("k", "x")
    assert world.credentials().passphrase.reveal_text() == "p"
    assert world.asked == [("binance/main key", "s")]


def test_the_vault_is_not_opened_for_who_refers_to_nothing_there(world):
    world.environ.update(KEY="k", SECRET="s")
    world.credentials()
    assert world.asked == []


def test_what_the_vault_lacks_is_said_with_the_command_that_puts_it_there(tmp_path):
    world = World(tmp_path, secret="vault:binance/main key")
    world.environ["KEY"] = "k"
    world.sealed = {}
    with pytest.raises(CredentialsMissing) as caught:
        world.credentials()
    assert str(caught.value) == (
        "account 'main': vault:binance/main key is not set (looked in the vault); "
        "run: hauberk vault put 'binance/main key'"
    )


def test_where_there_is_no_vault_it_is_said_how_to_have_one(tmp_path):
    world = World(tmp_path, key="vault:k")
    world.environ["SECRET"] = "s"
    with pytest.raises(CredentialsMissing, match=r"looked in no vault.*grant `sealed` to keys"):
        world.credentials()


def test_a_rotation_in_the_vault_is_seen_within_a_second(tmp_path):
    world = World(tmp_path, key="vault:k", secret="vault:s")
    world.sealed = {"k": "1", "s": "1"}
    world.values()
    world.sealed = {"k": "2", "s": "2"}
    world.now_ns += SECOND_NS
    assert world.values() == ("2", "2")


def test_a_rotation_in_the_environment_is_seen_within_a_second(world):
    world.environ |= {"KEY": "1", "SECRET": "1"}
    world.values()
    world.environ |= {"KEY": "2", "SECRET": "2"}
    world.now_ns += SECOND_NS
    assert world.values() == ("2", "2")


def test_the_same_object_is_returned_until_the_values_change(world):
    world.environ |= {"KEY": "k", "SECRET": "s"}
    first = world.credentials()
    assert world.credentials() is first
    world.now_ns += 10 * FRESH_NS
    assert world.credentials() is first
    world.environ["SECRET"] = "rotated"
    world.now_ns += FRESH_NS
    assert world.credentials() is not first
    assert world.values() == ("k", "rotated")


def test_a_rotation_in_the_dotenv_file_is_seen_within_a_second(world):
    world.write("KEY=k\nSECRET=s\n")
    world.values()
    world.write("KEY=k\nSECRET=rotated\n")
    world.now_ns += SECOND_NS
    assert world.values() == ("k", "rotated")


def test_what_was_found_is_not_looked_for_again_before_its_time(world):
    world.write("KEY=k\nSECRET=s\n")
    first = world.credentials()
    world.write("KEY=k\nSECRET=rotated\n")
    world.now_ns += FRESH_NS - 1
    assert world.credentials() is first


def test_a_key_that_is_taken_away_is_not_used_again(world):
    world.environ |= {"KEY": "k", "SECRET": "s"}
    world.credentials()
    del world.environ["SECRET"]
    world.now_ns += FRESH_NS
    for _ in range(2):
        with pytest.raises(CredentialsMissing):
            world.credentials()
    world.environ["SECRET"] = "back"
    assert world.values() == ("k", "back")


def test_an_account_that_a_reload_changed_is_resolved_at_once(world):
    world.environ |= {"KEY": "k", "SECRET": "s", "OTHER": "o"}
    first = world.credentials()
    world.accounts = {"main": Account("binance", key="env:KEY", secret="env:SECRET")}
    assert world.credentials() is first
    world.accounts = {"main": Account("binance", key="env:OTHER", secret="env:SECRET")}
    assert world.values() == ("o", "s")
    world.accounts = {}
    with pytest.raises(CredentialsMissing):
        world.credentials()


def test_bytes_of_the_environment_that_are_not_utf8_are_kept_as_they_are(world):
    world.environ |= {"KEY": "k", "SECRET": b"\xff\x00".decode("utf-8", "surrogateescape")}
    assert world.credentials().secret.reveal() == b"\xff\x00"


def test_threads_that_meet_at_a_rotation_all_get_one_object(world):
    world.environ |= {"KEY": "k", "SECRET": "s"}
    found, start = [], threading.Barrier(8)

    def ask():
        start.wait()
        found.append(world.credentials())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(one) for one in found}) == 1


def test_no_error_and_no_repr_shows_a_secret(tmp_path):
    world = World(tmp_path, passphrase="env:PASS")
    world.environ |= {"KEY": CANARY + "1", "SECRET": CANARY + "2"}
    world.write(f"PASS={CANARY}3\n")
    inside = vars(world.manager) | {"_environ": None}
    shown = [repr(world.credentials()), repr(inside)]
    world.path.chmod(0o644)
    world.now_ns += FRESH_NS
    for change in (lambda: None, world.path.unlink, world.environ.clear):
        change()
        with pytest.raises(HauberkError) as caught:
            world.credentials()
        shown += [repr(caught.value), "".join(traceback.format_exception(caught.value))]
    assert CANARY not in "".join(shown)


def test_a_key_is_never_paired_with_the_secret_of_another_rotation(tmp_path):
    class Rotating(Dotenv):
        """Is rotated after every reading."""

        reads = 0

        def values(self):
            self.reads += 1
            return {"K": Secret(f"key{self.reads}"), "S": Secret(f"secret{self.reads}")}

    file = Rotating(tmp_path / ".env")
    accounts = {"main": Account("binance", key="env:K", secret="env:S")}
    manager = APIKeyManager(lambda: accounts, lambda: 0, {}, [file])
    found = manager.credentials("main")
    assert (found.key.reveal_text(), found.secret.reveal_text()) == ("key1", "secret1")


def test_who_waits_while_another_resolves_takes_what_that_one_found(tmp_path):
    reading, go_on = threading.Event(), threading.Event()

    class Slow(Dotenv):
        reads = 0

        def values(self):
            self.reads += 1
            reading.set()
            go_on.wait(30)
            return {"K": Secret("k"), "S": Secret("s")}

    file = Slow(tmp_path / ".env")
    accounts = {"main": Account("binance", key="env:K", secret="env:S")}
    manager = APIKeyManager(lambda: accounts, lambda: 0, {}, [file])
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(manager.credentials, "main")
        assert reading.wait(30)
        others = [pool.submit(manager.credentials, "main") for _ in range(3)]
        go_on.set()
        assert {id(future.result(30)) for future in (first, *others)} == {id(first.result())}
    assert file.reads == 1
