"""What the engine says of a run, on a page: instants as times that a browser can put in its zone, runs as links."""

from __future__ import annotations

import re
from datetime import datetime
from urllib.parse import quote

from markupsafe import Markup, escape

from dagsched.model import parse_instant
from dagsched.web.words import instant, moment, stamp

_INSTANT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?Z"
_NAMED = re.compile(
    rf"\bjob:(?P<job>[A-Za-z0-9_][A-Za-z0-9_.-]*):(?P<tick>{_INSTANT})|(?<![\w:.-])(?P<at>{_INSTANT})\b"
)


def told(text: str, now: datetime, root: str) -> Markup:
    """Return the words as HTML; `root`: what leads from this page to the front page.

    Nothing is read from them that decides anything: what looks like an instant is shown as one.
    """
    found, end = Markup(""), 0
    for match in _NAMED.finditer(text):
        found += escape(text[end : match.start()]) + _shown(match, now, root)
        end = match.end()
    return found + escape(text[end:])


def _shown(match: re.Match[str], now: datetime, root: str) -> Markup:
    try:
        at = parse_instant(match["tick"] or match["at"])
    except ValueError:  # the 31st of February, in somebody's own words
        return escape(match[0])
    time = Markup('<time datetime="{}" title="{}">{}</time>')
    if match["job"] is None:
        # It stands beside times of the job's own zone: a window's, say.
        return time.format(instant(at), stamp(at), f"{moment(at, now)} UTC")
    shown = time.format(instant(at), stamp(at), moment(at, now))
    return Markup('<a href="{}runs/{}">{} {}</a>').format(root, quote(match[0], safe=":"), match["job"], shown)
