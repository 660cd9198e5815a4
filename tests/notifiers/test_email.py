"""Mail over a real SMTP server."""

from __future__ import annotations

from importlib import import_module

import pytest

from dagsched.errors import NotifierError
from tests.notifiers.receivers import CERTIFICATE, Mailbox, smtp
from tests.notifiers.samples import FAILURE, deliver

# Before a server has a thread of its own: Python 3.11 fails now and then where pytest, which rewrites what it imports,
# reads a module beside another thread (https://github.com/python/cpython/issues/106905).
import_module("dagsched.notifiers.email")


def spec_of(port: int, **server):
    return {
        "type": "email", "to": ["team@example.com", "boss@example.com"], "from": "dagsched@example.com",
        "smtp": {"host": "127.0.0.1", "port": port, "tls": "none", **server},
    }  # fmt: skip


def test_mail_arrives_as_plain_text_for_all():
    mailbox = Mailbox()
    with smtp(mailbox) as port:
        deliver(spec_of(port))
    [(mail, recipients, is_encrypted)] = mailbox.mails
    assert mail["Subject"] == f"[dagsched] {FAILURE.title}"
    assert (mail["From"], mail["To"]) == ("dagsched@example.com", "team@example.com, boss@example.com")
    assert (mail["Message-ID"], mail["Auto-Submitted"]) == ("<msg_1@example.com>", "auto-generated")
    assert FAILURE.text in mail.get_content().replace("\r\n", "\n")
    assert (recipients, is_encrypted) == (("team@example.com", "boss@example.com"), False)


def test_letters_of_all_languages_arrive():
    mailbox = Mailbox()
    with smtp(mailbox) as port:
        deliver(spec_of(port), message=FAILURE._replace(title="Größe ≠ 0", text="ошибка"))
    [(mail, _, _)] = mailbox.mails
    assert mail["Subject"] == "[dagsched] Größe ≠ 0"
    assert "ошибка" in mail.get_content()


def test_an_account_is_used_over_starttls_alone():
    mailbox = Mailbox()
    account = {"user": "dagsched", "password": {"env": "P"}, "tls": "starttls", "ca": str(CERTIFICATE)}
    with smtp(mailbox, starttls=True, password="s3cret") as port:
        deliver(spec_of(port, **account), {"P": "s3cret"})
        with pytest.raises(NotifierError, match="535") as caught:
            deliver(spec_of(port, **account), {"P": "wrong-one"})
    assert caught.value.is_final
    assert "wrong-one" not in str(caught.value)
    [(_, _, is_encrypted)] = mailbox.mails
    assert is_encrypted


def test_a_certificate_that_nobody_vouches_for_is_refused():
    mailbox = Mailbox()
    with smtp(mailbox, starttls=True) as port, pytest.raises(NotifierError, match="verify failed") as caught:
        deliver(spec_of(port, tls="starttls"))
    assert not caught.value.is_final
    assert mailbox.mails == []


def test_a_server_without_starttls_gets_nothing_in_the_open():
    mailbox = Mailbox()
    with smtp(mailbox) as port, pytest.raises(NotifierError):
        deliver(spec_of(port, tls="starttls"))
    assert mailbox.mails == []


@pytest.mark.parametrize(("reply", "is_final"), [("451 later", False), ("554 never", True)])
def test_a_servers_no_is_for_now_or_for_good(reply, is_final):
    with smtp(Mailbox(reply=reply)) as port, pytest.raises(NotifierError, match=reply[:3]) as caught:
        deliver(spec_of(port))
    assert caught.value.is_final == is_final


def test_one_refused_recipient_is_told_and_the_others_have_it():
    mailbox = Mailbox(frozenset({"boss@example.com"}))
    with smtp(mailbox) as port, pytest.raises(NotifierError, match=r"refused for boss@example\.com") as caught:
        deliver(spec_of(port))
    assert caught.value.is_final
    assert mailbox.mails[0][1] == ("team@example.com",)


def test_no_server_may_be_there_later():
    with smtp(Mailbox()) as port:
        pass
    with pytest.raises(NotifierError) as caught:
        deliver(spec_of(port))
    assert not caught.value.is_final
