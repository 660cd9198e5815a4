"""*Plan*: what an edit of the job files would change, before it is applied: `dagsched plan` as a page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from dagsched.api.access import Role
from dagsched.api.answers import Turned
from dagsched.api.table import Query
from dagsched.config import rows
from dagsched.errors import ConfigInvalid
from dagsched.views.aside import planned
from dagsched.views.planning import NEW_NAME, in_place_of, in_place_of_all, own_files
from dagsched.web.forms import field
from dagsched.web.table import Look, Page

DAYS = ("1", "7", "31")
TEXT_BYTES_MAX = 1 << 20
ALL = "all"
ROWS_MAX = 300


async def data(look: Look) -> Mapping[str, Any]:
    """Return the form, and, when it was sent, what would change."""
    version, _ = await look.force()
    files = dict(version.files) if version is not None else {}
    own = own_files(files)
    may_plan = look.caller.role is not None and look.caller.role >= Role.OPERATOR
    shown = {
        "files": [(name, PurePath(name).name) for name in own],
        "days_known": DAYS,
        "days": DAYS[1],
        "chosen": own[0] if own else ALL,
        "text": "",
        "found": None,
        "may_plan": may_plan,
        "kilobytes_max": TEXT_BYTES_MAX // 1024,
        "all": ALL,
        "new": NEW_NAME,
    }
    if look.body is None:
        return {**shown, **_begun(look, files, own, may_plan)}
    if not may_plan:
        raise Turned(403, "forbidden", "a plan takes the role operator")
    text, chosen, days = (field(look.body, name) for name in ("text", "in_place_of", "days"))
    text = text.replace("\r\n", "\n")  # as forms are sent
    if len(text.encode(errors="replace")) > TEXT_BYTES_MAX:
        raise Turned(413, "too-large", f"a text has at most {TEXT_BYTES_MAX} bytes")
    if days not in DAYS:
        raise Turned(400, "malformed", f"'days' is one of {', '.join(DAYS)}")
    if not text.strip():
        return {**shown, "days": days, "chosen": chosen}
    texts = _texts(look, files, own, chosen, text)
    return {
        **shown,
        "days": days,
        "chosen": chosen,
        "text": text,
        "found": await _found(look, texts, int(days)),
    }


def _begun(look: Look, files: Mapping[str, str], own: list[str], may_plan: bool) -> Mapping[str, str]:
    """Return the file that is to be edited, as it is in force."""
    name = look.query["file"]
    if name is None:
        return {}
    if not may_plan:
        raise Turned(403, "forbidden", "the texts of job files take the role operator")
    if name not in own:
        raise Turned(404, "not-found", f"the configuration in force has no file {name[:200]!r}")
    return {"text": files[name], "chosen": name}


def _texts(look: Look, files: Mapping[str, str], own: list[str], chosen: str, text: str) -> dict[str, str]:
    """Return all the files with the text among them; the files of registered jobs stay in any case."""
    if chosen == ALL or not own:
        return in_place_of_all(look.desk.home, files, text)
    if chosen not in (*own, NEW_NAME):
        raise Turned(400, "malformed", "'in_place_of' is a file of the configuration in force")
    return in_place_of(look.desk.home, files, chosen, text)


async def _found(look: Look, texts: Mapping[str, str], days: int) -> Mapping[str, Any]:
    """Return the words of the plan, or the problems of texts that would be rejected; long tables are cut."""
    try:
        found = await planned(look.desk.home, texts, days)
    except ConfigInvalid as error:
        told = zip(rows(error.problems), error.problems, strict=True)
        return {"problems": [{**row, "excerpt": problem.excerpt} for row, problem in told][:ROWS_MAX]}
    sections = [
        {**each, "rows": each["rows"][:ROWS_MAX], "more": max(0, len(each["rows"]) - ROWS_MAX)}
        for each in found["words"]["sections"]
    ]
    return {**found["words"], "sections": sections, "problems": found["problems"][:ROWS_MAX]}


PAGE = Page(
    "/plan",
    "Plan",
    "plan.html",
    data,
    in_menu=True,
    takes_form=True,
    form_bytes_max=4 * TEXT_BYTES_MAX,
    query=[Query("file", "text", "A file of the configuration in force to begin with.")],
)
