"""`hauberk migrate` and the guide's `audit.log`: every line is recorded, once, as unproven."""

import json
from datetime import datetime, timedelta

import pytest


class AuditLogger:
    """The guide's, to the letter."""

    def __init__(self, log_file):
        self.log_file = log_file

    def log_action(self, user, action, details):
        log_entry = {
            "timestamp": datetime.now().isoformat(),
            "user": user,
            "action": action,
            "details": details,
        }
        with open(self.log_file, "a") as f:  # noqa: PTH123
            f.write(json.dumps(log_entry) + "\n")


@pytest.fixture
def old(tmp_path):
    (tmp_path / "old").mkdir()
    return tmp_path / "old" / "audit.log"


@pytest.fixture
def guide(old):
    made = AuditLogger(old)
    made.log_action("alice", "order", {"symbol": "BTCUSDT", "quantity": 1})
    made.log_action("bob", "vault.get", {"name": "x", "user": "somebody else"})
    made.log_action("alice", "vault.get", {})
    return made


@pytest.fixture
def migrate(hauberk, config, old):
    def run(*words):
        return hauberk("migrate", old.parent, *words, "--config", config, "--json")

    return run


@pytest.fixture
def shown(hauberk, config):
    def show(*words):
        ran = hauberk("audit", "show", "--limit", "0", *words, "--config", config, "--json")
        return ran.document["records"]

    return show


def states(ran):
    return [(row["became"], row["state"]) for row in ran.document["files"]]


def test_each_line_is_recorded_as_unproven_and_found_by_user_action_and_time(
    guide, migrate, shown, old, hauberk, config
):
    before = old.read_bytes()
    ran = migrate()
    assert (ran.status, states(ran)) == (0, [("3 audit records, unproven", "taken over")])
    found = shown("--action", "unproven.*")
    assert [(one["kind"], one["user"]) for one in found] == [
        ("unproven.order", "alice"),
        ("unproven.vault.get", "bob"),
        ("unproven.vault.get", "alice"),
    ]
    assert all(one["fields"]["unproven"] is True for one in found)
    assert found[0]["fields"]["details"] == {"symbol": "BTCUSDT", "quantity": 1}
    assert len(shown("--user", "alice", "--since", "1h")) == 2
    assert hauberk("audit", "verify", "--config", config).status == 0
    assert old.read_bytes() == before


def test_again_changes_nothing_and_what_came_since_is_added(guide, migrate, shown):
    migrate()
    assert states(migrate()) == [("3 audit records, unproven", "there already")]
    assert len(shown("--action", "unproven.*")) == 3
    guide.log_action("carol", "order", {})
    assert states(migrate()) == [("4 audit records, unproven", "taken over")]
    assert [one["fields"]["line"] for one in shown("--action", "unproven.*")] == [0, 1, 2, 3]


def test_a_line_that_is_another_than_was_taken_over_is_named_and_nothing_is_written(
    guide, migrate, shown, old
):
    migrate()
    lines = old.read_text().splitlines(keepends=True)
    old.write_text(lines[0] + lines[1].replace("vault.get", "vault.put") + lines[2])
    ran = migrate()
    assert ran.status == 1
    (row,) = ran.document["files"]
    assert "line 1 was another one" in row["why"]
    old.write_text(lines[0])
    assert "fewer lines" in migrate().document["files"][0]["why"]
    assert len(shown("--action", "unproven.*")) == 3


@pytest.mark.parametrize(
    "raw",
    [b"no json", b"{}", b'{"timestamp": 1, "user": 2, "action": 3, "details": 4}', b"[1]",
     b"\xff\xfe\x00", b"[" * 100_000, b'{"a":' + b"9" * 10_000 + b"}", b"x" * 400_000],
)  # fmt: skip
def test_what_is_none_of_the_guides_lines_is_kept_all_the_same(guide, migrate, shown, old, raw):
    with old.open("ab") as file:
        file.write(raw + b"\n\n")
    assert migrate().status == 0
    *_, last = shown("--action", "unproven.*")
    assert last["kind"] == "unproven.unreadable"
    assert last["fields"]["text"][:5] == raw[:5].decode("utf-8", "backslashreplace")[:5]
    assert states(migrate())[0][1] == "there already"


def test_a_forged_name_forges_no_record_and_odd_values_are_recorded(guide, migrate, shown, old):
    evil = "mallory\u202e\x1b[2J\nlogin.granted"
    guide.log_action(evil, evil, {"number": float("nan"), "kind": "audit.begin"})
    entry = {"timestamp": "9999-12-31T23:59:59", "user": "", "action": "", "details": [1]}
    with old.open("a") as file:
        file.write(json.dumps(entry) + "\n")
    assert migrate().status == 0
    *_, forged, last = shown("--action", "unproven.*")
    assert (forged["user"], forged["kind"]) == (evil, f"unproven.{evil}")
    assert last["fields"]["details"] == [1]
    assert {one["source"] for one in shown("--action", "audit.*")} == {"audit"}


def test_the_old_file_goes_only_when_it_is_to(guide, migrate, old):
    assert migrate().status == 0
    assert old.exists()
    assert migrate("--delete").document["deleted"] == [str(old)]
    assert not old.exists()


def test_without_a_plugin_that_records_it_says_which_to_add(guide, hauberk, config, old, edit):
    text = config.read_text()
    config.write_text(
        "\n".join(line for line in text.replace(" audit,", "").replace(", audit]", "]").splitlines()
                  if not line.startswith("  audit:"))
    )  # fmt: skip
    ran = hauberk("migrate", old.parent, "--config", config, "--json")
    assert ran.status == 1
    assert "add audit to `plugins:`" in ran.document["files"][0]["why"]


def test_an_empty_file_is_nothing(hauberk, config, old):
    old.write_bytes(b"\n\n")
    ran = hauberk("migrate", old.parent, "--config", config, "--json")
    assert (ran.status, ran.document["files"]) == (0, [])


def test_a_link_is_not_followed(guide, migrate, old, tmp_path):
    old.rename(tmp_path / "elsewhere")
    old.symlink_to(tmp_path / "elsewhere")
    assert "no regular file" in migrate().document["files"][0]["why"]


def test_many_lines_are_taken_over_in_order(guide, migrate, shown, old):
    start = datetime(2024, 1, 1)
    with old.open("a") as file:
        for number in range(1_200):
            at = (start + timedelta(minutes=number)).isoformat()
            entry = {"timestamp": at, "user": "u", "action": "a", "details": {"n": number}}
            file.write(json.dumps(entry) + "\n")
    assert migrate().status == 0
    assert [one["fields"]["line"] for one in shown("--action", "unproven.*")] == [*range(1_203)]
