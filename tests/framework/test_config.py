"""`hauberk.yml`: what is read, and every cross check with its line."""

from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from hauberk import registry
from hauberk.builtins import BUILTINS, DEFAULT_PORTS, RESERVED, Builtin
from hauberk.config import Config, ConfigFile, Grant, read_config
from hauberk.errors import ConfigError
from hauberk.ports import PORTS
from hauberk.request import Operation
from hauberk.settings import KernelLimits, Mode

LIST = "plugins: [killswitch, policy, bots, throttle, signing]\n"
Read = Callable[[str], Config]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(text: str) -> Config:
        path = tmp_path / "hauberk.yml"
        path.write_text(text)
        return read_config(path)

    return read


@pytest.fixture
def problems(read: Read) -> Callable[[str], list[str]]:
    def problems(text: str) -> list[str]:
        found = sorted(read(text).problems, key=lambda problem: problem.line)
        return [f"{problem.line} {problem.path}: {problem.message}" for problem in found]

    return problems


Problems = Callable[[str], list[str]]


def test_a_whole_file_is_read(read: Read, tmp_path: Path) -> None:
    config = read(
        "mode: shadow\nstate: deep/state\n"
        "plugins: [killswitch, policy, bots, quiet, throttle, signing]\n"
        "required: [killswitch, keys]\n"
        "grants: {throttle: [venues, store]}\n"
        "third_party: {acme-quiet: {plugins: [quiet], grants: [amend]}}\n"
        "accounts:\n"
        "  main: {venue: binance, key: 'env:K', secret: 'env:S', allow: [read]}\n"
        "  test: {venue: binance, base_url: 'http://127.0.0.1:8080'}\n"
        "kernel: {timeout_s: 5}\n"
        "throttle: {anything: 1}\n"
    )
    assert config.problems == ()
    assert config.names == (
        *("venues", "encryption", "storage", "keys", "transport"),
        *("killswitch", "policy", "quiet", "throttle", "signing"),
    )
    assert config.settings.mode is Mode.SHADOW
    assert config.settings.state_dir == tmp_path / "deep/state"
    assert config.settings.limits == KernelLimits(timeout_s=5.0)
    assert config.settings.ports == {
        "venues": "venues", "keys": "keys",
        "vault": "encryption", "store": "storage", "sealed": "storage",
        "transport": "transport",
    }  # fmt: skip
    assert config.settings.accounts["main"].allow == (Operation.READ,)
    assert config.granted("throttle") == {"venues", "store"}
    assert config.granted("quiet") == {"amend"}
    assert config.granted("signing") == {"sign", "keys", "venues", "store", "transport"}
    assert config.granted("killswitch") == {"store", "emergency", "venues"}
    assert all(type(grant) is str for grant in config.granted("throttle"))
    assert config.distribution("quiet") == "acme-quiet"
    assert config.distribution("signing") is None


def test_keys_with_nothing_behind_them_count_as_absent(read: Read) -> None:
    config = read(LIST + "required:\naccounts:\nkernel:\nmode:\nthrottle:\n")
    assert config.problems == ()
    assert config.mode is Mode.ENFORCE
    assert config.accounts == {}


def test_an_entry_of_grants_replaces_what_is_given_by_default(read: Read) -> None:
    config = read(
        LIST.replace("bots", "quiet") + "grants: {throttle: [], quiet: [store]}\n"
        "third_party: {q: {plugins: [quiet], grants: [amend]}}\n"
    )
    assert config.problems == ()
    assert config.granted("throttle") == frozenset()
    assert config.granted("quiet") == {"store"}


@pytest.fixture
def _kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Built-ins of which one needs another, which needs a third."""
    for module in ("builtins", "config"):
        monkeypatch.setattr(
            f"hauberk.{module}.BUILTINS",
            {
                **{name: one for name, one in BUILTINS.items() if name != "killswitch"},
                "keys": Builtin("x:X"),
                "policy": Builtin("x:X"),
                "killswitch": Builtin("x:X", ("sealed",)),
                "storing": Builtin("x:X", ("vault",)),
                "sealing": Builtin("x:X"),
            },
        )
        monkeypatch.setattr(
            f"hauberk.{module}.DEFAULT_PORTS",
            {"venues": "venues", "keys": "keys", "vault": "sealing", "store": "storing",
             "sealed": "storing"},
        )  # fmt: skip


@pytest.mark.usefixtures("_kept")
def test_a_provider_that_keeps_something_is_loaded_only_for_those_who_need_it(read: Read) -> None:
    needed = read("plugins: [killswitch, policy]\n")
    assert needed.names == ("venues", "keys", "sealing", "storing", "killswitch", "policy")
    assert needed.providers == {
        "venues": "venues", "keys": "keys", "vault": "sealing", "sealed": "storing"
    }  # fmt: skip
    without = read("plugins: [killswitch, policy]\ngrants: {killswitch: []}\n")
    assert without.names == ("venues", "keys", "killswitch", "policy")


@pytest.mark.usefixtures("_kept")
def test_what_a_named_provider_needs_is_loaded_with_it(read: Read) -> None:
    config = read("plugins: [killswitch]\ngrants: {killswitch: []}\nports: {store: storing}\n")
    assert config.providers["vault"] == "sealing"


def test_a_listed_provider_keeps_its_place_and_another_may_be_named(read: Read) -> None:
    config = read(
        "plugins: [killswitch, vault_keys, keys]\nports: {keys: vault_keys}\n"
        "third_party: {v: {plugins: [vault_keys]}}\n"
    )
    assert config.problems == ()
    assert config.names == (
        *("venues", "encryption", "storage"), *("killswitch", "vault_keys", "keys"),
    )  # fmt: skip
    assert config.providers["keys"] == "vault_keys"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1 : missing key 'plugins'"),
        ("plugins:\n", "1 : missing key 'plugins'"),
        (LIST + "mode: enforced", "2 mode: 'enforced' is not one of enforce, shadow; did you"),
        (
            LIST + "modes: enforce",
            "2 modes: unknown key 'modes': no setting and no plugin; did you",
        ),
        (
            LIST + "throtle: {}",
            "2 throtle: unknown key 'throtle': no setting and no plugin; did yo",
        ),
        (LIST + "logs: {}", "2 logs: section of 'logs', which is not listed in plugins"),
        (LIST + "state: 5", "2 state: expected a path, not 5"),
        (
            "plugins:\n  - killswitch\n  - polcy\n",
            "3 plugins.1: 'polcy' is no built-in and of no distribution in third_party; did you",
        ),
        (
            "plugins: [killswitch, gateway]",
            "1 plugins.1: 'gateway' is a reserved name, and no plugin",
        ),
        (LIST + "required: [polic]", "2 required.0: 'polic' is neither listed in plugins nor prov"),
        (LIST + "required: [bots]", "2 required.0: 'bots' is neither listed in plugins nor"),
        (LIST + "grants: {logs: []}", "2 grants.logs: 'logs' is neither listed in plugins nor"),
        (LIST + "grants: {policy: [sing]}", "2 grants.policy.0: 'sing' is not one of amend, sign"),
        (LIST + "ports: {kyes: keys}", "2 ports.kyes: 'kyes' is no port; did you mean 'keys'?"),
        (LIST + "ports: {store: nope}", "2 ports.store: 'nope' is no built-in and of no distr"),
        (LIST + "ports: {store: bots}", "2 ports.store: 'bots' is a reserved name, and no plugin"),
        (
            LIST + "third_party:\n  acme: {plugins: [signing]}",
            "3 third_party.acme.plugins.0: 'signing' is a reserved name: third parties may not",
        ),
        (
            LIST + "third_party: {acme: {plugins: [kernel]}}",
            "2 third_party.acme.plugins.0: 'kernel' is a reserved name",
        ),
        (
            LIST + "third_party: {acme: {plugins: [accounts]}}",
            "2 third_party.acme.plugins.0: 'accounts' is a reserved name",
        ),
        (
            LIST + "third_party: {acme: {plugins: [A-b]}}",
            "2 third_party.acme.plugins.0: 'A-b' is no name: a-z, 0-9 and _",
        ),
        (
            LIST + "third_party:\n  a: {plugins: [x]}\n  b: {plugins: [x]}",
            "4 third_party.b.plugins.0: 'x' is claimed by a too",
        ),
        (
            LIST + "third_party:\n  a-b: {plugins: [x]}\n  A_B: {plugins: [y]}",
            "4 third_party.A_B: is the same distribution as 'a-b'",
        ),
        (
            LIST + "third_party: {'../evil': {plugins: [x]}}",
            "2 third_party.'../evil': '../evil' is no name of a distribution",
        ),
        (LIST + "accounts: {'a b': {venue: x}}", "2 accounts.'a b': 'a b' is no name"),
        (LIST + "accounts: {a: {venu: x, venue: x}}", "2 accounts.a.venu: unknown key 'venu'; did"),
        (LIST + "accounts:\n  a:\n", "3 accounts.a: missing key 'venue'"),
        (
            LIST + "accounts:\n  a:\n    venue: x\n    signer: sining",
            "5 accounts.a.signer: signer 'sining' is not listed in plugins; did you",
        ),
        (
            LIST + "accounts: {a: {venue: x, signer: policy}}",
            "2 accounts.a.signer: signer 'policy' lacks the grant 'sign'",
        ),
        (
            "plugins: [killswitch]\naccounts: {a: {venue: x}}",
            "2 accounts.a.signer: signer 'signing' is not listed in plugins",
        ),
        (
            LIST + "accounts: {a: {venue: x, allow: [read, trad]}}",
            "2 accounts.a.allow.1: 'trad' is not one of read, trade, cancel, transfer, withdraw, "
            "admin; did you mean 'trade'?",
        ),
        (
            LIST + "accounts: {a: {venue: x, allow: [{}]}}",
            "2 accounts.a.allow.0: expected one of read, trade, cancel, transfer, withdraw, admin",
        ),
        (
            LIST + "accounts: {a: {venue: x, allow: [read, unknown]}}",
            "2 accounts.a.allow.1: 'unknown' is not an account's to be allowed",
        ),
        *(
            (
                LIST + f"accounts: {{a: {{venue: x, allow: [read, {operation}]}}}}",
                f"2 accounts.a.allow.1: '{operation}' is not an account's to be allowed: read, "
                "trade, cancel, transfer, withdraw, admin are",
            )
            for operation in ("public", "reduce")
        ),
        (LIST + "kernel: {timeout_s: 0}", "2 kernel.timeout_s: 'timeout_s' must be > 0: 0.0"),
        (LIST + "kernel: {timeout: 5}", "2 kernel.timeout: unknown key 'timeout'; did you mean"),
        (
            LIST + "grants:\n  policy: [authenticate]\n  throttle: [venues, authenticate]",
            "4 grants.throttle: 'throttle' and 'policy' both have the grant 'authenticate': one",
        ),
        (
            "plugins: [killswitch, a, b]\n"
            "third_party:\n  x: {plugins: [a, b], grants: [authenticate]}",
            "3 third_party.x.grants: 'b' and 'a' both have the grant 'authenticate': one may",
        ),
    ],
)
def test_each_mistake_is_one_problem_with_its_line(
    problems: Problems, text: str, message: str
) -> None:
    found = problems(text)
    assert len(found) == 1, found
    assert found[0].startswith(message)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com",
        "https://api.example.com:8443",
        "http://127.0.0.1:80",
        "http://localhost:1",
        "http://[::1]:8080",
    ],
)
def test_a_base_url_is_https_or_on_loopback(problems: Problems, url: str) -> None:
    assert problems(LIST + f"accounts: {{a: {{venue: x, base_url: '{url}'}}}}") == []


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://0.0.0.0",
        "https://user:password@example.com",
        "https://example.com/",
        "https://example.com/path",
        "https://example.com?q=1",
        "https://example.com#f",
        "https://example.com:0",
        "https://example.com:99999",
        "https://exa mple.com",
        "https://",
        "ftp://127.0.0.1",
        "example.com",
        "https://example.com\\n",
    ],
)
def test_any_other_base_url_is_refused_without_repeating_it(problems: Problems, url: str) -> None:
    [found] = problems(LIST + f'accounts: {{a: {{venue: x, base_url: "{url}"}}}}')
    assert found.startswith("2 accounts.a.base_url: must be https")
    assert "password" not in found


def test_every_problem_of_a_broken_file_is_listed_in_one_go(problems: Problems) -> None:
    assert [line.split(":")[0] for line in problems(
        "mode: shadoww\n"
        "plugins: [killswitch, throttl, signing, signing, 5]\n"
        "required: [polcy]\n"
        "mode: enforce\n"
        "accounts:\n"
        "  a: {venu: x, base_url: 'http://x.y', signer: nobody, secret: 5}\n"
        "  b: !vault {venue: x}\n"
        "third_party: {q: {plugins: [quiet], grants: [amnd]}}\n"
        "polic: 1\n"
    )] == [
        "1 mode",
        "2 plugins.4",
        "2 plugins.1",
        "3 required.0",
        "4 mode",
        "6 accounts.a",
        "6 accounts.a.secret",
        "6 accounts.a.venu",
        "6 accounts.a.signer",
        "6 accounts.a.base_url",
        "7 accounts.b",
        "8 third_party.q.grants.0",
        "9 polic",
    ]  # fmt: skip


def test_a_file_that_cannot_be_read_at_all_is_raised_at_once(read: Read, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_config(tmp_path / "none.yml")
    with pytest.raises(ConfigError, match=r"hauberk\.yml:2: is not YAML"):
        read("plugins: [\n")


def test_grants_and_tables_agree_with_the_kernel() -> None:
    assert {str(grant) for grant in Grant} == registry.GRANTS
    assert set(DEFAULT_PORTS) <= set(PORTS)
    assert set(DEFAULT_PORTS.values()) <= set(BUILTINS)
    assert all(set(builtin.grants) <= registry.GRANTS for builtin in BUILTINS.values())
    assert set(BUILTINS) <= RESERVED
    # A plugin's section bears its name, which must therefore not be a setting's.
    assert not RESERVED & set(attrs.fields_dict(ConfigFile)) - {"kernel"}
