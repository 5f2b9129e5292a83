"""From a file to a running guard, and back to nothing where that cannot be."""

import signal
import stat
import threading

import pytest

from hauberk.builtins import BUILTINS, Builtin
from hauberk.command import started
from hauberk.errors import ConfigError, StartFailed
from hauberk.hooks import hookimpl
from hauberk.opening import load, schema_for
from hauberk.opening import open as open_guard
from hauberk_plugins.venues.plugin import VenuesPlugin

CONFIG = """\
state: {state}
plugins: [killswitch, policy, bots, throttle, signing]
required: [killswitch, policy, throttle, signing]
accounts:
  main: {{venue: binance, key: env:K, secret: env:S}}
"""


@pytest.fixture
def write(tmp_path):
    def written(state="state", extra=""):
        path = tmp_path / "hauberk.yml"
        path.write_text(CONFIG.format(state=state) + extra, "utf-8")
        return path

    return written


@pytest.fixture(autouse=True)
def handler():
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def test_a_guard_runs_with_the_plugins_of_the_file(write):
    with open_guard(write()) as guard:
        assert [part.name for part, _ in guard.snapshot.parts] == [
            *("venues", "encryption", "storage", "keys", "transport"),
            *("killswitch", "policy", "throttle", "signing"),
        ]  # fmt: skip


def test_the_state_folder_is_made_private(write, tmp_path):
    with open_guard(write("deep/er/state")):
        assert stat.S_IMODE((tmp_path / "deep/er/state").stat().st_mode) == 0o700


def test_what_a_killed_writer_left_in_the_state_folder_is_removed(write, tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / ".hauberk-4194305-0123456789abcdef.tmp").touch(0o600)
    with open_guard(write()):
        assert list((tmp_path / "state").iterdir()) == []


def test_counts_are_left_at_the_end_and_those_of_the_dead_forgotten(write, tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "counts-4194305.json").write_text("[]", "utf-8")
    with open_guard(write()):
        pass
    (path,) = (tmp_path / "state").iterdir()
    assert path.name != "counts-4194305.json"


def test_a_transient_guard_makes_nothing_and_handles_no_signal(write, tmp_path):
    path = write()
    with open_guard(path, transient=True):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["hauberk.yml"]
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


@pytest.mark.parametrize("state", ["file", "file/below", "link"])
def test_a_state_folder_that_cannot_be_made_is_named_and_nothing_is_started(
    write, tmp_path, monkeypatch, state
):
    (tmp_path / "file").write_text("", "utf-8")
    (tmp_path / "link").symlink_to("nowhere")
    monkeypatch.setattr("hauberk.opening.Guard", None)
    with pytest.raises(ConfigError) as raised:
        open_guard(write(state))
    (problem,) = raised.value.problems
    assert problem.path == "state"
    assert str(tmp_path / state) in problem.message
    assert "name another" in problem.message


def test_a_broken_file_lists_everything_and_starts_nothing(write, monkeypatch):
    monkeypatch.setattr("hauberk.opening.Guard", None)
    with pytest.raises(ConfigError) as raised:
        open_guard(write(extra="mode: enforced\nkernel: {timeout: 3}\n"))
    assert len(raised.value.problems) == 2


def test_a_missing_file_is_a_configuration_error(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.yml"):
        open_guard(tmp_path / "nowhere.yml")


def test_a_required_plugin_that_is_missing_stops_the_start(write):
    path = write(extra="third_party:\n  hauberk-not-there: {plugins: [gone]}\n")
    text = path.read_text("utf-8")
    path.write_text(text.replace("policy, bots", "policy, gone, bots").replace(
        "required: [", "required: [gone, "), "utf-8")  # fmt: skip
    with pytest.raises(StartFailed, match="hauberk-not-there"):
        load(path)


def test_sighup_reloads(write):
    path = write()
    with open_guard(path) as guard:
        path.write_text(path.read_text("utf-8").replace("main:", "other:"), "utf-8")
        signal.raise_signal(signal.SIGHUP)
        for thread in threading.enumerate():
            if thread.name == "hauberk-reload":
                thread.join()
        assert list(guard.snapshot.bindings) == ["other"]


def test_a_faulty_file_changes_nothing_at_a_reload(write):
    path = write()
    with open_guard(path) as guard:
        before = guard.snapshot
        path.write_text("plugins: [", "utf-8")
        with pytest.raises(ConfigError):
            guard.reload()
        assert guard.snapshot is before


def test_the_schema_has_a_section_for_each_plugin_of_the_file(write, tmp_path):
    assert {"throttle", "signing", "keys"} <= set(schema_for(write())["properties"])
    assert "logs" not in schema_for(tmp_path / "hauberk.yml")["properties"]


def test_the_schema_of_a_file_that_cannot_be_read_is_that_of_the_built_in_plugins(tmp_path):
    assert "logs" in schema_for(tmp_path / "nowhere.yml")["properties"]


def test_an_unknown_venue_is_named_where_it_stands_with_the_nearest_one(write):
    path = write()
    path.write_text(path.read_text("utf-8").replace("venue: binance", "venue: binanse"), "utf-8")
    with pytest.raises(ConfigError) as caught:
        open_guard(path)
    (problem,) = caught.value.problems
    assert (problem.line, problem.path) == (5, "accounts.main.venue")
    assert "binance" in problem.message


def test_a_secret_in_the_place_of_its_reference_is_refused_and_not_repeated(write):
    path = write()
    path.write_text(path.read_text("utf-8").replace("secret: env:S", "secret: HUNTER2"), "utf-8")
    with pytest.raises(ConfigError, match=r"accounts\.main\.secret: is no reference") as caught:
        open_guard(path)
    assert "HUNTER2" not in str(caught.value)


@pytest.mark.parametrize("name", ["timeout_s", "warn_after_s", "deny_after_s", "responders_s"])
def test_a_limit_of_the_kernel_that_no_clock_could_hold_is_refused(write, name):
    with pytest.raises(ConfigError, match=f"kernel.*{name}"):
        open_guard(write(extra=f"kernel: {{{name}: 1e300}}\n"))


def test_a_command_starts_its_plugin_and_the_providers_it_needs_alone(write):
    with started(write(), "throttle") as running:
        names = [part.name for part, _ in running.guard.snapshot.parts]
        assert names == ["venues", "encryption", "storage", "throttle"]
        assert running.plugin is running.guard.snapshot.parts[-1][0].plugin
        assert "binance" in running.provider("venues").names()
        assert running.provider("keys") is None
    assert running.guard.kernel.closed


def test_a_command_starts_what_its_providers_need_too(write, monkeypatch):
    target = BUILTINS["venues"].target
    needy = BUILTINS | {"venues": Builtin(target, ("keys",))}
    monkeypatch.setattr("hauberk.config.BUILTINS", needy)
    with started(write(), "throttle") as running:
        names = {part.name for part, _ in running.guard.snapshot.parts}
    assert names == {"venues", "keys", "encryption", "storage", "throttle"}


@pytest.mark.parametrize("name", ["logs", "nobody"])
def test_a_command_of_a_plugin_that_is_not_listed_is_refused(write, name):
    with pytest.raises(StartFailed, match="not listed"), started(write(), name):
        pass


def test_a_command_does_not_begin_if_what_it_needs_fails(write, monkeypatch):
    def on_start(self, context):
        raise OSError("no")

    monkeypatch.setattr(VenuesPlugin, "on_start", hookimpl(on_start))
    with pytest.raises(StartFailed, match="venues"), started(write(), "throttle"):
        pass
