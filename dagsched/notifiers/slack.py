"""`type: slack`: an incoming webhook of Slack, and of what understands the same (Mattermost, Rocket.Chat, Zulip…)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dagsched.notifiers.message import Message
from dagsched.notifiers.posting import post
from dagsched.notifiers.secret import text_of

TEXT_CHARACTERS_MAX = 3000
_SIGNS = {"failure": ":red_circle:", "late": ":hourglass:", "config_rejected": ":warning:"}


async def send(message: Message, spec: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    """POST the message as text; raises NotifierError."""
    body = json.dumps({"text": text_of_message(message)}, ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json; charset=utf-8"}
    url = text_of(spec["url"], spec, environ)
    await post(url, body, headers, allow_private=spec.get("allow_private", False))


def text_of_message(message: Message) -> str:
    """Return the message in Slack's mark-up; words of jobs cannot mention anybody or link anywhere."""
    sign = _SIGNS.get(message.kind, ":large_green_circle:")
    text = f"{sign} *{_escaped(message.title)}*\n{_escaped(message.text)}"
    return text if len(text) <= TEXT_CHARACTERS_MAX else text[: TEXT_CHARACTERS_MAX - 1] + "…"


def _escaped(text: str) -> str:
    # https://docs.slack.dev/messaging/formatting-message-text#escaping
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
