"""Rules that come with a distribution: data that is read, and never imported."""

from __future__ import annotations

import json
import sys

import pytest

import hauberk
from hauberk.cli.main import main
from hauberk.errors import ConfigError, UnsafeFile
from hauberk.records import Severity
from hauberk_plugins.monitor.packages import NoRules, rules_of

CONFIG = """
plugins: [killswitch, policy, bots, throttle, signing, monitor]
required: [monitor]
grants: {{policy: [], throttle: [venues], killswitch: [], signing: [sign, keys, venues]}}
monitor: {monitor}
"""
RULES = """
[[rules]]
name = "after-hours"
title = "Many requests outside trading hours"
on = ["trading_hours.denied"]
threshold = 3
per = "account"
window_s = 3600
severity = "HIGH"
"""
GOOD = 'name = "r"\ntitle = "R"\n'


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a distribution whose package may not be imported."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def make(rules=RULES, point="acme_rules:rules.toml", name="acme-rules"):
        info = site / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[hauberk.rules]\nrules = {point}\n")
        package = site / "acme_rules"
        package.mkdir(exist_ok=True)
        (package / "__init__.py").write_text("raise SystemExit('it was imported')\n")
        (package / "rules.toml").write_text(rules)
        return package / "rules.toml"

    yield make
    assert "acme_rules" not in sys.modules


@pytest.fixture
def config(tmp_path):
    def write(monitor):
        path = tmp_path / "hauberk.yml"
        path.write_text(CONFIG.format(monitor=monitor))
        path.chmod(0o600)
        return path

    return write


def test_they_count_under_a_name_that_says_whose_they_are(install, config):
    install()
    with hauberk.open(config("{packages: [acme-rules]}")) as guard:
        for _ in range(3):
            guard.kernel.emit("trading_hours", "trading_hours.denied", {})
        monitor = guard.snapshot.part("monitor").plugin.monitor
        (rule,) = (one for one in monitor.rules if one.name.startswith("acme-rules/"))
        assert (rule.name, rule.severity) == ("acme-rules/after-hours", Severity.HIGH)


def test_they_are_listed_and_may_be_left_out_one_by_one(install, config, capsys):
    install()
    for without, count in (("", 1), (", without: [acme-rules/after-hours]", 0)):
        path = config(f"{{packages: [acme-rules]{without}}}")
        assert main(["monitor", "rules", "--config", str(path), "--json"]) == 0
        found = [one["name"] for one in json.loads(capsys.readouterr().out)["rules"]]
        assert found.count("acme-rules/after-hours") == count
        assert "denied-withdrawals" in found


def test_of_a_distribution_that_is_not_named_nothing_counts(install, config):
    install()
    with hauberk.open(config("{}")) as guard:
        names = [rule.name for rule in guard.snapshot.part("monitor").plugin.monitor.rules]
    assert not [name for name in names if "acme" in name]


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ("[[rules]]\nname = 'r'", r"rules\.toml: rules\.0: title is missing"),
        (f"[[rules]]\n{GOOD}on = ['login.denied']\nthreshold = 1\nseverity = 'HIGH'",
         "from outside"),
        (f"[[rules]]\n{GOOD}on = ['k']\nthresholds = 1", "did you mean 'threshold'"),
        (f"[[rules]]\n{GOOD}on = ['k']\nthreshold = true", "threshold is a number"),
        (f"[[rules]]\n{GOOD}on = ['k']\nthreshold = '1'", "threshold is a number"),
        (f"[[rules]]\n{GOOD}on = 'k'\nthreshold = 1", "no list of texts"),
        (f"[[rules]]\n{GOOD}on = ['k']\nthreshold = 1\nper = 'nobody'", "nobody"),
        (f"[[rules]]\n{GOOD}on = ['k']\nthreshold = 1\nseverity = 'high'", "severity is one of"),
        (f"[[rules]]\n{GOOD}on = ['k']\nthreshold = 1\nwhere = {{a = 'b'}}", "no list of texts"),
        (f"[[rules]]\n{GOOD}on = ['k']\nthreshold = 1\nwhere = 7", "where is a table"),
        ("rules = [1]", "a rule is a table"),
        ("rules = []", "has no rules"),
        ("other = 1", "and nothing else"),
        ("rules = [", r"rules\.toml: "),
        ("\x00", r"rules\.toml: "),
    ],
)  # fmt: skip
def test_what_is_wrong_in_one_is_told_with_its_file_and_the_package_that_was_named(
    install, config, rules, told
):
    install(rules)
    with pytest.raises(NoRules, match=told):
        rules_of("acme-rules")
    with pytest.raises(ConfigError, match=r"hauberk\.yml:5: monitor\.packages\.0"):
        hauberk.open(config("{packages: [acme-rules]}"))


@pytest.mark.parametrize(
    "point",
    [
        "acme_rules",
        "acme_rules:no.toml",
        "acme_rules.inner:rules.toml",
        "nowhere_at_all:rules.toml",
    ],
)
def test_an_entry_point_that_leads_nowhere_is_named(install, point):
    install(point=point)
    with pytest.raises(NoRules):
        rules_of("acme-rules")


def test_a_file_that_others_may_change_is_not_obeyed(install):
    install().chmod(0o666)
    with pytest.raises(UnsafeFile, match="others can change it"):
        rules_of("acme-rules")


@pytest.mark.parametrize("name", ["nobody-has-this", "", "../x", "attrs"])
def test_what_is_not_installed_or_has_no_rules_is_named(config, name):
    with pytest.raises(NoRules):
        rules_of(name)
    with pytest.raises(ConfigError, match=r"monitor\.packages\.0"):
        hauberk.open(config(f"{{packages: ['{name}']}}"))
