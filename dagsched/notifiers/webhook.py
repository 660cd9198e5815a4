"""`type: webhook`: the message as a CloudEvent, signed as https://www.standardwebhooks.com/ says.

`webhook-id` is the message's id and the same at each try, so a receiver can drop what it has had. The signature is
over `ID.TIMESTAMP.BODY`, so neither an old message nor a changed one passes for a new one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

from dagsched.errors import NotifierError
from dagsched.notifiers.message import Message
from dagsched.notifiers.posting import post
from dagsched.notifiers.secret import text_of

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
PREFIX = "whsec_"


async def send(message: Message, spec: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    """POST the message; raises NotifierError."""
    body = json.dumps(message.cloud_event(), ensure_ascii=False).encode()
    headers = {name: text_of(value, spec, environ) for name, value in spec.get("headers", {}).items()}
    headers |= {"Content-Type": CONTENT_TYPE, "webhook-id": message.id, "webhook-timestamp": str(int(time.time()))}
    if "secret" in spec:
        secret = text_of(spec["secret"], spec, environ)
        headers["webhook-signature"] = signature(secret, message.id, headers["webhook-timestamp"], body)
    url = text_of(spec["url"], spec, environ)
    await post(url, body, headers, allow_private=spec.get("allow_private", False))


def signature(secret: str, id: str, timestamp: str, body: bytes) -> str:
    """Return the `webhook-signature`; a secret that begins with `whsec_` is base64, any other is taken as it is.

    Raises NotifierError when it is said to be base64 and is not.
    """
    key = secret.encode()
    if secret.startswith(PREFIX):
        try:
            key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        except (binascii.Error, ValueError):
            raise NotifierError("the secret begins with whsec_ and what follows is no base64", is_final=True) from None
    signed = hmac.new(key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"
