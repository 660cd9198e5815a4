"""Skins over the verbs: how another process asks a running daemon to do something."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dagsched.api.socket import ControlServer
    from dagsched.daemon import Daemon


def control_door(daemon: Daemon) -> ControlServer:
    """Return the door that people at this machine use: the control socket in the state directory."""
    from dagsched.api.socket import ControlServer
    from dagsched.control import Control

    control = Control(daemon)
    return ControlServer(daemon.state_dir, control.do, opened=control.take_requests)


def calls_door(daemon: Daemon) -> ControlServer:
    """Return the door that workflows use where people have none: `run --once`, and a program that keeps them out."""
    from dagsched.api.socket import ControlServer
    from dagsched.control import Control

    async def opened() -> None:
        """Leave what is in the inbox to the next daemon."""

    return ControlServer(daemon.state_dir, Control(daemon).do_call, opened, "calls.sock")
