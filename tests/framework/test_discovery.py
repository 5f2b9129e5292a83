"""From names to classes: built-ins first, third parties only where they are named."""

import importlib
import logging
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path

import pytest
from attrs import frozen

from hauberk import builtins, discovery
from hauberk.builtins import Builtin
from hauberk.config import read_config
from hauberk.discovery import configs, discover, installed
from hauberk.errors import ConfigError, StartFailed
from hauberk.hooks import Plugin, hookimpl
from hauberk.plan import Plan, Planned
from hauberk.request import Request

QUIET = """\
from attrs import frozen
from hauberk.hooks import Plugin, hookimpl

@frozen
class Settings:
    hours: tuple[int, ...] = ()

class Quiet(Plugin):
    interface = (1, 1)
    Config = Settings
    def __init__(self, config):
        self.config = config
    @hookimpl
    def on_request(self, request):
        return None
"""


class KillSwitch(Plugin):
    interface = (1, 1)

    @hookimpl
    def on_request(self, request: Request) -> None:
        return None


class Judging(KillSwitch):
    judges_capabilities = True


class Provider(Plugin):
    interface = (1, 1)
    provides = {"venues": "it", "keys": "it", "store": "it"}
    it = object()


@frozen
class PacerConfig:
    jitter_ms: int = 5


class Pacer(KillSwitch):
    Config = PacerConfig


@pytest.fixture(autouse=True)
def builtin_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins for the built-ins, so that these tests are about discovery alone."""
    table = {
        **dict.fromkeys(builtins.BUILTINS, Builtin("no_such_module_of_hauberk:X")),
        **dict.fromkeys(("venues", "keys", "storage"), Builtin(f"{__name__}:Provider")),
        "killswitch": Builtin(f"{__name__}:KillSwitch", ("store",)),
        "policy": Builtin(f"{__name__}:Judging"),
        "throttle": Builtin(f"{__name__}:Pacer"),
        "signing": Builtin(f"{__name__}:Missing", ("sign",)),
    }
    for name, builtin in table.items():
        monkeypatch.setitem(builtins.BUILTINS, name, builtin)


Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a distribution that consists of one module."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)

    def install(
        distribution: str, module: str, source: str, points: str, version: str = "1.0"
    ) -> None:
        info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        )
        (info / "entry_points.txt").write_text(f"[hauberk]\n{points}\n")
        (site / f"{module}.py").write_text(source)
        importlib.invalidate_caches()

    before = set(sys.modules)
    yield install
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


Discover = Callable[[str], Plan]


@pytest.fixture
def plan(tmp_path: Path) -> Discover:
    def plan(text: str) -> Plan:
        path = tmp_path / "hauberk.yml"
        path.write_text(text)
        return discover(read_config(path))

    return plan


THIRD = "plugins: [killswitch, quiet]\nthird_party: {acme-quiet: {plugins: [quiet]}}\n"


def by_name(plan: Plan) -> dict[str, Planned]:
    return {planned.name: planned for planned in plan.planned}


def test_built_ins_are_planned_in_order_after_unlisted_providers(plan: Discover) -> None:
    made = plan(
        "plugins: [killswitch, policy, bots, throttle]\nrequired: [killswitch]\n"
        "throttle: {jitter_ms: 7}\n"
    )
    assert [planned.name for planned in made.planned] == [
        *("venues", "storage", "keys", "killswitch", "policy", "throttle")
    ]
    assert made.order == ("killswitch", "policy", "bots", "throttle")
    planned = by_name(made)
    assert planned["killswitch"].cls is KillSwitch
    assert planned["killswitch"].grants == {"store"}
    assert planned["killswitch"].config is None
    assert planned["throttle"].config == PacerConfig(7)
    assert {p.name for p in made.planned if p.required} == {
        "venues",
        "storage",
        "keys",
        "killswitch",
        "policy",
    }
    assert {p.origin for p in made.planned} == {"built-in"}
    assert {"audit", "throttle", "bot"} <= made.reserved


def test_a_third_party_is_loaded_from_the_distribution_that_is_named(
    plan: Discover, install: Install
) -> None:
    install("acme-quiet", "acme_quiet_a", QUIET, "quiet = acme_quiet_a:Quiet", "2.3")
    made = plan(THIRD + "quiet: {hours: [22, 23]}\nrequired: [quiet]\n")
    quiet = by_name(made)["quiet"]
    assert quiet.origin == "acme-quiet 2.3"
    assert quiet.required
    assert quiet.config.hours == (22, 23)  # type: ignore[attr-defined]
    assert type(quiet.make().plugin).__name__ == "Quiet"
    assert "quiet" in made.reserved


@pytest.mark.parametrize("spelt", ["Acme.Quiet", "acme_quiet", "ACME--quiet"])
def test_a_distribution_is_found_however_its_name_is_spelt(
    plan: Discover, install: Install, spelt: str
) -> None:
    install("acme-quiet", "acme_quiet_b", QUIET, "quiet = acme_quiet_b:Quiet")
    assert by_name(plan(THIRD.replace("acme-quiet", spelt)))["quiet"].origin == "acme-quiet 1.0"


EVIL = "import sys\nsys.evil_was_imported = True\nraise SystemExit('imported')\n"


def test_nothing_of_a_distribution_that_is_not_named_is_imported(
    plan: Discover, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "evil_was_imported", False, raising=False)
    install("acme-quiet", "acme_quiet_c", QUIET, "quiet = acme_quiet_c:Quiet")
    points = "\n".join(f"{name} = evil_c:X" for name in ("quiet", "policy", "killswitch", "evil"))
    install("aaa-evil", "evil_c", EVIL, points)
    made = plan(THIRD.replace("quiet]\n", "policy, quiet]\n"))
    assert by_name(made)["quiet"].origin == "acme-quiet 1.0"
    assert by_name(made)["policy"].origin == "built-in"
    assert ("aaa-evil", "1.0", ("evil", "killswitch", "policy", "quiet")) in installed()
    assert not sys.evil_was_imported  # type: ignore[attr-defined]


def test_of_a_named_distribution_only_the_named_entry_points_are_imported(
    plan: Discover, install: Install
) -> None:
    install("acme-quiet", "acme_quiet_d", QUIET, "quiet = acme_quiet_d:Quiet\nmore = evil_d:X")
    plan(THIRD)
    assert "acme_quiet_d" in sys.modules
    assert "evil_d" not in sys.modules


def test_a_distribution_whose_plugin_is_not_in_the_list_is_not_imported(
    plan: Discover, install: Install
) -> None:
    install("acme-quiet", "acme_quiet_e", QUIET, "quiet = acme_quiet_e:Quiet")
    plan(THIRD.replace(", quiet]\n", "]\n", 1))
    assert "acme_quiet_e" not in sys.modules


@pytest.mark.parametrize("name", ["policy", "audit"])
def test_a_third_party_with_a_reserved_name_is_refused_unimported(
    plan: Discover, install: Install, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(sys, "evil_was_imported", False, raising=False)
    install("acme-quiet", f"evil_{name}", EVIL, f"{name} = evil_{name}:X")
    with pytest.raises(ConfigError, match=f"'{name}' is a reserved name: third parties"):
        plan(f"plugins: [killswitch, {name}]\nthird_party: {{acme-quiet: {{plugins: [{name}]}}}}\n")
    assert not sys.evil_was_imported  # type: ignore[attr-defined]


UNUSABLE = {
    "raise ValueError('boom')": "importing MODULE:Quiet raised ValueError: boom",
    "raise SystemExit(3)": "importing MODULE:Quiet raised SystemExit: 3",
    "import not_there_at_all": "raised ModuleNotFoundError",
    "class Bad(BaseException):\n def __str__(s): raise KeyError\nraise Bad": "raised MODULE.Bad",
    "Other = 1": "raised AttributeError",
    "Quiet = 5": "MODULE:Quiet is not a class",
    "def Quiet(): pass": "MODULE:Quiet is not a class",
    "class Quiet: pass": "MODULE:Quiet declares no interface",
    "class Quiet: interface = 1": "MODULE:Quiet declares no interface",
    "class Quiet: interface = (True, 2)": "MODULE:Quiet declares no interface",
    "class Quiet: interface = (2, 9)": "is for hook interface 2 to 9, and this is 1",
    "class Quiet: interface = (0, 0)": "is for hook interface 0 to 0, and this is 1",
    "class Quiet:\n interface = (1, 1)\n Config = dict": "has a Config that is no attrs class",
    "class M(type):\n def __getattr__(s, n): raise OSError(n)\n"
    "class Quiet(metaclass=M): pass": "raised OSError: interface",
    "import attrs\n@attrs.frozen\nclass C:\n x: int = attrs.field(default=1)\n"
    " @x.validator\n def _(self, *_): raise SystemExit(4)\n"
    "class Quiet:\n interface = (1, 1)\n Config = C": "cannot be read: SystemExit: 4",
    "import attrs\n@attrs.frozen\nclass C:\n x: 'Nowhere'\n"
    "class Quiet:\n interface = (1, 1)\n Config = C": "its Config cannot be read",
}


@pytest.mark.parametrize("number", range(len(UNUSABLE)))
def test_a_plugin_that_cannot_be_loaded_is_skipped_or_stops_the_start(
    plan: Discover, install: Install, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    source, reason = list(UNUSABLE.items())[number]
    module = f"acme_quiet_g{number}"
    reason = reason.replace("MODULE", module)
    install("acme-quiet", module, source, f"quiet = {module}:Quiet")
    with caplog.at_level(logging.WARNING, "hauberk"):
        made = plan(THIRD)
    [(name, why)] = made.skipped
    assert name == "quiet"
    assert reason in why
    assert f"plugin quiet is skipped: {why}" in caplog.text
    assert [planned.name for planned in made.planned] == ["venues", "storage", "keys", "killswitch"]
    with pytest.raises(StartFailed) as caught:
        plan(THIRD + "required: [quiet]\n")
    assert (caught.value.plugin, caught.value.reason) == ("quiet", why)


def test_a_provider_of_a_port_that_cannot_be_loaded_stops_the_start(
    plan: Discover, install: Install
) -> None:
    install("acme-quiet", "acme_quiet_h", "raise ValueError", "quiet = acme_quiet_h:Quiet")
    with pytest.raises(StartFailed, match="'quiet' is required"):
        plan(
            "plugins: [killswitch]\nports: {store: quiet}\n"
            "third_party: {acme-quiet: {plugins: [quiet]}}\n"
        )


def test_an_interrupt_during_an_import_goes_through(plan: Discover, install: Install) -> None:
    install("acme-quiet", "acme_quiet_i", "raise KeyboardInterrupt", "quiet = acme_quiet_i:Quiet")
    with pytest.raises(KeyboardInterrupt):
        plan(THIRD)


def test_a_distribution_that_is_not_installed_is_said_to_be(plan: Discover) -> None:
    assert plan(THIRD).skipped == [("quiet", "acme-quiet is not installed: pip install acme-quiet")]


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ("loud = acme_quiet_j:Quiet", "acme-quiet 1.0 has no entry point 'quiet' in the group"),
        ("quiet = acme_quiet_j", "acme_quiet_j is not a class"),
        ("quiet =", "raised"),
        ("quiet = a:b\nquiet = c:d", "acme-quiet 1.0 has more than one entry point 'quiet'"),
    ],
)
def test_an_entry_point_that_is_missing_or_malformed_is_said_to_be(
    plan: Discover, install: Install, points: str, reason: str
) -> None:
    install("acme-quiet", "acme_quiet_j", "", points)
    [(_, why)] = plan(THIRD).skipped
    assert reason in why


def test_a_missing_built_in_is_treated_like_any_other(plan: Discover) -> None:
    made = plan("plugins: [killswitch, signing, logs]\n")
    assert [name for name, _ in made.skipped] == ["signing", "logs"]
    assert "ModuleNotFoundError" in made.skipped[1][1]
    with pytest.raises(StartFailed, match="'logs' is required and did not start"):
        plan("plugins: [killswitch, logs]\nrequired: [logs]\n")


def test_errors_of_the_file_and_of_every_section_come_together(
    plan: Discover, install: Install
) -> None:
    install("acme-quiet", "acme_quiet_k", QUIET, "quiet = acme_quiet_k:Quiet")
    with pytest.raises(ConfigError) as caught:
        plan(
            "mode: shadoww\n"
            "plugins: [policy, killswitch, quiet, throttle, logs, bots]\n"
            "required: [logs]\n"
            "third_party: {acme-quiet: {plugins: [quiet]}}\n"
            "quiet: {hours: [x], huors: []}\n"
            "killswitch: {strict: true}\n"
            "throttle:\n  jiter_ms: 5\n"
            "modes: 1\n"
        )
    assert [f"{problem.line} {problem.path}" for problem in caught.value.problems] == [
        *("1 mode", "2 plugins.1", "2 plugins.5", "2 plugins.4", "5 quiet.hours.0"),
        *("5 quiet.huors", "6 killswitch", "8 throttle.jiter_ms", "9 modes"),
    ]
    text = str(caught.value)
    assert "killswitch must be the first" in text
    assert "'killswitch' has nothing to configure" in text
    assert "unknown key 'jiter_ms'; did you mean 'jitter_ms'?" in text


JUDGE = (
    QUIET
    + """
    @classmethod
    def config_problems(cls, written):
        BODY
"""
)
ACCOUNTS = "accounts: {main: {venue: demo, key: env:K, secrt: HUNTER2, base_url: x}, off: 5}\n"


@pytest.fixture
def judged(plan: Discover, install: Install) -> Callable[..., Plan]:
    """Read a file with a plugin that says what is wrong with it."""
    numbers = iter(range(100))

    def judged(body: str, text: str = "", required: str = "[]") -> Plan:
        module = f"acme_quiet_judge{next(numbers)}"
        install("acme-quiet", module, JUDGE.replace("BODY", body), f"quiet = {module}:Quiet")
        return plan(THIRD.replace("quiet]", "policy, quiet]", 1) + f"required: {required}\n{text}")

    return judged


def test_what_a_plugin_finds_wrong_is_told_where_it_stands_with_all_else(
    judged: Callable[..., Plan],
) -> None:
    with pytest.raises(ConfigError) as caught:
        judged(
            "yield (written.name, 'hours', 1), 'is taken\\x1b[2K by password=hunter2'\n"
            "        yield ('accounts', 'main', 'venue'), 'is closed'",
            "quiet:\n  hours:\n    - 1\n    - 2\n"
            "accounts: {main: {venue: demo, signer: quiet}}\nmode: shadoww\n",
        )
    assert [str(problem).partition("hauberk.yml:")[2] for problem in caught.value.problems] == [
        "7: quiet.hours.1: is taken?[2K by password=[secret]",
        "8: accounts.main.signer: signer 'quiet' lacks the grant 'sign'",
        "8: accounts.main.venue: is closed",
        "9: mode: 'shadoww' is not one of enforce, shadow; did you mean 'shadow'?",
    ]


def test_a_plugin_is_shown_what_is_written_right_or_wrong_and_no_reference(
    judged: Callable[..., Plan], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        judged(
            "yield (), repr([written.config, written.section, written.accounts, "
            "str(written.folder), sorted(written.provides)])",
            "quiet: {hours: [x]}\nports: {store: quiet}\n" + ACCOUNTS,
        )
    shown = [None, {"hours": ["x"]}, {"main": {"venue": "demo"}}, str(tmp_path), ["store"]]
    assert repr(shown) in str(caught.value)
    assert "HUNTER2" not in repr([problem.message for problem in caught.value.problems])


def test_a_plugin_is_shown_its_section_as_its_config(judged: Callable[..., Plan]) -> None:
    with pytest.raises(ConfigError, match=r"hours are \(3,\)"):
        judged("yield (), f'hours are {written.config.hours}'", "quiet: {hours: [3]}\n")


def test_what_a_plugin_does_to_what_it_is_shown_changes_nothing(
    install: Install, tmp_path: Path
) -> None:
    body = (
        "written.section['hours'].append(4); written.accounts['main']['allow'].clear(); return ()"
    )
    source = JUDGE.replace("BODY", body)
    install("acme-quiet", "acme_quiet_o", source, "quiet = acme_quiet_o:Quiet")
    (tmp_path / "hauberk.yml").write_text(
        THIRD.replace("quiet]\n", "policy, quiet, throttle]\n", 1) + "quiet: {hours: [3]}\n"
        "grants: {throttle: [sign]}\n"
        "accounts: {main: {venue: demo, signer: throttle, allow: [read]}}\n"
    )
    config = read_config(tmp_path / "hauberk.yml")
    before = deepcopy(config.document.data)
    discover(config)
    assert config.document.data == before


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("raise ValueError('boom')", "its config_problems raised ValueError: boom"),
        ("raise SystemExit(3)", "its config_problems raised SystemExit: 3"),
        ("yield (), 'first'; raise OSError('then')", "its config_problems raised OSError: then"),
        ("return 5", "its config_problems raised TypeError"),
        ("return None", "its config_problems raised TypeError"),
        ("return ['text']", "says something other than (path, message)"),
        ("return [('hours', 'text')]", "says something other than (path, message)"),
        ("return [((1.5,), 'text')]", "says something other than (path, message)"),
        ("return [((), '')]", "says something other than (path, message)"),
        ("return [((), 5)]", "says something other than (path, message)"),
        ("return [((), 'a', 'b')]", "says something other than (path, message)"),
    ],
)
def test_a_plugin_that_cannot_say_what_is_wrong_is_one_that_cannot_be_loaded(
    judged: Callable[..., Plan], body: str, reason: str
) -> None:
    [(name, why)] = judged(body).skipped
    assert name == "quiet"
    assert reason in why


def test_a_required_plugin_that_cannot_say_what_is_wrong_stops_the_start(
    judged: Callable[..., Plan],
) -> None:
    with pytest.raises(StartFailed, match="its config_problems raised ValueError: boom"):
        judged("raise ValueError('boom')", required="[quiet]")


def test_an_interrupt_while_a_plugin_says_what_is_wrong_goes_through(
    judged: Callable[..., Plan],
) -> None:
    with pytest.raises(KeyboardInterrupt):
        judged("raise KeyboardInterrupt")


def test_a_guard_after_throttle_is_refused_with_its_line(plan: Discover, install: Install) -> None:
    install("acme-quiet", "acme_quiet_l", QUIET, "quiet = acme_quiet_l:Quiet")
    with pytest.raises(ConfigError, match=r"hauberk\.yml:4: plugins\.2: quiet judges requests"):
        plan(
            "plugins:\n  - killswitch\n  - throttle\n  - quiet\n"
            "third_party: {acme-quiet: {plugins: [quiet]}}\n"
        )


SIGNED = (
    "third_party: {acme-quiet: {plugins: [quiet], grants: [sign]}}\n"
    "accounts: {main: {venue: demo, signer: quiet, allow: [read]}}\n"
)


def test_accounts_whose_capabilities_nobody_judges_are_refused_with_line_and_remedy(
    plan: Discover, install: Install
) -> None:
    install("acme-quiet", "acme_quiet_p", QUIET, "quiet = acme_quiet_p:Quiet")
    with pytest.raises(ConfigError) as caught:
        plan("state: here\nplugins: [killswitch, bots, throttle, quiet]\n" + SIGNED)
    told = next(str(one) for one in caught.value.problems if "capabilities" in str(one))
    assert "hauberk.yml:2: plugins: " in told
    assert "`allow` of main would be ignored" in told
    assert "[killswitch, policy, …]" in told
    plan("plugins: [killswitch, policy, quiet]\n" + SIGNED)


def test_a_plugin_that_judges_capabilities_starts_or_nothing_does(
    plan: Discover, install: Install
) -> None:
    source = QUIET.replace("interface =", "judges_capabilities = True\n    interface =")
    install("acme-quiet", "acme_quiet_q", source, "quiet = acme_quiet_q:Quiet")
    made = plan("plugins: [killswitch, quiet]\n" + SIGNED)
    assert [planned.required for planned in made.planned if planned.name == "quiet"] == [True]
    assert not next(one for one in made.planned if one.name == "killswitch").required
    with pytest.raises(ConfigError, match="bogus is left out: no distribution"):
        plan(
            "plugins: [killswitch, bogus, throttle]\ngrants: {throttle: [sign]}\n"
            "accounts: {main: {venue: demo, signer: throttle}}\n"
        )


@pytest.mark.parametrize(
    "source",
    [
        QUIET.replace("interface =", "judges_capabilities = 'yes'\n    interface ="),
        QUIET.replace("interface =", "judges_capabilities = True\n    interface =").replace(
            "on_request(self, request)", "on_response(self, request, response)"
        ),
    ],
    ids=["a word", "no guard"],
)
def test_what_only_sounds_like_judging_capabilities_is_not_enough(
    source: str, plan: Discover, install: Install
) -> None:
    module = f"acme_quiet_r{len(source)}"
    install("acme-quiet", module, source, f"quiet = {module}:Quiet")
    with pytest.raises(ConfigError, match="none of them judges capabilities"):
        plan("plugins: [killswitch, quiet]\n" + SIGNED)


def test_installed_survives_broken_metadata(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("acme-quiet", "acme_quiet_m", EVIL, "quiet = acme_quiet_m:Quiet")
    for name, files in {
        "nameless-1.0.dist-info": {"METADATA": "", "entry_points.txt": "[hauberk]\na = b:c"},
        "bytes-1.0.dist-info": {"METADATA": "Name: bytes\nVersion: 1", "entry_points.txt": "[[["},
        "empty-1.0.dist-info": {},
    }.items():
        (tmp_path / "site" / name).mkdir()
        for file, text in files.items():
            (tmp_path / "site" / name / file).write_text(text)
    assert ("acme-quiet", "1.0", ("quiet",)) in installed()
    assert "acme_quiet_m" not in sys.modules


def test_configs_are_those_of_the_plugins_that_can_be_loaded(
    install: Install, tmp_path: Path
) -> None:
    assert configs() == {"throttle": PacerConfig}
    install("acme-quiet", "acme_quiet_n", QUIET, "quiet = acme_quiet_n:Quiet")
    path = tmp_path / "hauberk.yml"
    path.write_text(THIRD.replace("[killswitch", "[killswitch, logs"))
    assert [cls.__name__ for cls in configs(read_config(path)).values()] == ["Settings"]


def test_the_group_of_entry_points_is_hauberk() -> None:
    assert discovery.GROUP == "hauberk"
