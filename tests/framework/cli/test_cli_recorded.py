"""What commands do is heard by the recorders that the configuration lists."""

import io
import json
import sys

import pytest

PASSWORD, OTHER = "a heron stands in cold water", "seven lanterns under the bridge"
DEAF = """
    class Quiet(Base):
        @hookimpl
        def on_start(self, context):
            raise RuntimeError("the disk is full")

        @hookimpl
        def on_event(self, event):
            pass
"""
COUNTING = """
    started = []

    class Quiet(Base):
        @hookimpl
        def on_start(self, context):
            started.append(1)

        @hookimpl
        def on_event(self, event):
            pass
"""


@pytest.fixture
def run(hauberk, config, edit, monkeypatch):
    """Run a command; return its status, and the events that were written, with their fields."""
    monkeypatch.setenv("HOME", str(config.parent / "home"))
    for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    edit("bots, throttle", "bots, auth, throttle")
    lines = config.read_text().partition("\nlogs:\n")[2].splitlines()
    edit(
        "\n".join(["logs:", *lines[:1]]),
        "logs:\n  format: json\n  file: events.log\n  level: debug",
    )
    log = config.parent / "events.log"

    def run(line, typed=""):
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        if log.exists():
            log.unlink()
        status = hauberk(*line.split(), "--config", config).status
        text = log.read_text() if log.exists() else ""
        return status, [json.loads(line)["event"] for line in text.splitlines()]

    return run


def test_changes_of_users_sessions_and_tokens_are_heard_once(run):
    assert run("user add alice --role admin", f"{PASSWORD}\n") == (0, ["auth.user.created"])
    status, events = run("login alice", f"{OTHER}\n")
    assert (status, events) == (1, ["auth.refused", "login.denied"])
    status, events = run("login alice", f"{PASSWORD}\n")
    assert (status, events) == (0, ["login.granted", "auth.session.created"])
    status, events = run("user passwd", f"{OTHER}\n{OTHER}\n")
    assert (status, events) == (1, ["auth.refused"])
    status, events = run("user passwd", f"{PASSWORD}\n{OTHER}\n")
    assert (status, events[0]) == (0, "auth.user.password")
    assert run("user rotate-pepper") == (0, ["auth.pepper.rotated"])
    assert run("sessions revoke --all")[1] != []


def test_recorders_start_once_for_the_command_and_not_for_what_decides_whether_one_may(
    run, third_party, edit
):
    third_party(COUNTING)
    edit("plugins: [quiet], grants: []", "plugins: [quiet], grants: [record]")
    assert run("user list")[0] == 0
    assert sys.modules["quiet_hours"].started == [1]
    run("user add alice --role admin", f"{PASSWORD}\n")
    sys.modules["quiet_hours"].started.clear()
    assert run("user add bob", f"{PASSWORD}\n") == (1, [])
    assert sys.modules["quiet_hours"].started == []


def test_a_required_recorder_that_cannot_record_stops_a_command(run, third_party, edit, hauberk):
    third_party(DEAF)
    edit("plugins: [quiet], grants: []", "plugins: [quiet], grants: [record]")
    assert run("user add bob", f"{PASSWORD}\n")[0] == 0
    edit("required: [killswitch", "required: [quiet, killswitch")
    assert run("user add carol", f"{PASSWORD}\n") == (2, [])
    edit("required: [quiet, killswitch", "required: [killswitch")
    assert "carol" not in run_users(hauberk)


def run_users(hauberk):
    return hauberk("user", "list", "--config", "bot/hauberk.yml").out
