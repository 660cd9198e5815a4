"""`dagsched import KIND PATH`: another program's files as a job file, a verdict for every line, and the proof.

Exit code 0 when everything was carried over (differences that are told count as carried), 1 when something was not or
`--verify` found fire times that differ without a reason.
"""

from __future__ import annotations

import argparse
import os
import pwd
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from dagsched.cli.output import note, print_json, printable
from dagsched.cli.parser import Parser, add_json
from dagsched.cli.systemd_analyze import Opinion, second_opinion
from dagsched.clock import SystemClock
from dagsched.config import render
from dagsched.counting import counted
from dagsched.errors import UsageError

if TYPE_CHECKING:
    from dagsched.importers import Difference, Imported, Verdict

STDIN = Path("-")
WORDS = {"same": "same", "differs": "differs because", "dropped": "not carried over because"}


def arguments(parser: Parser) -> None:
    parser.add_argument("kind", metavar="KIND", choices=tuple(KINDS), help=f"what PATH is: {', '.join(KINDS)}")
    parser.add_argument("path", metavar="PATH", type=Path, help="a file or a folder of them; - is a crontab on stdin")
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="write the job file there (default: print it)"
    )
    parser.add_argument("--force", action="store_true", help="replace FILE if it is there already")
    parser.add_argument("--verify", action="store_true", help="compare all fire times of the coming year, old and new")
    parser.add_argument("--timezone", metavar="ZONE", help="the zone of the old machine (default: this machine's)")
    parser.add_argument("--user", metavar="NAME", help="the account a user crontab or user units belong to")
    parser.add_argument("--system", action="store_true", help="crontab: a sixth field names the account")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    from dagsched.importers import checked, compare

    if args.output is not None and args.output.exists() and not args.force:
        raise UsageError(f"{args.output} is there already and stays as it is; --force replaces it")
    if args.path == STDIN and args.kind != "crontab":
        raise UsageError(f"only a crontab can come on standard input; name the file or folder of {args.kind}")
    zone = args.timezone or host_zone()
    _check_zone(zone)
    now = SystemClock().now().replace(second=0, microsecond=0)
    imported = KINDS[args.kind](args, zone)
    target = (args.output or Path("jobs.yaml")).absolute()
    text, loaded = checked(imported, str(target), now)
    if loaded.config is None:
        raise UsageError("nothing was written: " + render(loaded.problems, "human"))
    rows = compare(imported.drafts, loaded.config, now, now + timedelta(days=365)) if args.verify else []
    expressions = [each for draft in imported.drafts for each in draft.expressions]
    opinion = second_opinion(expressions, now) if args.verify else None
    if args.output is not None:
        args.output.write_text(text, encoding="utf-8")
    _show(args, imported, text, rows, opinion)
    lost = any(verdict.kind == "dropped" for verdict in imported.verdicts)
    differs = not all(row.is_zero for row in rows) or (opinion is not None and bool(opinion.differ))
    return 1 if lost or differs else 0


def host_zone() -> str:
    """Return this machine's zone by name: $TZ, else where /etc/localtime leads, else UTC."""
    if named := os.environ.get("TZ", "").lstrip(":"):
        return named
    target = os.path.realpath("/etc/localtime")
    _, found, name = target.partition("/zoneinfo/")
    name = name.removeprefix("posix/").removeprefix("right/")
    return name if found and name not in ("Etc/UTC", "UCT", "Etc/UCT", "Universal", "Zulu") else "UTC"


def _check_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise UsageError(f"there is no time zone {name!r}; name one with --timezone, such as Europe/Berlin") from None


# ---------------------------------------------------------------- reading


def files_of(path: Path, accepts: Callable[[Path], bool] = lambda _: True) -> list[Path]:
    """Return the file, or the files of a folder by name; raises UsageError for what is not there."""
    if path == STDIN:
        return [path]
    try:
        if path.is_dir():
            return sorted(each for each in path.iterdir() if (each.is_file() or each.is_symlink()) and accepts(each))
        path.stat()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from None
    return [path]


def read_text(path: Path) -> tuple[str, str]:
    """Return a file's text and a remark on it; raises NotText with one sentence, whatever is wrong with the file."""
    from dagsched.importers.places import SIZE_MAX, NotText, text_of

    try:
        if path == STDIN:
            return text_of(sys.stdin.buffer.read(SIZE_MAX + 1))
        if not path.is_file():
            raise NotText("it is no file" if path.exists() else "there is no such file")
        with path.open("rb") as file:
            return text_of(file.read(SIZE_MAX + 1))
    except OSError as error:
        raise NotText(error.strerror or str(error)) from None


def readable(paths: Sequence[Path], imported: Imported, is_alone: bool) -> Iterator[tuple[Path, str]]:
    """Yield paths and texts; a file that cannot be read is a verdict, or the end if it is the one that was named."""
    from dagsched.importers import Verdict
    from dagsched.importers.places import NotText

    for path in paths:
        try:
            text, remark = read_text(path)
        except NotText as error:
            if is_alone:
                raise UsageError(f"{path} cannot be imported: {error}") from None
            imported.verdicts.append(Verdict(str(path), 0, "", "dropped", f"the file cannot be read: {error}"))
            continue
        if remark:
            imported.verdicts.append(Verdict(str(path), 0, "", "differs", remark))
        yield path, text


def home_of(account: str) -> str | None:
    """Return an account's home; "" is the account that asks."""
    try:
        return pwd.getpwnam(account).pw_dir if account else pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return None


def _crontab(args: argparse.Namespace, zone: str) -> Imported:
    from dagsched.importers.crontab import DEFAULTS, SURROUNDINGS
    from dagsched.importers.crontab_kinds import ignored_name, kind_of, read_any
    from dagsched.importers.draft import Imported, Verdict

    imported = Imported(zone, dict(DEFAULTS))
    paths, is_folder = files_of(args.path), args.path.is_dir()
    for path, text in readable(paths, imported, not is_folder):
        if is_folder and (why := ignored_name(path.name)):
            imported.verdicts.append(Verdict(str(path), 0, "", "dropped", why))
            continue
        kind = "system" if args.system else kind_of(path.absolute().parts, text, is_account)
        owner = args.user or (path.name if path.absolute().parent.name == "crontabs" else None)
        prefix = path.name if is_folder else ""
        imported.take(read_any(kind, text, file=str(path), timezone=zone, homes=home_of, user=owner, prefix=prefix))
    if imported.drafts:
        imported.verdicts.append(Verdict(str(args.path), 0, "what cron gives every line", "differs", SURROUNDINGS))
    return imported


def is_account(name: str) -> bool:
    """Whether this machine has an account of that name."""
    return home_of(name) is not None if name else False


def _systemd(args: argparse.Namespace, zone: str) -> Imported:
    from dagsched.importers.draft import Imported, Verdict
    from dagsched.importers.systemd import read_units

    problems = Imported()
    if args.path.is_dir():
        paths = [each for pattern in ("*.timer", "*.service", "*.d/*.conf") for each in sorted(args.path.glob(pattern))]
    else:
        paths = files_of(args.path)
        paths += [each for each in (args.path.with_suffix(".service"),) if each != args.path and each.exists()]
    for path in [each for each in paths if os.path.realpath(each) == os.devnull]:
        paths.remove(path)
        problems.verdicts.append(Verdict(str(path), 0, path.name, "same", "it is masked, so nothing starts it"))
    texts = {str(path): text for path, text in readable(paths, problems, not args.path.is_dir())}
    files_of(args.path)
    imported = read_units(texts, zone, args.user or "", (home_of(args.user) or "") if args.user else "")
    imported.verdicts = problems.verdicts + imported.verdicts
    return imported


def _dagu(args: argparse.Namespace, zone: str) -> Imported:
    from dagsched.importers.dagu import read_dags
    from dagsched.importers.draft import Imported

    problems, is_folder = Imported(), args.path.is_dir()
    paths = files_of(args.path, lambda path: path.suffix in (".yaml", ".yml"))
    texts = {str(path.absolute()): text for path, text in readable(paths, problems, not is_folder)}
    imported = read_dags(texts, zone, os.path.isfile)
    imported.verdicts = problems.verdicts + imported.verdicts
    return imported


KINDS: Mapping[str, Callable[[argparse.Namespace, str], Imported]] = {
    "crontab": _crontab,
    "systemd": _systemd,
    "dagu": _dagu,
}

# ---------------------------------------------------------------- showing


def _show(
    args: argparse.Namespace, imported: Imported, text: str, rows: Sequence[Difference], opinion: Opinion | None
) -> None:
    counts = Counter(verdict.kind for verdict in imported.verdicts)
    if args.json:
        document: dict[str, Any] = {
            "jobs": [draft.id for draft in imported.drafts],
            "counts": {kind: counts[kind] for kind in WORDS},
            "verdicts": [verdict._asdict() for verdict in imported.verdicts],
            "output": str(args.output) if args.output else None,
            "text": text,
        }
        if args.verify:
            document["verify"] = [_row(row) for row in rows]
            document["systemd_analyze"] = opinion._asdict() if opinion else None
        print_json(document)
        return
    # The job file alone goes to stdout when nobody named a file, so that it can be piped into one.
    out = sys.stdout if args.output is not None else sys.stderr
    if args.output is None:
        sys.stdout.write(text)
        sys.stdout.flush()
    for line in _report(imported, counts):
        print(line, file=out)
    for line in [*_compared(rows), *_agreed(opinion)]:
        print(line, file=out)
    if args.output is not None:
        note(f"next: dagsched validate {args.output}, then dagsched next --file {args.output}")


def _report(imported: Imported, counts: Counter[str]) -> Iterator[str]:
    for _, alike in groupby(imported.verdicts, key=lambda each: (each.file, each.kind, each.why, each.job)):
        yield from _lines(list(alike))
    differ = counted(counts["differs"], "differs", "differ")
    told = f"{counts['same']} same, {differ}, {counts['dropped']} not carried over"
    yield f"{counted(len(imported.drafts), 'job')} in {imported.timezone}: {told}"


def _lines(alike: Sequence[Verdict]) -> Iterator[str]:
    """Yield what became of lines that follow each other and are told the same."""
    verdict, texts = alike[0], [printable(each.text) for each in alike]
    places = _ranges([each.line for each in alike])
    goal = f" -> {verdict.job}" if verdict.job else ""
    if len(texts) > 1:
        # What a setting is set to does not matter where all are told the same.
        keys = [re.sub(r"[=:].*", "", text, flags=re.DOTALL) if re.match(r"\w+[=:]", text) else text for text in texts]
        texts = keys if len(set(keys)) == len(keys) else texts
    shown, left = texts[:1], texts[1:]
    while left and sum(map(len, shown)) + len(left[0]) < 100:
        shown.append(left.pop(0))
    more = f" and {len(left)} more" if left else ""
    yield f"{verdict.file}{f':{places}' if places else ''}: {', '.join(shown)}{more}{goal}"
    if verdict.kind == "same":
        yield f"    same{f': {printable(verdict.why)}' if verdict.why else ''}"
    else:
        yield f"    {WORDS[verdict.kind]} {printable(verdict.why)}"


def _ranges(lines: Sequence[int]) -> str:
    """Return line numbers as `3`, `3-5` or `3,7-9`; those of whole files are 0 and left out."""
    found: list[list[int]] = []
    for line in filter(None, lines):
        if found and line == found[-1][1] + 1:
            found[-1][1] = line
        else:
            found.append([line, line])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in found)


def _row(row: Difference) -> dict[str, Any]:
    return {
        "job": row.job,
        "old": row.old,
        "new": row.new,
        "missing": [_at(tick) for tick in row.missing],
        "extra": [_at(tick) for tick in row.extra],
        "explained": [{"tick": _at(tick), "why": why} for tick, why in row.explained],
        "unverifiable": row.unverifiable or None,
    }


def _at(tick: datetime) -> str:
    return f"{tick:%Y-%m-%dT%H:%M:%SZ}"


def _compared(rows: Sequence[Difference]) -> Iterator[str]:
    """Yield a line for each job that has times of its own, and one for each reason why the others have none."""
    yield from (_sentence(row) for row in rows if not row.unverifiable)
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row.unverifiable:
            reasons.setdefault(row.unverifiable, []).append(row.job)
    for why, jobs in reasons.items():
        names = ", ".join(jobs[:5]) + (f" and {len(jobs) - 5} more" if len(jobs) > 5 else "")
        yield f"verify {names}: nothing to compare, {why}"


def _agreed(opinion: Opinion | None) -> Iterator[str]:
    if opinion is not None and not opinion.differ:
        asked = counted(opinion.expressions, "OnCalendar expression")
        yield f"systemd-analyze agrees on the next {opinion.times} times of {asked}"
    elif opinion is not None:
        yield from opinion.differ


def _sentence(row: Difference) -> str:
    words = [f"verify {row.job}: {row.old} old, {row.new} new"]
    if row.is_zero:
        words.append("difference zero" if not row.explained else f"difference explained ({len(row.explained)})")
    for name, ticks in (("only old", row.missing), ("only new", row.extra)):
        if ticks:
            words.append(f"{len(ticks)} {name}, first " + ", ".join(_at(tick) for tick in ticks[:3]))
    reasons: dict[str, list[datetime]] = {}
    for tick, why in row.explained:
        reasons.setdefault(why, []).append(tick)
    words += [f"{why}: {_times(ticks)}" for why, ticks in list(reasons.items())[:5]]
    return "; ".join(words)


def _times(ticks: Sequence[datetime]) -> str:
    return _at(ticks[0]) if len(ticks) == 1 else f"{len(ticks)} times, first {_at(ticks[0])}"
