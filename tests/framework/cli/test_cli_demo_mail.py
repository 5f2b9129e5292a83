"""The demo's mail server receives what `smtplib`, of another hand, sends."""

import smtplib
from email.message import EmailMessage
from urllib.parse import urlsplit

import pytest

from hauberk.cli.demo_mail import Mailbox


@pytest.fixture
def mailbox():
    with Mailbox() as mailbox:
        yield mailbox


def client(mailbox):
    return smtplib.SMTP("127.0.0.1", urlsplit(mailbox.url).port, timeout=30)


def mail(subject, text="text\r\n"):
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "a@demo.example", "b@demo.example", subject
    made.set_content(text)
    return made


def test_mails_arrive_in_order_whatever_is_in_them(mailbox):
    with client(mailbox) as sender:
        sender.send_message(mail("first", "one\r\n.\r\n..two\r\n"))
        sender.send_message(mail("Süß," + " long" * 40))
    assert mailbox.subjects == ("first", "Süß," + " long" * 40)


def test_somebody_may_wait_for_mail_and_does_not_wait_in_vain(mailbox):
    assert not mailbox.wait_for(bool, 0)
    with client(mailbox) as sender:
        sender.send_message(mail("here"))
    assert mailbox.wait_for(bool, 30)


def test_what_it_does_not_know_it_refuses(mailbox):
    with client(mailbox) as sender:
        assert sender.docmd("VRFY", "anybody")[0] == 502


def test_nothing_listens_afterwards():
    with Mailbox() as mailbox:
        pass
    with pytest.raises(OSError, match="refused"):
        client(mailbox)
