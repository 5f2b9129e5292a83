"""`hauberk doctor`: everything it looks at, found wrong once each, with what to do about it."""

import os
import threading

import attrs
import pytest

from hauberk.cli.checks import check_state
from hauberk.command import Check
from hauberk.hooks import hookimpl
from hauberk_plugins.throttle.plugin import ThrottlePlugin


@pytest.fixture
def checks(hauberk, config):
    """Run doctor and return its checks by what they looked at."""

    def run(*words):
        ran = hauberk("doctor", "--config", config, "--json", *words)
        found = ran.document["checks"]
        assert ran.document["ok"] is (ran.status == 0)
        assert ran.status == (1 if "fail" in [check["status"] for check in found] else 0)
        return {check["what"]: check for check in found}

    return run


def everything(folder):
    """Every path below a folder with its mode, size, time of change and content."""
    return {
        path: (path.stat().st_mode, path.stat().st_mtime_ns, path.is_file() and path.read_bytes())
        for path in (folder, *folder.rglob("*"))
    }


def test_all_is_well_with_keys_in_the_environment(checks, keys):
    found = checks()
    assert {check["status"] for check in found.values()} == {"ok"}
    assert (
        "started: venues, encryption, storage, keys, transport, batch, killswitch"
        in found["plugins"]["found"]
    )
    assert found["account main"]["found"] == "at binance, may read, trade, cancel"


def test_it_changes_nothing(checks, config, keys):
    (config.parent / "hauberk-state" / "counts-1.json").write_text("[]", "utf-8")
    before = everything(config.parent)
    checks()
    assert everything(config.parent) == before


def test_it_makes_no_state_folder(checks, config, keys):
    (config.parent / "hauberk-state").rmdir()
    found = checks()["state folder"]
    assert found["status"] == "warn"
    assert found["remedy"].startswith("mkdir -m 700 ")
    assert not (config.parent / "hauberk-state").exists()


def test_it_leaves_no_thread_behind(checks, keys):
    before = set(threading.enumerate())
    checks()
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=5)
        assert not thread.is_alive()


def test_missing_keys_are_named_with_where_they_were_looked_for(checks, config):
    found = checks()["keys of main"]
    assert found["status"] == "fail"
    for part in ("'main'", "env:BINANCE_KEY", "the environment", str(config.parent / ".env")):
        assert part in found["found"]
    assert found["remedy"].endswith(f"chmod 600 {config.parent / '.env'}")


def test_a_dotenv_file_that_others_can_read_is_refused_with_the_chmod(checks, config):
    dotenv = config.parent / ".env"
    dotenv.write_text("BINANCE_KEY=k\nBINANCE_SECRET=s\n", "utf-8")
    dotenv.chmod(0o644)
    found = checks()["keys of main"]
    assert found["status"] == "fail"
    assert found["remedy"] == f"chmod 600 {dotenv}"


def test_a_secret_in_the_place_of_its_reference_is_not_shown(hauberk, config, edit, monkeypatch):
    monkeypatch.setenv("BINANCE_KEY", "k")
    edit("env:BINANCE_SECRET", "s3cr3tS3CR3T")
    ran = hauberk("doctor", "--config", config, "--json")
    assert ran.status == 2
    assert [problem["path"] for problem in ran.document["problems"]] == ["accounts.main.secret"]
    assert "s3cr3t" not in ran.out + ran.err


@pytest.mark.parametrize(("mode", "status"), [(0o770, "warn"), (0o1777, "ok")])
def test_a_folder_where_its_group_can_replace_the_configuration_is_warned_of(
    checks, config, keys, mode, status
):
    config.parent.chmod(mode)
    found = checks()["configuration"]
    assert found["status"] == status
    assert status == "ok" or found["remedy"] == f"chmod go-w {config.parent}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_state_folder_that_belongs_to_somebody_else_fails(checks, config, keys):
    os.chown(config.parent / "hauberk-state", 4242, -1)
    found = checks()["state folder"]
    assert found["status"] == "fail"
    assert "belongs to user id 4242" in found["found"]
    assert "chown" in found["remedy"]


def test_a_state_folder_open_to_others_fails(checks, config, keys):
    (config.parent / "hauberk-state").chmod(0o750)
    found = checks()["state folder"]
    assert found["status"] == "fail"
    assert found["remedy"] == f"chmod 700 {config.parent / 'hauberk-state'}"


def test_a_file_or_a_dangling_link_in_the_state_folders_place_fails(tmp_path):
    (tmp_path / "file").write_text("", "utf-8")
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("file", "link"):
        assert check_state(tmp_path / name).status == "fail"


def test_a_state_folder_that_cannot_be_looked_at_fails(tmp_path, monkeypatch):
    def closed(path, **_kwargs):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(type(tmp_path), "stat", closed)
    found = check_state(tmp_path / "closed")
    assert found.status == "fail"
    assert "Permission denied" in found.found


def test_shadow_mode_is_a_warning(checks, edit, keys):
    edit("mode: enforce", "mode: shadow")
    found = checks()["mode"]
    assert found["status"] == "warn"
    assert "guards deny nothing" in found["found"]


def test_a_guard_without_policy_is_refused(hauberk, config, edit, keys):
    edit("policy, bots", "bots")
    edit("required: [killswitch, policy,", "required: [killswitch,")
    edit("  policy: [venues, store, reference_price]\n", "")
    ran = hauberk("doctor", "--config", config)
    assert ran.status == 2
    assert "none of them judges capabilities" in ran.err


def test_an_account_that_may_move_funds_is_a_warning(checks, edit, keys):
    edit("[read, trade, cancel]", "[read, withdraw, admin]")
    found = checks()["account main"]
    assert found["status"] == "warn"
    assert "may withdraw, admin" in found["found"]


def test_no_accounts_are_a_warning(checks, config, edit, keys):
    text = config.read_text("utf-8")
    start, end = text.index("accounts:"), text.index("# A plugin's own")
    config.write_text(text[:start] + text[end:], "utf-8")
    assert checks()["accounts"]["status"] == "warn"


def test_an_unknown_venue_exits_2_with_its_line_and_the_one_that_was_meant(hauberk, config, edit):
    edit("venue: binance", "venue: binanse")
    ran = hauberk("doctor", "--config", config, "--json")
    assert ran.status == 2
    (problem,) = ran.document["problems"]
    assert problem["path"] == "accounts.main.venue"
    assert problem["line"] > 1
    assert "did you mean 'binance'?" in problem["message"]


def test_a_plugin_that_is_not_installed_is_a_warning(checks, edit, keys):
    edit("policy, bots", "policy, gone, bots")
    edit("third_party: {}", "third_party:\n  hauberk-not-there: {plugins: [gone], grants: []}")
    found = checks()["plugin gone"]
    assert found["status"] == "warn"
    assert "pip install hauberk-not-there" in found["found"]


def test_a_plugin_that_does_not_start_is_a_warning(checks, third_party, keys):
    third_party("""
        class Quiet(Base):
            @hookimpl
            def on_start(self, context):
                raise RuntimeError("no clock")
    """)
    found = checks()
    assert found["plugin quiet"]["status"] == "warn"
    assert "no clock" in found["plugin quiet"]["found"]
    assert found["plugins"]["status"] == "ok"


def test_a_section_that_its_plugin_cannot_use_exits_2_with_its_problems(
    hauberk, config, third_party, keys
):
    third_party("""
        from hauberk.errors import ConfigError, ConfigProblem

        class Quiet(Base):
            @hookimpl
            def on_start(self, context):
                raise ConfigError([ConfigProblem("hauberk.yml", 7, "quiet", "no such hour")])
    """)
    ran = hauberk("doctor", "--config", config, "--json")
    assert ran.status == 2
    assert [problem["message"] for problem in ran.document["problems"]] == ["no such hour"]


def test_a_required_plugin_that_does_not_start_fails(checks, third_party, edit, keys):
    third_party("""
        class Quiet(Base):
            @hookimpl
            def on_start(self, context):
                raise RuntimeError("no clock")
    """)
    edit("required: [killswitch,", "required: [quiet, killswitch,")
    found = checks()["plugins"]
    assert found["status"] == "fail"
    assert "'quiet' is required and did not start" in found["found"]


def test_what_is_installed_and_not_named_is_told_and_not_imported(
    checks, third_party, edit, keys, tmp_path
):
    third_party("raise SystemExit('imported')\n")
    edit("third_party:\n  quiet-hours: {plugins: [quiet], grants: []}", "third_party: {}")
    edit("policy, quiet, bots", "policy, bots")
    found = checks()["third party"]
    assert found["status"] == "ok"
    assert found["found"] == "quiet-hours 1.2 offers quiet, and is not loaded"


def test_a_broken_configuration_exits_2_with_every_problem(hauberk, config, edit):
    edit("mode: enforce", "mode: enforced")
    edit("required: [killswitch,", "required: [killswich,")
    ran = hauberk("doctor", "--config", config, "--json")
    assert ran.status == 2
    assert len(ran.document["problems"]) == 2


def test_a_person_reads_what_to_do_under_what_was_found(hauberk, config):
    lines = hauberk("doctor", "--config", config).out.splitlines()
    (at,) = (n for n, line in enumerate(lines) if line.startswith("fail  keys of main"))
    assert lines[at + 1].strip().startswith("-> set it in one of these places")


def test_it_tells_what_plugins_found(checks, keys, monkeypatch):
    found = [Check("windows", "warn", "two are the same", "take one out")]
    monkeypatch.setattr(ThrottlePlugin, "on_doctor", hookimpl(lambda self: found), raising=False)
    assert checks()["windows"] == attrs.asdict(found[0])


@pytest.mark.parametrize("answer", [OSError("no"), ["ok"], [Check("a", "odd", "b")]])  # type: ignore[arg-type]
def test_a_plugin_whose_checks_fail_is_named_and_hides_nothing(checks, keys, monkeypatch, answer):
    def on_doctor(self):
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(ThrottlePlugin, "on_doctor", hookimpl(on_doctor), raising=False)
    found = checks()
    assert found["plugin throttle"]["status"] == "warn"
    assert "its checks" in found["plugin throttle"]["found"]
    assert found["account main"]["status"] == "ok"
