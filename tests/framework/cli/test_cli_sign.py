"""`hauberk sign`: the bytes that are sent, or who objects and why."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

VECTORS = [
    vector
    for vector in json.loads(
        (Path(__file__).parents[2] / "vectors/exchange.json").read_text("utf-8")
    )
    if vector["exchange"] == "binance"
]
BASE = "https://api.binance.com"
ORDER = f"{BASE}/api/v3/order"
ACCOUNT = f"{BASE}/api/v3/account"
PARAMS = [
    *("symbol=LTCBTC", "side=BUY", "type=LIMIT"),
    *("timeInForce=GTC", "quantity=1", "price=0.1"),
]


@pytest.fixture
def sign(hauberk, config):
    """Sign with the bot's configuration."""
    return lambda *words: hauberk("sign", "--config", config, *words)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["source"])
def test_binances_published_examples_come_out_to_the_byte(tmp_path, vector):
    hauberk = [sys.executable, "-m", "hauberk.cli"]
    environ = {**os.environ, "BINANCE_KEY": "k", "BINANCE_SECRET": vector["secret"]}
    subprocess.run([*hauberk, "init", tmp_path / "bot"], check=True, capture_output=True)
    names = [pair.split("=")[0] for pair in vector["payload"].split("&")[:-1]]
    told = {**dict(pair.split("=") for pair in PARAMS), "recvWindow": "5000"}
    told |= vector.get("params", {})
    ran = subprocess.run(
        [
            *(*hauberk, "sign", "--venue", "binance", "--account", "main", "POST", ORDER),
            *(f"{name}={told[name]}" for name in names),
            *("--at", "1499827319559", "--json"),
        ],
        env={**environ, "HAUBERK_CONFIG": str(tmp_path / "bot" / "hauberk.yml")},
        capture_output=True,
        check=True,
    )
    document = json.loads(ran.stdout)
    assert list(document) == ["method", "url", "headers", "body"]
    assert document["method"] == "POST"
    query = document["url"].partition("?")[2]
    assert query + document["body"] == f"{vector['payload']}&signature={vector['signature']}"
    assert document["url"].partition("?")[0] == ORDER
    assert document["headers"]["X-MBX-APIKEY"] == "k"
    assert vector["secret"] not in (ran.stdout + ran.stderr).decode()


def test_a_person_reads_the_request_as_it_goes_over_the_wire(sign, keys):
    lines = sign("POST", ORDER, *PARAMS, "--at", "1").out.splitlines()
    assert lines[0] == f"POST {ORDER}"
    assert any(line.startswith("X-MBX-APIKEY: ") for line in lines)
    assert lines[-2] == ""
    assert lines[-1].startswith("symbol=LTCBTC&side=BUY&")


def test_the_method_may_be_typed_small(sign, keys):
    assert sign("get", ACCOUNT, "--json").document["method"] == "GET"


def test_without_a_time_it_signs_for_now(sign, keys, monkeypatch):
    monkeypatch.setattr("hauberk.clock.SystemClock.wall_ns", staticmethod(lambda: 42_000_000))
    assert "timestamp=42&" in sign("GET", ACCOUNT, "--json").document["url"]


def test_at_the_first_and_the_last_millisecond(sign, keys):
    for at in ("0", "253402300799999"):
        assert f"timestamp={at}&" in sign("GET", ACCOUNT, "--at", at, "--json").document["url"]


@pytest.mark.parametrize("at", ["noon", "-1", "1.5", "", "1e12", "253402300800000", "9" * 5000])
def test_a_time_that_is_none_is_a_usage_error(sign, keys, at):
    ran = sign("GET", ACCOUNT, f"--at={at}", "--json")
    assert ran.status == 2
    assert "--at" in ran.document["message"]


def test_a_value_may_hold_equals_signs_be_empty_or_be_any_text(sign, keys):
    url = sign("GET", ACCOUNT, "a==b", "c=", "d=é \uff11&", "e=-1", "--json").document["url"]
    assert "?a=%3Db&c=&d=%C3%A9%20%EF%BC%91%26&e=-1&" in url


def test_parameters_stay_in_order_and_may_begin_with_a_dash(sign, keys):
    url = sign("GET", ACCOUNT, "--json", "--", "z=1", "--at=2", "a=3").document["url"]
    assert "?z=1&--at=2&a=3&" in url


@pytest.mark.parametrize("parameter", ["symbol", "=BTC", ""])
def test_a_parameter_that_is_none_is_a_usage_error_and_not_repeated(sign, keys, parameter):
    ran = sign("GET", ACCOUNT, "a=1", parameter, "--json")
    assert ran.status == 2
    assert ran.document["message"] == "parameter 2 is no NAME=VALUE"


def test_a_denial_is_a_document_that_says_who_and_why(sign, keys):
    ran = sign("POST", f"{BASE}/sapi/v1/capital/withdraw/apply", "coin=BTC", "--json")
    assert ran.status == 1
    assert ran.document["error"] == "Denied"
    assert ran.document["plugin"] == "policy"
    assert "withdraw" in ran.document["reason"]
    assert "hauberk: denied by policy: " in ran.err


@pytest.mark.parametrize(
    "url",
    [
        "https://api.binance.com.evil.example/api/v3/account",
        "http://api.binance.com/api/v3/account",
        f"{ACCOUNT}?a=1",
        f"{BASE}/api/v3/../v3/account",
        f"{BASE}//api/v3/account",
    ],
)
def test_a_url_that_is_not_the_venues_is_denied(sign, keys, url):
    ran = sign("GET", url, "--json")
    assert ran.status == 1
    assert ran.document["plugin"] == "kernel"


@pytest.mark.parametrize("words", [["GET", ""], ["GET", "é"], ["G T", ACCOUNT], ["", ACCOUNT]])
def test_what_cannot_be_a_request_is_a_usage_error(sign, keys, words):
    assert sign(*words, "--json").status == 2


def test_a_parameter_that_signing_adds_is_denied(sign, keys):
    ran = sign("GET", ACCOUNT, "signature=00", "--json")
    assert ran.status == 1
    assert ran.document["plugin"] == "signing"


def test_a_parameter_in_both_query_and_body_is_denied(sign, keys):
    ran = sign("POST", ORDER, "symbol=A", "--body", "symbol=B", "--json")
    assert ran.status == 1


def test_another_venue_than_the_accounts_is_a_usage_error(sign, keys):
    ran = sign("GET", ACCOUNT, "--venue", "kraken", "--json")
    assert ran.status == 2
    for part in ("'main'", "'binance'", "'kraken'", "hauberk.yml"):
        assert part in ran.document["message"]


def test_an_unknown_account_is_a_usage_error_that_names_those_there_are(sign, keys):
    ran = sign("GET", ACCOUNT, "--account", "savings", "--json")
    assert ran.status == 2
    assert "'savings'" in ran.document["message"]
    assert "main" in ran.document["message"]


def test_missing_credentials_say_which_of_whom_and_where(sign, config):
    ran = sign("GET", ACCOUNT, "--json")
    assert ran.status == 2
    assert ran.document["error"] == "CredentialsMissing"
    assert ran.document["account"] == "main"
    assert ran.document["reference"] == "env:BINANCE_KEY"
    assert ran.document["looked_in"] == ["the environment", str(config.parent / ".env")]
    assert "env:BINANCE_KEY" in ran.err


def test_a_dotenv_file_that_others_can_read_is_refused_with_the_chmod(sign, config):
    dotenv = config.parent / ".env"
    dotenv.write_text("BINANCE_KEY=k\nBINANCE_SECRET=s\n", "utf-8")
    dotenv.chmod(0o644)
    ran = sign("GET", ACCOUNT, "--json")
    assert ran.status == 2
    assert f"chmod 600 {dotenv}" in ran.err
    dotenv.chmod(0o600)
    assert sign("GET", ACCOUNT, "--json").status == 0


def test_a_public_endpoint_needs_no_key(sign):
    assert sign("GET", f"{BASE}/api/v3/time", "--json").document == {
        "method": "GET",
        "url": f"{BASE}/api/v3/time",
        "headers": {},
        "body": "",
    }


def test_a_broken_configuration_lists_everything_and_starts_nothing(sign, edit, keys, monkeypatch):
    def started(*_args, **_kwargs):
        raise AssertionError("a guard was made")

    monkeypatch.setattr("hauberk.opening.Guard", started)
    edit("mode: enforce", "mode: enforced")
    edit("    venue: binance", "    venu: binance")
    ran = sign("GET", ACCOUNT, "--json")
    assert ran.status == 2
    assert {p["path"] for p in ran.document["problems"]} >= {"mode", "accounts.main.venu"}


def test_in_shadow_mode_it_signs_what_would_be_denied_and_says_so(sign, edit, keys):
    edit("mode: enforce", "mode: shadow")
    ran = sign("POST", f"{BASE}/sapi/v1/capital/withdraw/apply", "coin=BTC", "--json")
    assert ran.status == 0
    assert "signature=" in ran.document["body"] + ran.document["url"]
    assert "shadow mode" in ran.err


def test_it_leaves_no_counts_and_no_handler_of_signals(sign, config, keys):
    import signal

    before = signal.getsignal(signal.SIGHUP)
    sign("GET", ACCOUNT)
    left = [path.name for path in (config.parent / "hauberk-state").iterdir()]
    assert "audit" in left  # what was signed is recorded
    assert not [name for name in left if "counts" in name]
    assert signal.getsignal(signal.SIGHUP) is before


def test_it_never_waits(sign, keys, third_party, monkeypatch):
    third_party("""\
        from hauberk.verdicts import Wait

        class Quiet(Base):
            @hookimpl
            def on_request(self, request):
                return Wait(0.25)
    """)
    monkeypatch.setattr("hauberk.clock.SystemClock.wait", None)  # which every wait calls
    ran = sign("GET", ACCOUNT, "--json")
    assert ran.status == 1
    assert ran.document["plugin"] == "quiet"
    assert "would have to wait 0.25 s" in ran.document["reason"]
    assert ran.document["retry_after"] == pytest.approx(0.25)
