"""Telling systemd how the daemon is: the sd_notify(3) protocol, in so far as a service of `Type=notify` needs it.

Without NOTIFY_SOCKET in the environment everything here does nothing.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping


class Notifier:
    """The service manager's ear."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._watchdog_us = environ.get("WATCHDOG_USEC", "")
        self._watchdog_pid = environ.get("WATCHDOG_PID", str(os.getpid()))

    @property
    def watchdog_s(self) -> float | None:
        """Return how often a sign of life is due, in seconds: half of what the unit allows; None without a watchdog."""
        if not self._address or not self._watchdog_us.isdigit() or self._watchdog_pid != str(os.getpid()):
            return None
        return int(self._watchdog_us) / 2_000_000

    def ready(self, status: str) -> None:
        """Say that start-up, or a reload, is over."""
        self._send(f"READY=1\nSTATUS={status}")

    def reloading(self) -> None:
        """Say that a reload has begun."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Say that the end has begun."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Give the sign of life that the watchdog waits for."""
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """Set the line that `systemctl status` shows."""
        self._send(f"STATUS={text}")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        # An abstract socket is written with @ in the environment and begins with NUL in the address.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.sendto(message.encode(), address)
        except OSError:
            # The manager may be restarting, or no file can be opened now; neither must ever stop a job.
            return
