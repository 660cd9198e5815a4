"""Skins over the verbs: how another process asks a running daemon to do something."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

    from dagsched.api.listening import Listening, Serving
    from dagsched.api.socket import ControlServer
    from dagsched.daemon import Daemon

CALLS = "calls.sock"


def control_door(daemon: Daemon) -> ControlServer:
    """Return the door that people at this machine use: the control socket in the state directory."""
    from dagsched.api.inbox import Inbox
    from dagsched.api.socket import ControlServer
    from dagsched.control import Control

    control = Control(daemon)
    inbox = Inbox(daemon.store, control.take_requests)
    return ControlServer(daemon.state_dir, control.do, inbox.start, watch=daemon.watch, closing=inbox.close)


def http_door(serving: Serving, tcp: socket.socket | None, say: Callable[[str], None]) -> Callable[[Daemon], Listening]:
    """Return what makes the door for HTTP: on `tcp`, a listening socket, or on the default port, and in the state."""
    from dagsched.api.listening import Listening

    return lambda daemon: Listening(daemon, serving, tcp, say)


def inbox_door(daemon: Daemon) -> ControlServer:
    """Return the door of a program that keeps people out: for workflows, and for what others leave in the store."""
    from dagsched.api.inbox import Inbox
    from dagsched.api.socket import ControlServer
    from dagsched.control import Control

    control = Control(daemon)
    inbox = Inbox(daemon.store, control.take_requests)
    return ControlServer(daemon.state_dir, control.do_call, inbox.start, CALLS, closing=inbox.close)


def calls_door(daemon: Daemon) -> ControlServer:
    """Return the door that workflows use where people have none: `run --once`."""
    from dagsched.api.socket import ControlServer
    from dagsched.control import Control

    async def opened() -> None:
        """Leave what is in the inbox to the next daemon."""

    return ControlServer(daemon.state_dir, Control(daemon).do_call, opened, CALLS)
