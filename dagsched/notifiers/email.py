"""`type: email`: plain-text mail over SMTP, encrypted unless the file says `tls: none`."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

import aiosmtplib

from dagsched.errors import NotifierError
from dagsched.model import parse_instant
from dagsched.notifiers.message import Message
from dagsched.notifiers.secret import text_of

PORTS = {"starttls": 587, "tls": 465, "none": 25}


async def send(message: Message, spec: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    """Hand the mail to the server; raises NotifierError when it does not take it for all recipients."""
    smtp = spec["smtp"]
    tls = smtp.get("tls", "starttls")
    account: dict[str, Any] = {}
    if "user" in smtp:
        account = {"username": smtp["user"], "password": text_of(smtp["password"], spec, environ)}
    try:
        refused, _ = await aiosmtplib.send(
            mail_of(message, spec),
            sender=spec["from"],
            recipients=list(spec["to"]),
            hostname=smtp["host"],
            port=smtp.get("port", PORTS[tls]),
            use_tls=tls == "tls",
            start_tls=tls == "starttls",
            tls_context=None if tls == "none" else _trust(spec),
            timeout=None,
            **account,
        )
    except aiosmtplib.SMTPRecipientsRefused as error:
        is_final = all(each.code >= 500 for each in error.recipients)
        raise NotifierError("all recipients were refused: " + _first(error.recipients), is_final) from None
    except aiosmtplib.SMTPResponseException as error:
        raise NotifierError(f"{error.code} {error.message}", is_final=error.code >= 500) from None
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        raise NotifierError(f"{smtp['host']}: {type(error).__name__}: {error}") from None
    if refused:
        # The others have it: another try would tell them twice.
        names = ", ".join(sorted(refused))
        raise NotifierError(f"taken for the others, refused for {names}", is_final=True)


def mail_of(message: Message, spec: Mapping[str, Any]) -> EmailMessage:
    """Return the mail; its Message-ID is the same at each try."""
    mail = EmailMessage()
    mail["Subject"] = f"[dagsched] {message.title}"
    mail["From"] = spec["from"]
    mail["To"] = ", ".join(spec["to"])
    mail["Date"] = format_datetime(parse_instant(message.time))
    mail["Message-ID"] = f"<{message.id}@{spec['from'].rpartition('@')[2]}>"
    # Nobody's holiday answer is wanted (RFC 3834).
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Dagsched-Kind"] = message.kind
    mail.set_content(f"{message.title}\n\n{message.text}\n\n-- \n{message.source}\n")
    return mail


def _first(recipients: Any) -> str:
    each = recipients[0]
    return f"{each.recipient}: {each.code} {each.message}"


def _trust(spec: Mapping[str, Any]) -> ssl.SSLContext:
    ca = spec["smtp"].get("ca")
    path = os.path.join(spec.get("folder", ""), ca) if ca else None
    try:
        return ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise NotifierError(f"the certificates in {path} cannot be used: {error}") from None
