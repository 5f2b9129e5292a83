"""`hauberk vault rotate` over a whole configuration: what is sealed in its files too."""

import os
import stat

import pytest

from hauberk.cli.config_file import vault_of
from hauberk.clock import SystemClock
from hauberk.config import read_config
from hauberk.secret import Secret
from hauberk.secureconfig import SecureConfig

QUIET = """
    from attrs import frozen
    from hauberk.sealed import Sealed

    @frozen
    class Alerts:
        token: Sealed | None = None

    class Quiet(Base):
        Config = Alerts

        def __init__(self, config):
            self.config = config
"""
TOKEN = "c4nary-t0ken"
WEEK_NS = 7 * 86_400 * 10**9


@pytest.fixture
def rotate(hauberk, config, third_party):
    """Rotate, with a record and values sealed in both files; return what came of it."""
    third_party(QUIET)
    with vault_of(read_config(config)) as vault:
        SecureConfig(config, vault).set("quiet.token", TOKEN, sealed=True)
        taken_over = config.with_name("config.sealed.yml")
        taken_over.write_text("bot: {}\n")
        SecureConfig(taken_over, vault).set("bot.token", TOKEN, sealed=True)
    return lambda *words: hauberk("vault", "rotate", *words, "--config", config)


def check_values(config):
    with vault_of(read_config(config)) as vault:
        assert SecureConfig(config, vault).get("quiet.token") == Secret(TOKEN)
        taken_over = SecureConfig(config.with_name("config.sealed.yml"), vault)
        assert taken_over.get("bot.token") == Secret(TOKEN)
        return SecureConfig(config, vault).outdated() + taken_over.outdated()


@pytest.fixture
def later(monkeypatch):
    """Let time pass."""
    passed = [0]
    now = SystemClock.wall_ns
    monkeypatch.setattr(SystemClock, "wall_ns", staticmethod(lambda: now() + sum(passed)))
    return passed.append


def test_values_are_sealed_anew_and_a_week_later_the_old_key_is_retired(rotate, config, later):
    ran = rotate()
    assert ran.out == (
        "A fresh key is in place: 2 records and 2 values of the configuration sealed under the "
        "present key.\n"
    )
    assert ran.status == 0
    assert "storage.vault.rotate" in ran.err  # what is written down is written on the console too
    assert check_values(config) == 0
    later(WEEK_NS)
    ran = rotate()
    assert ran.out.splitlines()[1] == "1 old key retired: nothing needs it."
    assert check_values(config) == 0
    later(WEEK_NS)
    assert rotate("--json").document == {
        "fresh_key": True, "records": 3, "values": 2, "keys_retired": 1, "keys_kept_for": [],
    }  # fmt: skip
    assert check_values(config) == 0


def test_whoever_keeps_what_it_seals_elsewhere_keeps_every_key(rotate, config, edit, later):
    edit("plugins: [quiet], grants: []", "plugins: [quiet], grants: [vault]")
    rotate()
    later(WEEK_NS)
    ran = rotate("--json")
    assert ran.document["keys_retired"] == 0
    assert ran.document["keys_kept_for"] == ["quiet"]
    assert rotate().out.splitlines()[1] == (
        "No old key is retired, since something may be sealed elsewhere by: quiet."
    )


def test_keys_are_kept_for_who_says_so(rotate, config, later):
    rotate()
    later(WEEK_NS)
    assert rotate("--keep", "--json").document["keys_retired"] == 0
    assert rotate("--json").document["keys_retired"] == 1
    assert check_values(config) == 0


def test_a_configuration_that_cannot_be_written_keeps_the_key_that_it_is_sealed_under(
    rotate, config, later, monkeypatch
):
    rotate()
    later(WEEK_NS)

    def full(*arguments, **options):
        raise OSError(28, os.strerror(28), str(config))

    with monkeypatch.context() as patched:
        patched.setattr("hauberk.secureconfig.rewrite", full)
        ran = rotate()
    assert ran.status == 2
    assert f"{config} cannot be written: No space left on device; the records are" in ran.err
    assert check_values(config) == 2
    ran = rotate("--json")  # goes on, and puts no other key in place
    assert (ran.document["fresh_key"], ran.document["values"]) == (False, 2)
    assert check_values(config) == 0


def test_a_read_only_configuration_is_refused_with_what_to_do(rotate, config):
    config.chmod(0o400)
    ran = rotate()
    assert (ran.status, "chmod u+w" in ran.err) == (2, True)
    assert check_values(config) == 2
    assert stat.S_IMODE(config.stat().st_mode) == 0o400
