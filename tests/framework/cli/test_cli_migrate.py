"""`hauberk migrate`: all of what the guide's code left, opened, sealed, read back; or nothing."""

import json
import os
from contextlib import contextmanager

import bcrypt
import pytest
from cryptography.fernet import Fernet

from hauberk.cli import migrate as module
from hauberk.cli.guide.takeover import Takeover
from hauberk.cli.guide.users import AuthUsers
from hauberk.errors import StoreError
from hauberk.secret import Secret
from hauberk.testing.ports import MemoryStore, MemoryVault
from hauberk.yamledit import read_document
from hauberk_plugins.auth.passwords import BARE, PEPPERED, PasswordHasher
from hauberk_plugins.auth.peppers import Peppers
from hauberk_plugins.auth.user_auth import UserAuth

PASSWORD = "guide password"
CONFIG = """\
# The bot's settings.
exchange: binance
api_key: {api_key}   # sealed by the guide's SecureConfig
limits: {{orders: 5, mail: {mail}}}
"""


class Guide:
    """What the guide's code does, to the letter, in a folder."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.key = Fernet.generate_key()
        (folder / ".encryption_key").write_bytes(self.key)
        self.storage = folder / ".secure_storage"
        self.storage.mkdir()

    def encrypt(self, data):
        return Fernet(self.key).encrypt(data.encode()).decode()

    def save(self, key, data):
        path = self.storage / f"{key}.enc"
        path.write_text(self.encrypt(json.dumps(data)), "utf-8")
        return path

    def user(self, username, password=PASSWORD):
        salt = bcrypt.gensalt(4)
        hashed = bcrypt.hashpw(password.encode(), salt).decode()
        data = {"username": username, "password_hash": hashed, "salt": salt.decode()}
        return self.save(f"user_{username}", data)

    def config(self):
        text = CONFIG.format(api_key=self.encrypt("the key"), mail=self.encrypt("me@example.org"))
        (self.folder / "config.yml").write_text(text, "utf-8")


@pytest.fixture
def guide(tmp_path):
    return Guide(tmp_path / "old")


class State:
    """The sealed state, in memory."""

    def __init__(self, folder):
        self.keys, self.users, self.vault = MemoryStore(), MemoryStore(), MemoryVault("config")
        self.config = folder / "config.sealed.yml"
        hasher = PasswordHasher(Peppers(lambda: self.users, os.urandom), os.urandom, 4)
        self.auth = UserAuth(lambda: self.users, hasher, lambda: 0)
        self.keeps_users = True

    @contextmanager
    def opened(self, _config, _found, role):
        users = AuthUsers(self.auth, role) if self.keeps_users else None
        yield Takeover(self.keys, users, self.vault, self.config)

    def records(self):
        return {name: record.value for name, record in self.keys.scan()}

    def contents(self):
        config = self.config.read_bytes() if self.config.exists() else None
        return dict(self.keys.scan()), dict(self.users.scan()), config


@pytest.fixture
def state(config, monkeypatch):
    monkeypatch.setenv("HAUBERK_CONFIG", str(config))
    made = State(config.parent)
    monkeypatch.setattr(module, "_takeover", made.opened)
    return made


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def states(ran):
    return {row["became"]: row["state"] for row in ran.document["files"]}


def test_a_mapping_of_texts_becomes_a_record_for_each_that_an_account_can_refer_to(
    hauberk, guide, state
):
    guide.save("binance", {"api_key": "k", "api_secret": "s"})
    ran = hauberk("migrate", "old", "--json")
    assert ran.status == 0
    assert states(ran) == {
        "vault:binance/api_key": "taken over",
        "vault:binance/api_secret": "taken over",
    }
    assert state.records() == {"binance/api_key": b"k", "binance/api_secret": b"s"}


@pytest.mark.parametrize("data", [{}, {"n": 1}, {"a": "x", "b": None}, {"": "x"}, {"a": ""},
                                  {"\ud800": "x"}, {"a": "\ud800"}, [1], "text", None])  # fmt: skip
def test_anything_else_becomes_one_record_with_what_was_sealed_to_the_byte(
    hauberk, guide, state, data
):
    guide.save("other", data)
    assert hauberk("migrate", "old").status == 0
    assert state.records() == {"other": json.dumps(data).encode()}


def test_a_user_logs_in_with_the_old_password_and_is_upgraded_then(hauberk, guide, state):
    guide.user("alice")
    assert states(hauberk("migrate", "old", "--json")) == {"user alice": "taken over"}
    assert state.auth.get("alice").password.scheme == BARE
    assert state.auth.get("alice").roles == ("viewer",)
    assert state.auth.verify("alice", Secret("wrong")) is None
    verified = state.auth.verify("alice", Secret(PASSWORD))
    anew = state.auth.hashed_anew(verified, Secret(PASSWORD))
    state.auth.settle(verified, anew, Secret(""))
    assert state.auth.get("alice").password.scheme == PEPPERED
    assert state.auth.verify("alice", Secret(PASSWORD)).name == "alice"
    assert states(hauberk("migrate", "old", "--json")) == {"user alice": "there already"}


@pytest.mark.parametrize("is_upgraded", [False, True])
def test_another_user_of_the_same_name_is_not_taken_for_the_old_one(
    hauberk, guide, state, is_upgraded
):
    if is_upgraded:  # taken over from elsewhere, and logged in since
        state.auth.adopt("alice", Secret(bcrypt.hashpw(b"another one's", bcrypt.gensalt(4))))
        user = state.auth.get("alice")
        state.auth.settle(user, state.auth.hashed_anew(user, Secret("another one's")), Secret(""))
    else:
        state.auth.create("alice", Secret("seven lanterns under the bridge"))
    guide.user("alice")
    before = files(guide.folder)
    ran = hauberk("migrate", "old", "--delete", "--json")
    assert ran.status == 1
    assert states(ran) == {"user alice": "something else is there"}
    assert files(guide.folder) == before


def test_a_user_taken_over_is_the_same_whatever_became_of_the_password(hauberk, guide, state):
    guide.user("alice")
    assert hauberk("migrate", "old").status == 0
    state.auth.set_password("alice", Secret("seven lanterns under the bridge"))
    state.auth.disable("alice")
    ran = hauberk("migrate", "old", "--delete", "--json")
    assert states(ran) == {"user alice": "there already"}
    assert not list(guide.storage.iterdir()) if guide.storage.exists() else True


def test_users_get_the_role_that_is_asked_for_and_no_unknown_one(hauberk, guide, state):
    guide.user("alice")
    guide.save("a", {"x": "y"})
    assert hauberk("migrate", "old", "--role", "emperor").status == 2
    assert state.records() == {}
    assert hauberk("migrate", "old", "--role", "operator").status == 0
    assert state.auth.get("alice").roles == ("operator",)


def test_a_record_in_a_folder_of_its_own_has_that_in_its_name(hauberk, guide, state):
    (guide.storage / "spot").mkdir()
    guide.save("spot/binance", {"api_key": "k"})
    guide.save("spot", {"binance/api_key": "another"})
    assert hauberk("migrate", "old").status == 1
    assert state.records() == {}
    (guide.storage / "spot.enc").unlink()
    assert hauberk("migrate", "old", "--delete").status == 0
    assert state.records() == {"spot/binance/api_key": b"k"}


def test_what_is_called_like_a_user_and_is_none_is_a_record(hauberk, guide, state):
    guide.save("user_settings", {"theme": "dark"})
    assert states(hauberk("migrate", "old", "--json")) == {
        "vault:user_settings/theme": "taken over"
    }


def test_a_configuration_keeps_all_but_what_was_sealed_which_is_sealed_anew(hauberk, guide, state):
    guide.config()
    ran = hauberk("migrate", "old", "--json")
    assert states(ran) == {str(state.config): "taken over"}
    text = state.config.read_text("utf-8")
    assert "# The bot's settings." in text
    assert "# sealed by the guide's SecureConfig" in text
    assert "gAAAA" not in text
    document = read_document(text.encode(), "config.sealed.yml")
    assert document.data["exchange"] == "binance"
    assert document.data["limits"]["orders"] == 5
    opened = {
        sealed.path: state.vault.open(sealed.path, sealed.blob).reveal()
        for sealed in document.sealed.values()
    }
    assert opened == {"api_key": b"the key", "limits.mail": b"me@example.org"}
    assert state.config.stat().st_mode & 0o777 == 0o600


def test_a_configuration_in_which_nothing_is_sealed_is_nobodys_business(hauberk, guide, state):
    (guide.folder / "config.yml").write_text("exchange: binance\n", "utf-8")
    ran = hauberk("migrate", "old", "--delete")
    assert ran.status == 0
    assert "nothing to take over" in ran.out
    assert (guide.folder / "config.yml").exists()


def everything(guide):
    guide.save("binance", {"api_key": "k", "api_secret": "s"})
    guide.user("alice")
    guide.config()


def test_doing_it_again_changes_nothing(hauberk, guide, state):
    everything(guide)
    old = files(guide.folder)
    hauberk("migrate", "old")
    before = state.contents()
    ran = hauberk("migrate", "old", "--json")
    assert ran.status == 0
    assert set(states(ran).values()) == {"there already"}
    assert state.contents() == before
    assert files(guide.folder) == old


def test_the_old_files_stay_until_they_are_to_be_deleted(hauberk, guide, state):
    everything(guide)
    before = files(guide.folder)
    ran = hauberk("migrate", "old")
    assert "remove them with --delete" in ran.out
    assert files(guide.folder) == before
    ran = hauberk("migrate", "old", "--delete", "--json")
    assert ran.status == 0
    assert sorted(ran.document["deleted"]) == sorted(
        f"old/{name}" for name in (".encryption_key", ".secure_storage/binance.enc",
                                   ".secure_storage/user_alice.enc", "config.yml")
    )  # fmt: skip
    assert list(guide.folder.iterdir()) == []
    assert state.records() == {"binance/api_key": b"k", "binance/api_secret": b"s"}
    assert hauberk("migrate", "old", "--delete").status == 0


def spoil_a_byte(guide):
    path = guide.save("spoilt", {"a": "b"})
    token = path.read_text("utf-8")
    path.write_text(token[:40] + ("A" if token[40] != "A" else "B") + token[41:], "utf-8")


def another_key(guide):
    path = guide.storage / "spoilt.enc"
    path.write_bytes(Fernet(Fernet.generate_key()).encrypt(b"{}"))


def no_token(guide):
    (guide.storage / "spoilt.enc").write_bytes(b"\xff\0")


def a_link(guide):
    """Leads to what would open."""
    moved = guide.save("spoilt", {"a": "b"}).rename(guide.folder.parent / "elsewhere")
    (guide.storage / "spoilt.enc").symlink_to(moved)


def a_fifo(guide):
    os.mkfifo(guide.storage / "spoilt.enc")


def too_large(guide):
    with (guide.storage / "spoilt.enc").open("wb") as file:
        file.truncate((1 << 24) + 1)


def a_swapped_user(guide):
    guide.user("mallory").rename(guide.storage / "user_bob.enc")


def a_hash_of_nothing(guide):
    guide.save("user_bob", {"username": "bob", "password_hash": "letmein"})


def a_hash_that_takes_for_ever(guide):
    guide.save("user_bob", {"username": "bob", "password_hash": f"$2b$31${'.' * 53}"})


def a_hash_that_is_no_text(guide):
    guide.save("user_bob", {"username": "bob", "password_hash": 7})


def a_name_that_nobody_can_have(guide):
    guide.user("two words")


def a_name_that_is_no_text(guide):
    path = guide.save("spoilt", {"a": "b"})
    path.rename(os.fsdecode(os.fsencode(path.parent) + b"/\xff.enc"))


def a_name_of_nothing(guide):
    guide.save("", {"a": "b"})


def a_config_of_another_key(guide):
    token = Fernet(Fernet.generate_key()).encrypt(b"x").decode()
    (guide.folder / "config.yml").write_text(f"a: {token}\n", "utf-8")


def a_config_that_is_no_yaml(guide):
    (guide.folder / "config.yml").write_text("a: [", "utf-8")


def a_config_with_python_in_it(guide):
    (guide.folder / "config.yml").write_text("a: !!python/object:os.system {}\n", "utf-8")


UNREADABLE = {
    spoil_a_byte: "changed",
    another_key: "changed",
    no_token: "changed",
    a_link: "symbolic link",
    a_fifo: "no regular file",
    too_large: "larger than",
    a_swapped_user: "another user",
    a_hash_of_nothing: "bcrypt",
    a_hash_that_takes_for_ever: "cost 31",
    a_hash_that_is_no_text: "no hash",
    a_name_that_nobody_can_have: "letters, digits",
    a_name_that_is_no_text: "its name",
    a_name_of_nothing: "its name",
    a_config_of_another_key: "changed",
    a_config_that_is_no_yaml: "config.yml:1",
    a_config_with_python_in_it: "tag",
}


@pytest.mark.parametrize("spoil", UNREADABLE, ids=lambda spoil: spoil.__name__)
def test_what_cannot_be_read_is_named_and_nothing_is_done_unless_it_may_be_left_out(
    hauberk, guide, state, spoil
):
    guide.save("binance", {"api_key": "k"})
    spoil(guide)
    before = state.contents()
    ran = hauberk("migrate", "old", "--delete", "--json")
    assert ran.status == 1
    unreadable = [row for row in ran.document["files"] if row["state"] == "unreadable"]
    assert len(unreadable) == 1
    assert UNREADABLE[spoil] in unreadable[0]["why"]
    assert states(ran)["vault:binance/api_key"] == "to be taken over"
    assert "Nothing was done" in hauberk("migrate", "old").out
    assert state.contents() == before

    ran = hauberk("migrate", "old", "--skip-unreadable", "--delete", "--json")
    assert ran.status == 0
    assert state.records() == {"binance/api_key": b"k"}
    assert ran.document["deleted"] == ["old/.secure_storage/binance.enc"]
    assert (guide.folder / ".encryption_key").exists()
    left = [path for path in guide.folder.rglob("*") if not path.is_dir()]
    assert len(left) == 2


def test_a_record_that_comes_in_between_is_not_replaced(hauberk, guide, state, monkeypatch):
    guide.save("binance", {"api_key": "k"})
    real = MemoryStore.transaction

    def late(store):
        store.put("binance/api_key", b"put by somebody")
        return real(store)

    monkeypatch.setattr(MemoryStore, "transaction", late)
    assert hauberk("migrate", "old", "--delete").status == 3
    assert state.records() == {"binance/api_key": b"put by somebody"}
    assert (guide.storage / "binance.enc").exists()


@pytest.mark.parametrize("key", [None, b"", b"short", b"\xff" * 44])
def test_without_its_key_everything_is_unreadable(hauberk, guide, state, key):
    everything(guide)
    path = guide.folder / ".encryption_key"
    path.unlink() if key is None else path.write_bytes(key)
    ran = hauberk("migrate", "old", "--json")
    assert ran.status == 1
    assert {row["state"] for row in ran.document["files"]} == {"unreadable"}
    assert state.records() == {}


def test_another_record_of_the_name_is_not_replaced_whatever_may_be_left_out(hauberk, guide, state):
    everything(guide)
    state.keys.put("binance/api_key", b"rotated since")
    before = state.contents()
    for words in ([], ["--skip-unreadable"], ["--delete"]):
        ran = hauberk("migrate", "old", *words, "--json")
        assert ran.status == 1
        assert states(ran)["vault:binance/api_key"] == "something else is there"
        assert states(ran)["user alice"] == "to be taken over"
    assert "hauberk vault delete binance/api_key" in hauberk("migrate", "old").out
    assert state.contents() == before


def test_another_user_of_the_name_is_not_replaced(hauberk, guide, state):
    guide.user("alice")
    hauberk("migrate", "old")
    guide.user("alice", "another password")
    assert states(hauberk("migrate", "old", "--json")) == {"user alice": "something else is there"}
    assert state.auth.verify("alice", Secret(PASSWORD)) is not None


def test_two_users_whose_names_are_one_here_are_both_reported_and_neither_is_added(
    hauberk, guide, state
):
    guide.user("bob")
    guide.user("Bob")
    ran = hauberk("migrate", "old", "--json")
    assert ran.status == 1
    assert [row["became"] for row in ran.document["files"]] == ["user bob", "user bob"]
    assert [row["state"] for row in ran.document["files"]].count("something else is there") == 1
    assert state.auth.all() == ()


def test_another_configuration_is_not_replaced(hauberk, guide, state):
    guide.config()
    hauberk("migrate", "old")
    text = state.config.read_text("utf-8")
    for change in (("orders: 5", "orders: 6"), ("exchange: binance\n", ""), ("!sealed ", "")):
        state.config.write_text(text.replace(*change), "utf-8")
        before = state.config.read_bytes()
        ran = hauberk("migrate", "old", "--json")
        assert ran.status == 1, change
        assert state.config.read_bytes() == before


def test_a_sealed_value_moved_to_another_key_is_not_taken_for_the_same(hauberk, guide, state):
    guide.config()
    hauberk("migrate", "old")
    text = state.config.read_text("utf-8")
    one, two = (sealed.text() for sealed in read_document(text.encode(), "").sealed.values())
    swapped = text.replace(one, "@").replace(two, one).replace("@", two)
    state.config.write_text(swapped, "utf-8")
    assert hauberk("migrate", "old").status == 1


def test_without_a_plugin_that_keeps_users_it_says_which_to_add(hauberk, guide, state):
    guide.user("alice")
    state.keeps_users = False
    ran = hauberk("migrate", "old")
    assert ran.status == 1
    assert "add auth to `plugins:`" in ran.out


def test_what_was_written_and_is_not_there_stops_it_before_anything_is_deleted(
    hauberk, guide, state, monkeypatch
):
    everything(guide)
    monkeypatch.setattr(MemoryStore, "put", lambda *_args, **_options: 1)
    before = files(guide.folder)
    ran = hauberk("migrate", "old", "--delete")
    assert ran.status == 3
    assert "could not be read back" in ran.err
    assert files(guide.folder) == before


@pytest.mark.parametrize("number", range(6))
def test_stopped_anywhere_it_can_be_done_again(hauberk, guide, state, monkeypatch, number):
    everything(guide)
    real, left = MemoryStore.put, [number]

    def failing(store, *args, **options):
        left[0] -= 1
        if left[0] == -1:
            raise StoreError("the disk is full")
        return real(store, *args, **options)

    with monkeypatch.context() as patched:
        patched.setattr(MemoryStore, "put", failing)
        first = hauberk("migrate", "old", "--delete")
    if first.status:
        assert first.status == 3
        assert (guide.folder / ".encryption_key").exists()
        assert len(list(guide.storage.iterdir())) == 2
        assert len(state.records()) in (0, 2)
        assert hauberk("migrate", "old", "--delete").status == 0
    assert list(guide.folder.iterdir()) == []
    assert state.records() == {"binance/api_key": b"k", "binance/api_secret": b"s"}
    assert state.auth.verify("alice", Secret(PASSWORD)) is not None
    assert state.config.exists()


def test_nothing_secret_is_shown(hauberk, guide, state):
    guide.save("canary", {"api_key": "c4n4rY"})
    guide.save("whole", {"n": 1, "x": "c4n4rY"})
    guide.user("alice", "c4n4rY")
    (guide.folder / "config.yml").write_text(f"a: {guide.encrypt('c4n4rY')}\n", "utf-8")
    for words in ([], ["--json"], ["--delete"]):
        ran = hauberk("migrate", "old", *words)
        assert ran.status == 0
        assert "c4n4rY" not in ran.out + ran.err
        assert guide.key.decode() not in ran.out + ran.err
        assert "$2b$" not in ran.out + ran.err


def test_names_from_the_disk_draw_nothing_on_the_terminal(hauberk, guide, state):
    guide.save("[bold]x\x1b[2J", {"n": 1})
    out = hauberk("migrate", "old").out
    assert "[bold]x" in out
    assert "\x1b" not in out
    guide.folder.rename("[bold]old\x1b[2J")
    out = hauberk("migrate", "[bold]old\x1b[2J", "--delete").out
    assert "Deleted: [bold]old" in out
    assert "\x1b" not in out


@pytest.mark.parametrize("folder", ["nowhere", "file"])
def test_a_folder_that_is_none_is_a_mistake(hauberk, tmp_path, state, folder):
    (tmp_path / "file").touch()
    assert hauberk("migrate", folder).status == 2


def test_a_folder_in_which_there_is_nothing_of_the_guides_is_said_to_be_so(
    hauberk, tmp_path, state
):
    (tmp_path / "empty").mkdir()
    ran = hauberk("migrate", "empty")
    assert ran.status == 0
    assert "nothing to take over in empty" in ran.out
