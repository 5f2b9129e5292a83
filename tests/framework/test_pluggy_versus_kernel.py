"""What plain pluggy does to a security pipeline, and the kernel does not.

Each pair first shows pluggy failing in exactly that way, so that the kernel's own loop is not
kept for a reason that has gone away.
"""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pluggy
import pytest

from hauberk.errors import ConfigError, Denied, PluginRefused
from hauberk.hooks import hookimpl
from hauberk.opening import load
from hauberk.records import Incident, Outcome, Severity
from hauberk.request import Request
from hauberk.testing import DEFAULT_URL, make_guard
from hauberk.verdicts import Deny

ORDER = Request("POST", DEFAULT_URL, {"symbol": "BTCUSDT", "qty": "1"})

spec = pluggy.HookspecMarker("plain")
impl = pluggy.HookimplMarker("plain")


class DenialRaised(Exception):
    """How a guard on plain pluggy says no."""


class Specs:
    @spec
    def on_request(self, request: dict[str, Any]) -> object: ...

    @spec(firstresult=True)
    def is_allowed(self, request: dict[str, Any]) -> object: ...

    @spec
    def on_incident(self, title: str) -> object: ...


def plain(*plugins: object) -> pluggy.PluginManager:
    manager = pluggy.PluginManager("plain")
    manager.add_hookspecs(Specs)
    for plugin in plugins:
        manager.register(plugin)
    return manager


class Denying:
    """The kernel's counterpart to a guard that says no."""

    @hookimpl
    def on_request(self, request: Request) -> Deny:
        return Deny("policy says no")


class Raising:
    def __init__(self, error: BaseException) -> None:
        self.error = error

    @hookimpl
    def on_request(self, request: Request) -> None:
        raise self.error


# 1.1: wrappers.


class PlainDenier:
    def __init__(self, error: BaseException) -> None:
        self.error = error

    @impl
    def on_request(self, request: dict[str, Any]) -> None:
        raise self.error


class PlainSwallower:
    @impl(wrapper=True)
    def on_request(self, request: dict[str, Any]) -> Any:
        try:
            return (yield)
        except BaseException:
            return []


@pytest.mark.parametrize("error", [DenialRaised("no"), KeyboardInterrupt()])
def test_on_plain_pluggy_a_wrapper_turns_a_denial_and_ctrl_c_into_an_empty_list(
    error: BaseException,
) -> None:
    assert plain(PlainDenier(error), PlainSwallower()).hook.on_request(request={}) == []


def test_no_wrapper_can_turn_a_denial_since_none_is_registered() -> None:
    class Swallower:
        @hookimpl(wrapper=True)
        def on_request(self, request: Request) -> Any:
            try:
                return (yield)
            except BaseException:
                return []

    with make_guard(("policy", Denying())) as guard:
        with pytest.raises(PluginRefused, match=r"'swallower' is refused.*wrapper"):
            guard.register(Swallower())
        with pytest.raises(Denied, match="denied by policy: policy says no"):
            guard.clear(ORDER)


def test_ctrl_c_in_a_guard_reaches_the_program_whoever_else_is_registered() -> None:
    class Later:
        @hookimpl
        def on_request(self, request: Request) -> None:
            return None

    with (
        make_guard(("policy", Raising(KeyboardInterrupt())), Later()) as guard,
        pytest.raises(KeyboardInterrupt),
    ):
        guard.clear(ORDER)


# 1.2: tryfirst and firstresult.


def test_on_plain_pluggy_a_later_tryfirst_answers_allow_and_the_guard_never_runs() -> None:
    ran = []

    class Guard:
        @impl(tryfirst=True)
        def is_allowed(self, request: dict[str, Any]) -> bool:
            ran.append("guard")
            return False

    class Latecomer:
        @impl(tryfirst=True)
        def is_allowed(self, request: dict[str, Any]) -> bool:
            ran.append("latecomer")
            return True

    assert plain(Guard(), Latecomer()).hook.is_allowed(request={}) is True
    assert ran == ["latecomer"]


def test_nobody_comes_before_a_guard_by_asking_for_it_nor_answers_for_it() -> None:
    class Latecomer:
        @hookimpl(tryfirst=True)
        def on_request(self, request: Request) -> bool:
            return True

    class Allowing:
        @hookimpl
        def on_request(self, request: Request) -> bool:
            return True

    with make_guard(("policy", Denying())) as guard:
        with pytest.raises(PluginRefused, match="tryfirst"):
            guard.register(Latecomer())
        guard.register(Allowing())
        with pytest.raises(Denied, match="denied by policy"):
            guard.clear(ORDER)
    with make_guard() as guard:
        guard.register(Allowing())
        with pytest.raises(Denied, match="denied by allowing: returned bool"):
            guard.clear(ORDER)


# 1.3: one that raises.


def test_on_plain_pluggy_a_raising_notifier_means_that_the_kill_switch_never_runs() -> None:
    halted = []

    class KillSwitch:
        @impl
        def on_incident(self, title: str) -> None:
            halted.append(title)

    class Notifier:
        @impl
        def on_incident(self, title: str) -> None:
            raise OSError("no route to host")

    with pytest.raises(OSError, match="no route"):
        plain(KillSwitch(), Notifier()).hook.on_incident(title="keys stolen")
    assert halted == []


def test_the_kill_switch_runs_whatever_notifiers_before_or_after_it_do() -> None:
    told = []

    class Notifier:
        @hookimpl
        def on_incident(self, incident: Incident) -> Outcome:
            raise OSError("no route to host")

    class Pager:
        @hookimpl
        def on_incident(self, incident: Incident) -> Outcome:
            told.append(incident.title)
            return Outcome("paged")

    with make_guard(Notifier(), Pager()) as guard:
        incident = guard.report("keys stolen", Severity.CRITICAL)
        outcomes = {outcome.plugin: outcome for outcome in incident.outcomes}
        assert outcomes["killswitch"].did == "halted"
        assert not outcomes["notifier"].ok
        assert "no route to host" in outcomes["notifier"].did
        assert told == ["keys stolen"]
        with pytest.raises(Denied, match="denied by killswitch: halted: keys stolen"):
            guard.clear(ORDER)


# 1.4: shared mutable arguments.


def test_on_plain_pluggy_a_plugin_changes_the_quantity_for_everyone() -> None:
    seen = []

    class Guard:
        @impl
        def on_request(self, request: dict[str, Any]) -> None:
            seen.append(request["qty"])

    class Changing:
        @impl(tryfirst=True)
        def on_request(self, request: dict[str, Any]) -> None:
            request["qty"] = 1000

    order = {"qty": 1}
    plain(Guard(), Changing()).hook.on_request(request=order)
    assert seen == [1000]
    assert order == {"qty": 1000}


@pytest.mark.parametrize(
    "change",
    [
        lambda request: setattr(request, "params", (("qty", "1000"),)),
        lambda request: object.__setattr__(request, "params", (("qty", "1000"),)),
        lambda request: request.params.__setitem__(1, ("qty", "1000")),
        lambda request: request.__init__("POST", DEFAULT_URL, {"qty": "1000"}),
    ],
)
def test_no_guard_changes_the_quantity_for_anyone(change: Callable[[Any], None]) -> None:
    seen = []

    class Changing:
        @hookimpl
        def on_request(self, request: Request) -> None:
            try:
                change(request)
            except (AttributeError, TypeError):
                return

    class Later:
        @hookimpl
        def on_request(self, request: Request) -> None:
            seen.append(request.params)

    with make_guard(Changing(), Later()) as guard:
        cleared = guard.clear(ORDER)
        assert seen == [ORDER.params]
        assert cleared.judged.params == ORDER.params
        assert "qty=1&" in cleared.request.url


# 1.5: async def called synchronously.


def test_on_plain_pluggy_an_async_guard_is_a_truthy_coroutine_that_never_ran() -> None:
    ran = []

    class Guard:
        @impl
        async def is_allowed(self, request: dict[str, Any]) -> bool:
            ran.append("guard")
            return False

    answer = plain(Guard()).hook.is_allowed(request={})
    assert answer
    assert ran == []
    answer.close()


def test_an_async_guard_is_refused_and_a_coroutine_is_no_answer() -> None:
    class Guard:
        @hookimpl
        async def on_request(self, request: Request) -> None:
            return None

    async def judge() -> None:
        return None

    class Smuggling:
        @hookimpl
        def on_request(self, request: Request) -> Any:
            return judge()

    with make_guard() as guard:
        with pytest.raises(PluginRefused, match="async def"):
            guard.register(Guard())
        guard.register(Smuggling())
        with pytest.raises(Denied, match="denied by smuggling: returned an awaitable"):
            guard.clear(ORDER)
        with pytest.raises(Denied, match="denied by smuggling: returned an awaitable"):
            asyncio.run(guard.aclear(ORDER))


# 1.6: a misspelt hook.


def test_on_plain_pluggy_a_misspelt_hook_is_silent_until_somebody_asks() -> None:
    class Guard:
        @impl
        def on_requset(self, request: dict[str, Any]) -> None:
            raise DenialRaised

    manager = plain(Guard())
    assert manager.hook.on_request(request={}) == []
    with pytest.raises(pluggy.PluginValidationError, match="on_requset"):
        manager.check_pending()


def test_a_misspelt_hook_is_refused_when_it_is_registered_naming_the_right_ones() -> None:
    class Guard:
        @hookimpl
        def on_requset(self, request: Request) -> None:
            return None

    with (
        make_guard() as guard,
        pytest.raises(PluginRefused, match=r"on_requset is no hook.*on_request") as refused,
    ):
        guard.register(Guard(), name="mine")
    assert refused.value.plugin == "mine"


# 1.7 and 1.8: distributions.


class Site:
    """Installs distributions, each in a folder of its own; the last one is found first."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.monkeypatch = monkeypatch

    def install(self, distribution: str, name: str, module: str, source: str) -> None:
        folder = self.folder / distribution
        info = folder / f"{distribution}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        )
        (info / "entry_points.txt").write_text(f"[hauberk]\n{name} = {module}:Plugin\n")
        (folder / f"{module}.py").write_text(source)
        self.monkeypatch.syspath_prepend(folder)
        self.monkeypatch.delitem(sys.modules, module, raising=False)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(tmp_path / "site", monkeypatch)


BUILT_IN = "class Plugin:\n    says = 'built-in'\n"
IMPOSTOR = "class Plugin:\n    interface = (1, 1)\n    says = 'impostor'\n"
RAISING = "raise RuntimeError('a broken release')\n"


def write_config(folder: Path, plugins: str, third_party: str) -> Path:
    path = folder / "hauberk.yml"
    path.write_text(
        f"plugins: [{plugins}]\nrequired: []\nthird_party: {third_party}\n", encoding="utf-8"
    )
    return path


def test_on_plain_pluggy_a_distribution_named_like_a_built_in_replaces_it(site: Site) -> None:
    site.install("built_in", "signing", "built_in_plugin", BUILT_IN)
    site.install("impostor", "signing", "impostor_plugin", IMPOSTOR)
    manager = plain()
    manager.load_setuptools_entrypoints("hauberk", "signing")
    assert manager.get_plugin("signing").says == "impostor"


def test_a_distribution_named_like_a_built_in_is_refused_unimported(
    site: Site, tmp_path: Path
) -> None:
    site.install("impostor", "signing", "impostor_plugin", IMPOSTOR)
    path = write_config(tmp_path, "killswitch, bots, signing", "{impostor: {plugins: [signing]}}")
    with pytest.raises(ConfigError, match=r"signing.*reserved"):
        load(path)
    assert "impostor_plugin" not in sys.modules
    path = write_config(tmp_path, "killswitch, bots, signing", "{}")
    origins = {planned.name: planned.origin for planned in load(path).planned}
    assert origins["signing"] == "built-in"
    assert "impostor_plugin" not in sys.modules


def test_a_hook_registered_at_run_time_takes_no_name_of_a_plugin() -> None:
    with make_guard() as guard, pytest.raises(PluginRefused, match=r"'signing'.*reserved"):
        guard.register(Denying(), name="signing")


def test_on_plain_pluggy_one_plugin_raising_at_import_ends_the_loading_of_all(
    site: Site,
) -> None:
    site.install("works", "works", "works_plugin", BUILT_IN)
    site.install("broken", "broken", "broken_plugin", RAISING)
    manager = plain()
    with pytest.raises(RuntimeError, match="a broken release"):
        manager.load_setuptools_entrypoints("hauberk")
    assert manager.get_plugin("works") is None


def test_one_plugin_raising_at_import_is_skipped_and_the_others_are_loaded(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site.install("works", "works", "works_plugin", IMPOSTOR)
    site.install("broken", "broken", "broken_plugin", RAISING)
    path = write_config(
        tmp_path,
        "killswitch, broken, works, bots",
        "{broken: {plugins: [broken]}, works: {plugins: [works]}}",
    )
    plan = load(path)
    assert "works" in {planned.name for planned in plan.planned}
    reason = dict(plan.skipped)["broken"]
    assert "a broken release" in reason
    assert "plugin broken is skipped" in caplog.text
