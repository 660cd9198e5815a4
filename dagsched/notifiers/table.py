"""Which types of notifiers there are."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from importlib import import_module
from typing import Any

from dagsched.config.lengths import parse_length
from dagsched.errors import NotifierError
from dagsched.notifiers.message import Message
from dagsched.notifiers.secret import masked

# Imported when used: who is told by a command loads no HTTP client.
TYPES = {
    "webhook": "dagsched.notifiers.webhook",
    "slack": "dagsched.notifiers.slack",
    "email": "dagsched.notifiers.email",
    "command": "dagsched.notifiers.command",
}
TIMEOUT = "15s"


async def send(
    message: Message, spec: Mapping[str, Any], environ: Mapping[str, str], hidden: Collection[str] = ()
) -> None:
    """Deliver one message once; `spec`: what the job file says of the notifier, `environ`: where its secrets may be.

    `hidden`: variables of `environ` that are secrets of somebody, which no command finds in its environment. Raises
    NotifierError, in whose words no secret of the notifier stands.
    """
    timeout_s = parse_length(spec.get("timeout", TIMEOUT)).total_seconds()
    try:
        async with asyncio.timeout(timeout_s):
            await import_module(TYPES[spec["type"]]).send(message, {**spec, "hidden": hidden}, environ)
    except TimeoutError:
        raise NotifierError(f"no answer within {timeout_s:g} s") from None
    except NotifierError as error:
        raise NotifierError(masked(str(error), spec, environ), error.is_final, error.retry_after_s) from None
