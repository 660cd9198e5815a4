"""Real receivers: an HTTP server that writes down what it gets, and an SMTP server."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

CERTIFICATE = Path(__file__).with_name("localhost.pem")


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Web:
    """An HTTP server; `answers`: (status, headers) of the next requests, 204 when they are used up."""

    url: str = ""
    requests: list[Request] = field(default_factory=list)
    answers: list[tuple[int, Mapping[str, str]]] = field(default_factory=list)
    came: threading.Condition = field(default_factory=threading.Condition)

    def until(self, count: int, timeout_s: float = 30.0) -> list[Request]:
        """Wait for that many requests and return all."""
        with self.came:
            assert self.came.wait_for(lambda: len(self.requests) >= count, timeout_s), self.requests
            return list(self.requests)


@contextmanager
def web() -> Iterator[Web]:
    """Serve on a port of this machine."""
    seen = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, headers = seen.answers.pop(0) if seen.answers else (204, {})
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()
            lower = {name.lower(): value for name, value in self.headers.items()}
            with seen.came:
                seen.requests.append(Request(self.command, self.path, lower, body))
                seen.came.notify_all()

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    seen.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Mailbox:
    """What an SMTP server took."""

    def __init__(self, refused: frozenset[str] = frozenset(), reply: str = "250 taken") -> None:
        self.mails: list[tuple[EmailMessage, tuple[str, ...], bool]] = []
        self.refused, self.reply = refused, reply

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address in self.refused:
            return "550 no such person"
        envelope.rcpt_tos.append(address)
        return "250 fine"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        if self.reply.startswith("250"):
            self.mails.append((mail, tuple(envelope.rcpt_tos), session.ssl is not None))
        return self.reply


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextmanager
def smtp(mailbox: Mailbox, *, starttls: bool = False, password: str = "") -> Iterator[int]:
    """Serve on a port of this machine and yield it; `password`: what the account `dagsched` must say."""
    context = None
    if starttls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)

    def is_known(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        good = LoginPassword(b"dagsched", password.encode())
        return AuthResult(success=isinstance(data, LoginPassword) and data == good, handled=False)

    options: dict[str, Any] = {"authenticator": is_known, "auth_required": True} if password else {}
    port = free_port()
    controller = Controller(
        mailbox,
        hostname="127.0.0.1",
        port=port,
        tls_context=context,
        require_starttls=starttls,
        **options,
    )
    controller.start()
    try:
        yield port
    finally:
        controller.stop()
        controller.loop.close()
