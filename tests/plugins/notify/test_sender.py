"""A message leaves through apprise, or it is said why not; and nothing holds the attempt up."""

from __future__ import annotations

import gc
import logging
import sys
import threading
import time
from pathlib import Path

import pytest
from notify_servers import MailServer, Misbehaving, Webhook

from hauberk.records import Severity
from hauberk.secret import Secret
from hauberk_plugins.notify.courier import reason
from hauberk_plugins.notify.sender import INSTALL, Checked, CourierFailed, CourierSender
from hauberk_plugins.notify.templates import Message

MESSAGE = Message("Hauberk HIGH: keys were used from elsewhere", "<b>one</b>\ntwo", Severity.HIGH)
LONG_S = 30.0


def test_a_webhook_gets_it(webhook: Webhook) -> None:
    assert CourierSender().send(Secret(webhook.url()), MESSAGE, LONG_S) == ""
    got = webhook.take()
    assert got["title"] == MESSAGE.title
    assert got["message"] == MESSAGE.body


def test_a_mail_server_gets_it_with_what_looks_like_markup_shown_as_it_is(mail: MailServer) -> None:
    assert CourierSender().send(Secret(mail.url()), MESSAGE, LONG_S) == ""
    got = mail.take()
    assert got["subject"] == MESSAGE.title
    assert got["to"] == "ops@example.com"
    shown = got.get_body(("html", "plain"))
    assert shown is not None
    text = shown.get_content()
    assert "<b>one</b>" not in text or got.get_content_type() == "text/plain"


def test_whoever_misbehaves_is_given_up_at_the_deadline(misbehaving: Misbehaving) -> None:
    is_waited_for = misbehaving.how in ("hangs", "drips")
    began = time.monotonic()
    url = Secret(misbehaving.url())
    why = CourierSender().send(url, MESSAGE, 1.0 if is_waited_for else LONG_S)
    took = time.monotonic() - began
    expected = {
        "hangs": "no answer by the deadline, after 1 s",
        "drips": "no answer by the deadline, after 1 s",
        "resets": "the connection broke off",
        "refuses": "the connection was refused",
    }
    assert why == expected[misbehaving.how]
    assert took < 20  # far more than the deadline: this machine may be busy


def test_what_the_server_answers_is_said_by_its_number(webhook: Webhook, mail: MailServer) -> None:
    webhook.status = 503
    assert CourierSender().send(Secret(webhook.url()), MESSAGE, LONG_S) == "the server answered 503"
    mail.refuses = "535 wrong password hunter2"
    assert CourierSender().send(Secret(mail.url()), MESSAGE, LONG_S) == "the server answered 535"


@pytest.mark.parametrize("status", [200, 404])
def test_nothing_of_the_url_gets_into_a_log_an_answer_or_an_argument(
    webhook: Webhook, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    webhook.status = status
    with caplog.at_level(logging.DEBUG):
        why = CourierSender().send(Secret(webhook.url("hunter2")), MESSAGE, LONG_S)
    assert webhook.paths == ["/hunter2"]
    assert "hunter2" not in caplog.text + why


def script(folder: Path, *lines: str) -> str:
    """Something that is started in place of an interpreter."""
    path = folder / "python"
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o700)
    return str(path)


def test_the_process_is_shown_nothing_of_the_bots_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BINANCE_SECRET", "hunter2")
    python = script(tmp_path, f"env > {tmp_path}/seen", "cat > /dev/null", 'echo \'{"why": ""}\'')
    assert CourierSender(python=python).send(Secret("json://x"), MESSAGE, LONG_S) == ""
    seen = (tmp_path / "seen").read_text()
    assert "PATH=" in seen
    assert "hunter2" not in seen


def test_a_process_that_does_not_end_is_killed_at_the_deadline(tmp_path: Path) -> None:
    python = script(tmp_path, "exec sleep 120")
    began = time.monotonic()
    why = CourierSender(python=python).send(Secret("json://x"), MESSAGE, 0.1)
    assert why == "no answer by the deadline, after 0.1 s"
    assert time.monotonic() - began < 60


def test_an_end_ends_what_is_under_way() -> None:
    with Misbehaving("hangs") as server:
        sender = CourierSender()
        said: list[str] = []
        url = Secret(server.url())
        thread = threading.Thread(target=lambda: said.append(sender.send(url, MESSAGE, LONG_S)))
        thread.start()
        assert server.asked.wait(LONG_S)
        sender.stop()
        thread.join(LONG_S)
        assert said == ["the process that sends ended without an answer"]
        assert sender.send(url, MESSAGE, LONG_S) == "it was stopped"


def test_urls_are_looked_at_without_sending(webhook: Webhook) -> None:
    urls = map(
        Secret, [webhook.url(), "mailot://u:p@host", "twilio://nonsense", "MAILTO://a:b@c.de"]
    )
    assert CourierSender().check(list(urls), LONG_S) == [
        Checked(True, True),
        Checked(False, False, "mailto"),
        Checked(True, False),
        Checked(True, True),
    ]
    assert webhook.paths == []


def test_a_module_beside_the_bot_does_not_stand_in_for_one_of_the_interpreters(
    webhook: Webhook, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "queue.py").write_text("raise SystemExit('not this one')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend("")
    assert CourierSender().send(Secret(webhook.url()), MESSAGE, LONG_S) == ""


def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python"
    python.symlink_to(Path(sys.executable).resolve())  # not that of an environment
    monkeypatch.setattr("sys.path", [])
    sender = CourierSender(python=str(python))
    assert sender.send(Secret("json://127.0.0.1/x"), MESSAGE, LONG_S) == INSTALL
    with pytest.raises(CourierFailed, match="hauberk\\[notify\\]"):
        sender.check([Secret("json://127.0.0.1/x")], LONG_S)


def test_an_interpreter_that_is_none_is_told() -> None:
    url = Secret("json://127.0.0.1/x")
    assert "no process can be started" in CourierSender(python="/nowhere").send(url, MESSAGE, 1)
    assert "ended without an answer" in CourierSender(python="/bin/false").send(url, MESSAGE, 5)
    assert "ended without an answer" in CourierSender(python="/bin/echo").send(url, MESSAGE, 5)
    gc.collect()  # a pipe left open would warn here


def test_a_reason_is_made_of_fixed_words() -> None:
    lines = ["Failed to send to +15551234567 token hunter2, error=401.", "refused"]
    assert reason(lines) == "the server answered 401"
    assert reason(["hunter2"]) == "apprise could not send it, and does not say why"
