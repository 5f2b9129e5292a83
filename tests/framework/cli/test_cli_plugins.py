"""`hauberk plugins`: the order, where each is from, and what a running bot has counted."""

import json
import os
import subprocess
import sys

import pytest

BOT = """\
import sys
import hauberk

class Prudence:
    @hauberk.hookimpl
    def on_request(self, request):
        return hauberk.Deny("no") if "X" in dict(request.params).values() else None

url = "https://api.binance.com/api/v3/account"
with hauberk.open(sys.argv[1]) as guard:
    guard.register(Prudence(), name="prudence")
    for _ in range(40):
        guard.clear(hauberk.Request("GET", url))
    try:
        guard.clear(hauberk.Request("GET", url, {"symbol": "X"}))
    except hauberk.Denied:
        pass
"""


@pytest.fixture
def show(hauberk, config):
    """Show the bot's plugins by name."""

    def run():
        ran = hauberk("plugins", "--config", config, "--json")
        assert ran.status == 0
        return {plugin["plugin"]: plugin for plugin in ran.document["plugins"]}

    return run


def counts_of(plugin):
    return {hook["hook"]: hook["calls"] for hook in plugin["hooks"]}


def leave(config, pid, **change):
    row = {"plugin": "policy", "hook": "on_request", "calls": 4, "failures": 0, "overruns": 0,
           "mean_us": 1.0, "worst_us": 2.0}  # fmt: skip
    path = config.parent / "hauberk-state" / f"counts-{pid}.json"
    path.write_text(json.dumps([row | change]), "utf-8")


def test_providers_come_first_and_then_the_one_order(show):
    assert list(show()) == [
        *("venues", "encryption", "storage", "keys", "transport", "batch"),
        *("killswitch", "policy", "throttle", "signing", "monitor", "audit", "logs"),
    ]


def test_each_plugin_says_where_it_is_from_what_it_is_granted_and_what_it_hooks(show):
    signing = show()["signing"]
    assert signing["distribution"] == "built-in"
    assert signing["required"] is True
    assert signing["grants"] == ["keys", "sign", "store", "transport", "venues"]
    assert "sign_request" in counts_of(signing)
    assert signing["problem"] == ""


def test_only_what_is_installed_and_not_loaded_is_told_of(hauberk, config, third_party, edit):
    third_party("""
        class Quiet(Base):
            pass
    """)
    assert "quiet-hours 1.2 offers" not in hauberk("plugins", "--config", config).out
    edit("third_party:\n  quiet-hours: {plugins: [quiet], grants: []}", "third_party: {}")
    edit("policy, quiet, bots", "policy, bots")
    assert "installed: quiet-hours 1.2 offers quiet; only what `third_party:` names" in " ".join(
        hauberk("plugins", "--config", config).out.split()
    )


def test_what_is_listed_and_not_let_in_is_told_with_the_line_to_add(
    hauberk, config, third_party, edit
):
    third_party("raise SystemExit('imported')\n")
    edit("third_party:\n  quiet-hours: {plugins: [quiet], grants: []}", "third_party: {}")
    ran = hauberk("plugins", "--config", config, "--json")
    assert ran.status == 2
    (message,) = [problem["message"] for problem in ran.document["problems"]]
    assert message == (
        "'quiet' is no built-in and of no distribution in third_party; quiet-hours 1.2 offers it: "
        "if you trust it, add under `third_party:` `quiet-hours: {plugins: [quiet]}`"
    )


def test_nothing_is_started_and_nothing_changed(show, third_party, config):
    third_party("""
        class Quiet(Base):
            @hookimpl
            def on_start(self, context):
                raise SystemExit("started")
    """)
    before = sorted(config.parent.rglob("*"))
    quiet = show()["quiet"]
    assert quiet["distribution"] == "quiet-hours 1.2"
    assert sorted(config.parent.rglob("*")) == before


def test_a_running_bots_counts_are_shown_with_those_of_its_own_hooks(show, config, tmp_path, keys):
    bot = tmp_path / "bot.py"
    bot.write_text(BOT, "utf-8")
    subprocess.run([sys.executable, bot, config], check=True, capture_output=True)
    shown = show()
    assert list(shown).index("prudence") == list(shown).index("policy") + 1
    assert shown["prudence"]["distribution"] == "bot"
    assert counts_of(shown["prudence"]) == {"on_request": 41}
    assert counts_of(shown["throttle"])["on_request"] == 40
    assert counts_of(shown["signing"])["sign_request"] == 40
    timed = {hook["hook"]: hook for hook in shown["policy"]["hooks"]}["on_request"]
    assert 0 < timed["mean_us"] <= timed["worst_us"]


def test_counts_of_several_processes_are_added_up(show, config, hauberk):
    leave(config, os.getpid(), calls=30, mean_us=2.0, worst_us=9.0)
    leave(config, 4194305, calls=10, failures=2, mean_us=6.0, worst_us=7.0)
    hook = next(hook for hook in show()["policy"]["hooks"] if hook["hook"] == "on_request")
    assert hook == {
        "hook": "on_request",
        "calls": 40,
        "failures": 2,
        "overruns": 0,
        "mean_us": 3.0,
        "worst_us": 9.0,
    }
    document = hauberk("plugins", "--config", config, "--json").document
    assert document["processes"] == [
        {"pid": os.getpid(), "running": True},
        {"pid": 4194305, "running": False},
    ]


def test_torn_foreign_and_hostile_counts_are_passed_over(show, config):
    leave(config, 1, calls="many")
    leave(config, 2, plugin="\x1b[2J")
    (config.parent / "hauberk-state" / "counts-3.json").write_text('[{"plug', "utf-8")
    leave(config, 4)
    assert counts_of(show()["policy"])["on_request"] == 4


def test_a_plugin_that_cannot_be_made_is_shown_with_the_reason(show, third_party):
    third_party("""
        class Quiet(Base):
            def __init__(self):
                raise SystemExit("not today")
    """)
    quiet = show()["quiet"]
    assert quiet["hooks"] == []
    assert "not today" in quiet["problem"]


def test_what_is_installed_and_not_named_is_told(hauberk, config, third_party, edit):
    third_party("raise SystemExit('imported')\n")
    edit("third_party:\n  quiet-hours: {plugins: [quiet], grants: []}", "third_party: {}")
    edit("policy, quiet, bots", "policy, bots")
    document = hauberk("plugins", "--config", config, "--json").document
    offer = {"distribution": "quiet-hours", "version": "1.2", "plugins": ["quiet"]}
    assert offer in document["installed"]
    assert "quiet-hours 1.2 offers quiet" in hauberk("plugins", "--config", config).out


def test_a_person_reads_calls_failures_and_times(hauberk, config):
    assert "No bot has left counts" in hauberk("plugins", "--config", config).out
    leave(config, os.getpid(), failures=1)
    out = hauberk("plugins", "--config", config).out
    assert "  on_request    4 calls, 1 failures, mean 1 µs, worst 2 µs\n" in out
    assert "policy          built-in, required; granted reference_price, store, venues\n" in out
    assert "No bot" not in out
