"""A proxy that serves another server's pages below a prefix, as people put one before it: it takes the prefix away."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


class _Proxy(BaseHTTPRequestHandler):
    prefix = ""
    target = ""

    def do_GET(self) -> None:
        if not self.path.startswith(self.prefix + "/"):
            self.send_error(404)
            return
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        connection = http.client.HTTPConnection(self.target, timeout=20)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        connection.request(self.command, self.path.removeprefix(self.prefix), body, headers)
        answer = connection.getresponse()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "date"):
                self.send_header(name, value)
        self.end_headers()
        try:
            while data := answer.read1():
                self.wfile.write(data)
                self.wfile.flush()
        except OSError:
            pass  # the browser left, or the stream was quiet for long
        finally:
            connection.close()

    do_POST = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Be quiet."""


@contextmanager
def proxied(url: str, prefix: str) -> Iterator[str]:
    """Serve `url` below a prefix on a port of its own; gives the address, without a slash at its end."""
    handler = type("Proxy", (_Proxy,), {"prefix": prefix, "target": urlsplit(url).netloc})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}{prefix}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
