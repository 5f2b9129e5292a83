"""What is typed: routes are tried, what waits is shown and sent, URLs are kept unseen."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
from notify_servers import MailServer, Webhook
from ruamel.yaml import YAML
from tests.ran import Ran

import hauberk
from hauberk.cli.main import main

Run = Callable[..., Ran]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `hauberk init` makes; not to be changed."""
    folder = tmp_path_factory.mktemp("made") / "bot"
    assert main(["init", str(folder)]) == 0
    return folder


@pytest.fixture
def config(made: Path, tmp_path: Path) -> Path:
    """A configuration with two routes, whose URLs are in the environment and in the vault."""
    shutil.copytree(made, tmp_path / "bot")
    path = tmp_path / "bot" / "hauberk.yml"
    yaml = YAML()
    document = yaml.load(path)
    document["plugins"].append("notify")
    document["grants"]["notify"] = ["store", "sealed", "record"]
    document["notify"] = {
        "routes": [
            {"name": "pager", "to": "env:PAGER_URL", "severity": "high"},
            {"name": "mail", "to": "vault:mail"},
        ]
    }
    yaml.dump(document, path)
    return path


@pytest.fixture
def run(config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    def typed(*words: str, stdin: str = "") -> Ran:
        capsys.readouterr()
        monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(stdin.encode())))
        status = main([*words, "--config", str(config)])
        return Ran(status, *capsys.readouterr())

    return typed


@pytest.fixture
def routes(run: Run, webhook: Webhook, mail: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both routes lead to servers that work."""
    monkeypatch.setenv("PAGER_URL", webhook.url())
    assert run("notify", "put", "mail", stdin=mail.url() + "\n").status == 0


def test_each_route_is_tried_and_told_that_nothing_has_happened(
    run: Run, routes: None, webhook: Webhook, mail: MailServer
) -> None:
    ran = run("notify", "test", "--json")
    assert ran.status == 0
    assert [(one["route"], one["sent"], one["why"]) for one in ran.document["routes"]] == [
        ("pager", True, ""),
        ("mail", True, ""),
    ]
    assert webhook.take()["title"] == "Hauberk test: nothing has happened"
    assert mail.take()["subject"] == "Hauberk test: nothing has happened"


def test_one_that_fails_is_an_exit_of_1_with_its_reason(
    run: Run, routes: None, webhook: Webhook, mail: MailServer
) -> None:
    webhook.status = 500
    ran = run("notify", "test")
    assert ran.status == 1
    rows = {line.split()[0]: line for line in ran.out.splitlines() if line.strip()}
    assert "FAILED" in rows["pager"]
    assert "the server answered 500" in rows["pager"]
    assert "sent" in rows["mail"]
    assert run("notify", "test", "--route", "mail").status == 0
    ran = run("notify", "test", "--route", "pagr")
    assert ran.status == 2
    assert "did you mean 'pager'?" in ran.err


def test_a_route_without_a_url_fails_alone(
    run: Run, routes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PAGER_URL")
    ran = run("notify", "test", "--json")
    assert ran.status == 1
    assert [one["sent"] for one in ran.document["routes"]] == [False, True]
    assert "is not set" in ran.document["routes"][0]["why"]


def test_what_was_not_sent_is_listed_and_sent_when_asked(
    run: Run, routes: None, webhook: Webhook, mail: MailServer, config: Path
) -> None:
    webhook.status = 503
    with hauberk.open(config) as guard:
        guard.report("keys are gone", hauberk.Severity.CRITICAL)
    mail.take()
    (entry,) = run("notify", "outbox", "--json").document["entries"]
    assert (entry["route"], entry["severity"], entry["attempts"]) == ("pager", "CRITICAL", 1)
    assert entry["why"] == "the server answered 503"
    assert "Hauberk CRITICAL: keys are gone" in run("notify", "outbox").out
    ran = run("notify", "retry", entry["id"])
    assert ran.status == 1
    assert "the server answered 503" in ran.out
    webhook.status = 200
    ran = run("notify", "retry", entry["id"], "--json")
    assert ran.status == 0
    assert ran.document["routes"][0]["sent"] is True
    assert webhook.take()["title"] == "Hauberk CRITICAL: keys are gone"
    assert "nothing waits" in run("notify", "outbox").out
    assert run("notify", "retry", entry["id"]).status == 2


def test_what_was_given_up_is_listed_and_sent_when_asked(
    run: Run, routes: None, webhook: Webhook, mail: MailServer, config: Path
) -> None:
    config.write_text(config.read_text() + "  expires_h: 0.0000001\n")
    webhook.status, mail.refuses = 503, "535 no"
    with hauberk.open(config) as guard:
        guard.report("keys are gone", hauberk.Severity.CRITICAL)
    dead = run("notify", "outbox", "--dead", "--json").document["entries"]
    assert sorted(one["route"] for one in dead) == ["mail", "pager"]
    assert run("notify", "outbox", "--json").document["entries"] == []
    assert "2 messages could not be sent" in run("doctor").out
    webhook.status, mail.refuses = 200, ""
    assert run("notify", "retry", "--all").status == 0
    assert webhook.take()["title"] == mail.take()["subject"] == "Hauberk CRITICAL: keys are gone"
    assert "nothing was given up" in run("notify", "outbox", "--dead").out
    assert "nothing was given up" in run("notify", "retry", "--all").out


def test_retry_wants_one_or_all(run: Run) -> None:
    assert run("notify", "retry").status == 2
    assert run("notify", "retry", "abc", "--all").status == 2


def test_a_url_is_kept_sealed_and_shown_by_nothing(run: Run, config: Path) -> None:
    url = "json://127.0.0.1:1/hunter2"
    ran = run("notify", "put", "mail", stdin=url)
    assert ran.status == 0
    ran = run("notify", "put", "mail", "--json", stdin=url + "\n")
    assert ran.document == {"name": "mail", "version": 2}
    again = run("notify", "test", "--route", "mail")
    kept = b"".join(path.read_bytes() for path in config.parent.rglob("*") if path.is_file())
    assert b"hunter2" not in kept
    assert "hunter2" not in ran.out + ran.err + again.out + again.err
    ran = run("notify", "put", "mail", stdin="hunter2")
    assert ran.status == 2
    assert "hunter2" not in ran.err


def test_a_url_may_stand_sealed_in_the_configuration(
    run: Run, routes: None, mail: MailServer, config: Path
) -> None:
    ran = run("config", "set", "notify.routes.1.to", "--sealed", stdin=mail.url())
    assert ran.status == 0, ran.err
    assert "!sealed" in config.read_text()
    assert run("notify", "test", "--route", "mail").status == 0


def test_what_is_wrong_in_the_configuration_is_told_with_its_line(run: Run, config: Path) -> None:
    text = config.read_text().replace("severity: high", "severity: hihg")
    config.write_text(text.replace("vault:mail", "volt:mail").replace("name: mail", "name: pager"))
    ran = run("config", "check")
    assert ran.status == 2
    for told in (
        "notify.routes.0.severity: 'hihg' is not one of low, medium, high, critical; did you mean",
        "notify.routes.1.to: 'volt' is no place for a URL; did you mean 'vault'?",
        "notify.routes.1.name: route 0 is called so too",
    ):
        assert told in ran.err


def test_doctor_looks_at_each_route(
    run: Run, routes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAGER_URL", "mailot://a:b@c")
    ran = run("doctor", "--json")
    checks = {one["what"]: one for one in ran.document["checks"]}
    assert checks["route mail"]["status"] == "ok"
    assert checks["route pager"]["status"] == "fail"
    assert "did you mean 'mailto'?" in checks["route pager"]["found"]


def test_without_routes_it_says_so(run: Run, config: Path) -> None:
    text = config.read_text()
    config.write_text(text[: text.index("notify:\n  routes")] + "notify: {routes: []}\n")
    assert "add some under `notify.routes`" in run("notify", "test").err
    assert "no routes: nobody is told" in run("doctor").out
