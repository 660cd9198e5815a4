"""Style sheet and scripts, held in memory: what is asked for by another name is not there.

Their path has a digest of them all, so a browser may keep them for ever and a new version is fetched at once.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

from dagsched.api.answers import Turned

KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
FOR_EVER = "public, max-age=31536000, immutable"


@cache
def contents() -> dict[str, bytes]:
    """Return name → content."""
    folder = files("dagsched.web") / "static"
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir(), key=lambda each: each.name)}


@cache
def digest() -> str:
    """Return what the current contents are called."""
    found = hashlib.sha256()
    for name, content in contents().items():
        found.update(name.encode() + content)
    return found.hexdigest()[:12]


async def serve(request: Request) -> Response:
    """Return one file; raises Turned."""
    name = request.path_params["name"]
    content = contents().get(name)
    if content is None:
        raise Turned(404, "not-found", "there is no such file")
    # An older page may ask for what has changed meanwhile; it gets what is there now, but not to keep.
    keep = FOR_EVER if request.path_params["digest"] == digest() else "no-store"
    return Response(content, 200, {"Cache-Control": keep}, KINDS[name[name.rindex(".") :]])
