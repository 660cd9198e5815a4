"""Templates and what they can call. Everything is escaped; there is no way around it but `Markup` made in code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined

from dagsched.counting import counted
from dagsched.web import shapes, words
from dagsched.web.telling import told


@cache
def environment() -> Environment:
    """Return the templates; made once, and each compiled at its first use."""
    found = Environment(
        loader=PackageLoader("dagsched.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    filters: Mapping[str, Callable[..., Any]] = {
        "moment": words.moment,
        "here": words.here,
        "stamp": words.stamp,
        "ago": words.ago,
        "ahead": words.ahead,
        "span": words.length,
        "size": words.size,
        "state_words": words.state_words,
        "instant": words.instant,
        "part": part,
        "noun": counted,
        "told": told,
    }
    found.filters.update(filters)
    found.filters["with_query"] = with_query
    found.globals |= {"outcomes": shapes.outcomes, "durations": shapes.durations}
    return found


def render(template: str, data: Mapping[str, Any]) -> str:
    """Return a template filled with data."""
    return environment().get_template(template).render(data)


def compile_all() -> None:
    """Make every template ready, so that no page is slower the first time."""
    found = environment()
    for name in found.list_templates():
        found.get_template(name)


def part(text: str) -> str:
    """Return a name as one part of a path. A colon is no danger behind a slash, and easier on the eye."""
    return quote(text, safe=":@")


def with_query(base: str, query: Mapping[str, Any], **changed: Any) -> str:
    """Return a link with these parameters, some of them changed; what is None, "" or [] is left out."""
    merged = {**query, **changed}
    pairs = [(name, value) for name, value in merged.items() if value not in (None, "", [])]
    text = urlencode(
        [(name, str(value)) if not isinstance(value, list) else (name, value) for name, value in pairs], True
    )
    return f"{base}?{text}" if text else base or "./"
