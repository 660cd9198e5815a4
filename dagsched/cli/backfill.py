"""`dagsched backfill JOB --from T --to T`: runs ticks of the past that never ran, after showing which.

It asks before it begins, or needs --yes where nobody can be asked. What is under way goes on without this command,
over restarts too: `--list` shows it, `--cancel ID` ends it.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from dagsched.cli.far import far, looking, url_of
from dagsched.cli.output import is_watched, note, print_json, print_rows, print_table
from dagsched.cli.parser import Parser, add_file, add_json, add_state_dir, add_url
from dagsched.cli.parser import count as whole_number
from dagsched.cli.places import state_dir
from dagsched.cli.reading import FOLLOW_S, reading
from dagsched.cli.remote import act, job_meant, left, report
from dagsched.cli.times import parse_moment, parse_since, wall
from dagsched.cli.trigger import read_params
from dagsched.clock import SystemClock
from dagsched.counting import counted
from dagsched.errors import Refused, Unknown, UsageError
from dagsched.model import Again, Backfill, BackfillState, Config, Job, cut_to_ms, format_instant
from dagsched.views.rows import backfill_row

if TYPE_CHECKING:
    from dagsched.backfill import Survey
    from dagsched.stores.contract import Store

_TITLES = ("id", "job", "from", "to", "order", "state", "done", "success", "failed", "skipped", "reason")
_DATE_LETTERS = 10
DAY = timedelta(days=1)
MILLISECOND = timedelta(milliseconds=1)


def arguments(parser: Parser) -> None:
    parser.add_argument("job", metavar="JOB", nargs="?", help="the job whose ticks are to be run")
    parser.add_argument("--from", dest="first", metavar="T", help="the first instant, in the job's time zone")
    parser.add_argument("--to", dest="last", metavar="T", default="now", help="the last one, included (default: now)")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--dry-run", action="store_true", help="show what would be run, and run nothing")
    how.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--order", choices=("oldest", "newest"), default="oldest", help="which ticks first")
    parser.add_argument(
        "--max-active", metavar="N", type=whole_number, default=1, help="ticks under way at a time (default: 1)"
    )
    parser.add_argument("--downstream", action="store_true", help="and the unscheduled jobs below it, at these ticks")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--rerun-failed", action="store_true", help="run again what ran and did not succeed, too")
    again.add_argument("--rerun-all", action="store_true", help="run again successes as well")
    parser.add_argument("--param", metavar="K=V", action="append", default=[], help="a parameter; may be repeated")
    wait = parser.add_mutually_exclusive_group()
    wait.add_argument("--follow", action="store_true", help="wait for its end (the default on a terminal)")
    wait.add_argument("--no-wait", action="store_true", help="do not wait for its end")
    parser.add_argument("--list", action="store_true", help="list backfills, newest first")
    parser.add_argument("--cancel", metavar="ID", type=whole_number, help="end a backfill")
    add_json(parser)
    add_file(parser)
    add_state_dir(parser)
    add_url(parser)


def run(args: argparse.Namespace) -> int:
    if args.list:
        return asyncio.run(_list(args))
    if args.cancel is not None:
        return asyncio.run(_cancel(args))
    if args.job is None or args.first is None:
        raise UsageError("dagsched backfill: name a JOB and its first instant: JOB --from T [--to T]")
    if args.max_active == 0:
        raise UsageError("--max-active 0 would start nothing; give at least 1")
    wish = asyncio.run(_survey(args))
    if args.dry_run:
        _show(args, wish, {"dry_run": True})
        return 0
    if not wish.runs:
        _show(args, wish, {"id": None})
        note("nothing is left to run there")
        return 0
    if not _is_confirmed(args, wish):
        return 1
    return _begin(args, wish)


class _Wish:
    """What is asked for, and what would become of it."""

    def __init__(self, job: Job, body: Mapping[str, Any], surveys: Sequence[Survey], ticks: int) -> None:
        self.job, self.body, self.surveys, self.ticks = job, body, surveys, ticks
        self.runs = sum(survey.runs for survey in surveys)


async def _survey(args: argparse.Namespace) -> _Wish:
    id, config = await job_meant(args)
    if config is None:
        raise Refused(f"{id} is in no job file that can be read, so its ticks are not known")
    now, job = SystemClock().now(), config.jobs[id]
    first, last = _bounds(args, job, now)
    again = Again.ALL if args.rerun_all else Again.FAILED if args.rerun_failed else Again.GAPS
    body = {
        "job": id, "first": format_instant(first), "last": format_instant(min(last, now)),
        "newest_first": args.order == "newest", "max_active": args.max_active, "downstream": args.downstream,
        "again": again.value, "params": _params(args, id, config),
    }  # fmt: skip
    if (url := url_of(args)) is not None:
        from dagsched.views.values import survey_of

        async with far(args, url) as there:
            # A coming end is refused there as here: what is asked about is what was said.
            told = await there.ask("backfill", {**body, "last": format_instant(last), "dry_run": True})
        return _Wish(job, body, [survey_of(row) for row in told["jobs"]], told["total"])
    from dagsched.backfill import surveys, ticks_asked_for

    ticks = ticks_asked_for(config, id, first, last, now)
    async with reading(state_dir(args), quiet=True) as store:
        found = await surveys(store, config, id, ticks, again, downstream=args.downstream)
    return _Wish(job, body, found, len(ticks))


def _params(args: argparse.Namespace, id: str, config: Config) -> Mapping[str, Any]:
    from dagsched.handlers.params import checked_params

    params = read_params(args.param, id, config)
    try:
        return dict(checked_params(config.jobs[id], params, is_partial=True))
    except Refused as error:
        raise UsageError(str(error)) from None


def _bounds(args: argparse.Namespace, job: Job, now: datetime) -> tuple[datetime, datetime]:
    """Return the first and the last instant, both included, in UTC; raises UsageError."""
    zone = zone_of(job)
    first, last = moment(args.first, zone, now, is_end=False), moment(args.last, zone, now, is_end=True)
    if last < first:
        raise UsageError(f"--to {args.last} lies before --from {args.first}")
    return first, last


def zone_of(job: Job) -> str:
    """Return the time zone in which a job's times are read: its schedule's, else its own."""
    return job.schedule.timezone if job.schedule is not None else job.timezone


def moment(text: str, zone: str, now: datetime, *, is_end: bool) -> datetime:
    """Return the UTC instant of a person's words: local time unless it has an offset, a date for the whole day.

    `is_end`: a date means its last instant, a time of day that the clocks show twice its second one.
    """
    if text == "now":
        return cut_to_ms(now)
    try:
        said = datetime.fromisoformat(text)
    except ValueError:
        return parse_since(text, now)
    if said.tzinfo is not None:
        return parse_moment(text)
    try:
        if len(text) > _DATE_LETTERS:
            return cut_to_ms(said.replace(tzinfo=ZoneInfo(zone), fold=int(is_end)).astimezone(UTC))
        day = said + DAY if is_end else said
        begins = day.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    except OverflowError:
        raise UsageError(f"{text!r} lies outside the years 1 to 9999") from None
    return begins - MILLISECOND if is_end else begins


# ---------------------------------------------------------------- showing and asking


def _show(args: argparse.Namespace, wish: _Wish, more: Mapping[str, Any]) -> None:
    if args.json:
        jobs = [each.as_row() for each in wish.surveys]
        print_json({**more, **wish.body, "ticks": wish.ticks, "runs": wish.runs, "jobs": jobs})
        return
    titles = ("job", "ticks", "to run", "new", "again", "left alone")
    rows = [
        [each.job, str(wish.ticks), str(each.runs), str(each.new), _counts(each.again), _counts(each.left)]
        for each in wish.surveys
    ]
    print_table(titles, rows, right=titles[1:4])
    zone = ZoneInfo(zone_of(wish.job))
    for tick in wish.surveys[0].samples:
        print(f"  {format_instant(tick)}  {wall(tick.astimezone(zone))}")
    beyond = wish.surveys[0].runs - len(wish.surveys[0].samples)
    if beyond > 0:
        print(f"  … and {beyond} more")


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {state}" for state, number in sorted(counts.items()))


def _is_confirmed(args: argparse.Namespace, wish: _Wish) -> bool:
    if args.yes:
        return True
    if not is_watched() or args.json:
        raise UsageError(f"this would run {counted(wish.runs, 'run')}; say --yes, or --dry-run to see which")
    _show(args, wish, {})
    try:
        said = input(f"run {counted(wish.runs, 'run')}, {wish.body['max_active']} at a time? [y/N] ")
    except EOFError:
        said = ""
    if said.strip().lower() not in ("y", "yes"):
        note("nothing was done")
        return False
    return True


def _begin(args: argparse.Namespace, wish: _Wish) -> int:
    answer = asyncio.run(act(args, "backfill", wish.body))
    if answer is None and args.json:
        _show(args, wish, {"remembered": True, **left(args), "total": wish.ticks})
        return 0
    if answer is None:
        return report(args, None, "", f"backfill of {args.job}")
    is_followed = args.follow or (is_watched() and not args.no_wait and not args.json)
    if not is_followed:
        if args.json:
            _show(args, wish, {"remembered": False, "id": answer["id"], "total": answer["total"]})
        else:
            print(f"backfill {answer['id']} of {args.job}: {counted(answer['total'], 'tick')}")
        return 0
    try:
        done = asyncio.run(_follow(args, answer["id"]))
    except KeyboardInterrupt:
        note(
            f"\nbackfill {answer['id']} goes on; dagsched backfill --list shows it, "
            f"dagsched backfill --cancel {answer['id']} ends it"
        )
        raise
    if args.json:
        print_json(backfill_row(done))
    else:
        print(_closing_words(done))
    return 0 if done.state is BackfillState.DONE and not done.failed else 1


def _closing_words(done: Backfill) -> str:
    counts = f"{done.succeeded} success, {done.failed} failed, {done.skipped} skipped"
    ticks = f"{done.handled} of {counted(done.total, 'tick')}"
    return f"backfill {done.id} of {done.job} is {done.state}: {ticks}, {counts}"


# ---------------------------------------------------------------- following


async def _follow(args: argparse.Namespace, id: int) -> Backfill:
    """Wait for the end of a backfill and return it as it then is; on a terminal a bar shows how far it is."""
    async with looking(args) as store:
        if not is_watched():
            while True:
                found = await _find(store, id)
                if found.state is not BackfillState.ACTIVE:
                    return found
                await asyncio.sleep(FOLLOW_S)
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, transient=True) as progress:
            task = progress.add_task("", total=None)
            while True:
                found = await _find(store, id)
                words = f"{found.job}: {found.succeeded} success, {found.failed} failed"
                progress.update(task, description=words, total=found.total, completed=found.handled)
                if found.state is not BackfillState.ACTIVE:
                    return found
                await asyncio.sleep(FOLLOW_S)


async def _find(store: Store, id: int) -> Backfill:
    found = next((each for each in await store.backfills() if each.id == id), None)
    if found is None:
        raise Unknown("backfill", str(id))
    return found


# ---------------------------------------------------------------- the list


async def _list(args: argparse.Namespace) -> int:
    async with looking(args) as store:
        found = await store.backfills()
    if args.json:
        print_rows(backfill_row(each) for each in found)
        return 0
    rows = [
        [
            str(each.id), each.job, format_instant(each.first), format_instant(each.last),
            "newest" if each.newest_first else "oldest", str(each.state), f"{each.handled}/{each.total}",
            str(each.succeeded), str(each.failed), str(each.skipped), each.reason,
        ]
        for each in found
    ]  # fmt: skip
    print_table(_TITLES, rows, right=("id", "done", "success", "failed", "skipped"))
    return 0


async def _cancel(args: argparse.Namespace) -> int:
    answer = await act(args, "backfill_cancel", {"id": args.cancel})
    return report(args, answer, "cancelled backfill", str(args.cancel))
