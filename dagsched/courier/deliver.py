"""One try of one message, and when the next one is due."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from dagsched.errors import NotifierError
from dagsched.handlers.secrets import hidden_variables
from dagsched.model import Config
from dagsched.notifiers import Message, send
from dagsched.stores.notices import Notices, Waiting

log = logging.getLogger("dagsched.courier")

PAUSES = tuple(timedelta(seconds=seconds) for seconds in (5, 30, 120, 600, 1800, 3600, 7200))
"""The waits between tries; a message that is not delivered at the one after the last is a dead letter."""


async def deliver(
    waiting: Waiting, config: Config, notices: Notices, environ: Mapping[str, str], now: Callable[[], datetime]
) -> None:
    """Try to deliver, and write down what became of it; raises StoreError alone."""
    spec = config.notifiers.get(waiting.notifier)
    if spec is None:
        notices.failed(waiting, now(), "no notifier of this name is declared any more")
        return
    message = Message.from_json(waiting.body)
    try:
        await send(message, spec, environ, hidden_variables(config))
    except NotifierError as error:
        _put_off(waiting, message, error, notices, now())
    except Exception as error:  # a library's surprise must not keep the others from being told
        log.exception("the notifier %s failed in a way that nobody foresaw", waiting.notifier)
        _put_off(waiting, message, NotifierError(f"{type(error).__name__}"), notices, now())
    else:
        notices.delivered(waiting, now())


def _put_off(waiting: Waiting, message: Message, error: NotifierError, notices: Notices, now: datetime) -> None:
    pause = next_pause(waiting.tries + 1, error)
    if pause is None:
        log.error("%s was not told %r: %s", waiting.notifier, message.title, error)
        notices.failed(waiting, now, str(error))
    else:
        notices.postponed(waiting, now + pause, str(error))


def next_pause(tries: int, error: NotifierError) -> timedelta | None:
    """Return how long to wait after that many tries, the receiver's own wish included; None when that was the last."""
    if error.is_final or tries > len(PAUSES):
        return None
    return max(PAUSES[tries - 1], timedelta(seconds=error.retry_after_s or 0))
