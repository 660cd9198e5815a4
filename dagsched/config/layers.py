"""What a job says together with the templates it extends: who lies above whom, and what a key of two layers comes to.

`extends: [first, second]` lays the first lowest, the second above it and the job on top; what a template extends lies
below it. A template that is reached twice counts once, where it is reached first. A key of a layer replaces that of the
layers below; mappings of MERGED are merged key by key; `null` takes an inherited key away.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Protocol

from dagsched.config.explain import short
from dagsched.config.grammar import is_template
from dagsched.config.reader import Document
from dagsched.config.report import where
from dagsched.config.shelf import Noted, Template
from dagsched.config.woven import Items, Refused, Said, Weave

MERGED = frozenset({"retry", "env", "dst", "params", "with", "secrets", "values"})
TEMPLATES_MAX = 100  # below one job
DEPTH_MAX = 20


class Tell(Protocol):
    """Reports a problem about what is said; about its key, which is `key`, when that is given."""

    def __call__(self, code: str, said: Said, message: str, why: str, fix: str, *, key: str = "") -> None: ...


Guess = Callable[[str, Collection[str]], str | None]
"""Return the nearest of the known names, if one is near."""


class Layers:
    """Lays the jobs of one file on their templates. `refused`: its own templates that have not the right form."""

    def __init__(
        self, document: Document, weave: Weave, shelf: Noted, refused: frozenset[str], tell: Tell, guess: Guess
    ) -> None:
        self.used: set[Template] = set()
        self._document, self._weave, self._shelf, self._refused = document, weave, shelf, refused
        self._tell, self._guess = tell, guess
        self._laid: dict[tuple[str, ...], Items | None] = {}
        self._templates: dict[Template, Items] = {}

    def of_job(self, own: Items) -> Items:
        """Return what the job says with its templates, `extends` left out; raises Refused."""
        names = list(self._names(own))
        key = tuple(said.value for said in names)
        if key not in self._laid:
            self._laid[key] = None  # for whoever comes after a refusal, which is told once
            self._laid[key] = self._all(self._in_order(self._document, names))
        below = self._laid[key]
        if below is None:
            raise Refused
        return laid(self._weave, below, {name: said for name, said in own.items() if name != "extends"})

    def of_template(self, name: str) -> Items:
        """Return what a template of this file says with those it extends; raises Refused."""
        return self._all(self._with_below(Template(self._document, name), (), []))

    def _all(self, order: list[Template]) -> Items:
        found: Items = {}
        for template in order:
            found = laid(self._weave, found, self._said_by(template))
        return {name: said for name, said in found.items() if name != "extends"}

    def _names(self, said: Items) -> Iterator[Said]:
        extends = said.get("extends")
        if extends is None:
            return
        if isinstance(extends.value, list):
            yield from self._weave.listed(extends.value)
        else:
            yield extends

    def _in_order(self, asker: Document, names: list[Said]) -> list[Template]:
        order: list[Template] = []
        for said in names:
            self._with_below(self._meant(asker, said), (), order, said)
        return order

    def _with_below(
        self, template: Template, above: tuple[Template, ...], order: list[Template], at: Said | None = None
    ) -> list[Template]:
        """Add the template behind those it extends, unless it is there already; `above`: those that led here."""
        self.used.add(template)
        if template in order:
            return order
        if template in above:
            self._circle(template, above, at)
            raise Refused
        if len(above) == DEPTH_MAX or len(order) == TEMPLATES_MAX:
            assert at is not None, "only the first has no place"
            self._tell(
                "E412",
                at,
                "the job rests on too many templates",
                f"at most {TEMPLATES_MAX} lie below a job, each extending the next at most {DEPTH_MAX} times",
                "put what they say into fewer",
            )
            raise Refused
        if template.document is self._document and template.name in self._refused:
            raise Refused
        for said in self._names(self._said_by(template)):
            self._with_below(self._meant(template.document, said), (*above, template), order, said)
        order.append(template)
        return order

    def _said_by(self, template: Template) -> Items:
        said = self._templates.get(template)
        if said is None:
            value = template.document.data["templates"][template.name]
            if not is_template(value):
                raise Refused  # told where that file is looked at
            said = self._templates[template] = self._weave.items(value, template.document)
        return said

    def _meant(self, asker: Document, said: Said) -> Template:
        """Return the template that a file means by that name; raises Refused."""
        name = said.value
        found = self._shelf.find(asker, name)
        if found is None:
            raise Refused  # it may stand in a file that cannot be read, which is told
        if len(found) == 1:
            return Template(found[0], name)
        if found:
            places = " and ".join(where(document, ("templates", name)) for document in found)
            self._tell(
                "E413",
                said,
                f"several files have a template '{short(name)}'",
                f"there is one at {places}, and none in this file that would come first",
                "rename all but one",
            )
            raise Refused
        meant = self._guess(name, self._shelf.names())
        fix = f"did you mean '{meant}'?" if meant else "declare it, or load the file that declares it as well"
        self._tell(
            "E401",
            said,
            f"unknown template '{short(name)}'",
            "a template is declared under templates: of this file, or of another one that is loaded with it",
            fix,
        )
        raise Refused

    def _circle(self, template: Template, above: tuple[Template, ...], at: Said | None) -> None:
        assert at is not None, "only the first has no place"
        names = [each.name for each in above[above.index(template) :]]
        self._tell(
            "E402",
            at,
            f"the templates extend each other in a circle: {' -> '.join([*names, template.name])}",
            "what they say would have no end",
            "remove one of these extends",
        )


def laid(weave: Weave, below: Items, above: Items) -> Items:
    """Return what the two layers come to."""
    found = dict(below)
    for key in _displaced(below, above):
        found.pop(key, None)
    for key, said in above.items():
        known = found.get(key)
        if known is None:
            found[key] = said
        elif said.value is None:
            del found[key]
        elif key in MERGED:
            found[key] = said._replace(value=_merged(weave, key, known, said))
        else:
            found[key] = said
    return found


def _displaced(below: Items, above: Items) -> tuple[str, ...]:
    """Return what has no meaning any longer: the other way to do the work, and the settings of another handler."""
    if "run" in above and "handler" not in above:
        return ("handler", "with")
    if "handler" in above and "run" not in above:
        is_same = "handler" in below and below["handler"].value == above["handler"].value
        return ("run",) if is_same else ("run", "with")
    return ()


def _merged(weave: Weave, key: str, below: Said, above: Said) -> Any:
    inner = [_inner(weave, key, said) for said in (below, above)]
    if inner[0] is None or inner[1] is None:
        return above.value
    found = {**inner[0], **inner[1]}
    gone = [name for name, said in inner[1].items() if said.value is None and name in inner[0]]
    for name in gone:
        del found[name]
    return weave.mapping(found)


def _inner(weave: Weave, key: str, said: Said) -> Mapping[str, Said] | None:
    if isinstance(said.value, dict):
        return weave.items(said.value)
    if key == "retry" and isinstance(said.value, int):
        return {"max_attempts": said}
    return None
