"""What an attempt's end means for its run: whether one that did not succeed is worth another one, and when."""

from __future__ import annotations

from datetime import datetime, timedelta

from dagsched.digests import sha256
from dagsched.engine.lifecycle import Cancelled, Change, Failed, Retried, Succeeded
from dagsched.model import Backoff, Exit, Job, OnCrash, Outcome, RetryPolicy, Run


def change_after(job: Job | None, run: Run, exit: Exit, now: datetime) -> Change:
    """Return what the end of `run`'s newest attempt makes of it; `job`: as it is now, None when it was removed."""
    reason = reason_of(exit)
    if exit.outcome is Outcome.SUCCESS:
        return Succeeded(exit.ended, outputs=exit.outputs)
    if run.stopping:
        return Cancelled(exit.ended, run.stopping, run.stand_in, exit.exit_code)
    if exit.outcome is Outcome.CANCELLED and exit.cause != "stop":
        return Cancelled(exit.ended, reason, None, exit.exit_code)
    if job is None:
        return Failed(exit.ended, f"{reason}; the job was removed", exit.exit_code)
    if not is_worth_retrying(job, run, exit):
        return Failed(exit.ended, reason, exit.exit_code)
    # After a stop the next start of the daemon is wait enough.
    wait = now if exit.cause == "stop" else now + wait_after(job.retry, run.name, run.attempts)
    return Retried(exit.ended, reason, wait, exit.exit_code)


def wait_after(policy: RetryPolicy, run_name: str, attempt: int) -> timedelta:
    """Return how long to wait after attempt number `attempt`: `delay` grown by its backoff, at most `max_delay`.

    The jitter is a hash of run name and attempt, so that a replay and every replica wait the same.
    """
    delay = policy.delay.total_seconds()
    cap = policy.max_delay.total_seconds()
    if policy.backoff is Backoff.LINEAR:
        delay *= attempt
    elif policy.backoff is Backoff.EXPONENTIAL:
        delay = _grown(delay, policy.multiplier, attempt - 1, cap)
    seconds = min(delay, cap) + policy.jitter.total_seconds() * _fraction(f"{run_name}#{attempt}")
    return timedelta(milliseconds=round(seconds * 1000))


def _grown(delay: float, multiplier: float, times: int, cap: float) -> float:
    try:
        return delay * multiplier**times
    except OverflowError:
        # No float is as large: 2.0 gets there at attempt 1,025, 1000.0 at 104. Nothing stays nothing.
        return cap if delay else 0.0


def is_worth_retrying(job: Job, run: Run, exit: Exit) -> bool:
    """Whether `run`, whose newest attempt ended like this, gets another one under `job` as it is now."""
    if run.attempts >= run.attempt_limit:
        return False
    if exit.outcome is Outcome.LOST:
        return job.on_crash is OnCrash.RETRY
    if exit.cause == "stop":
        return True
    wanted = job.retry.on
    return not wanted or exit.outcome.value in wanted or (exit.exit_code is not None and exit.exit_code in wanted)


def reason_of(exit: Exit) -> str:
    """Return in a few words how an attempt ended, empty for a success."""
    if exit.outcome is Outcome.SUCCESS:
        return ""
    if exit.outcome is Outcome.LOST:
        return exit.reason or "lost: nobody saw how it ended"
    if exit.cause == "stop":
        return exit.reason or "daemon stopped"
    if exit.reason:
        return exit.reason
    if exit.outcome is Outcome.TIMED_OUT:
        return "timed out"
    if exit.outcome is Outcome.CANCELLED:
        return "cancelled"
    return f"killed by signal {exit.signal}" if exit.signal else f"exit code {exit.exit_code}"


def _fraction(text: str) -> float:
    return int.from_bytes(sha256(text.encode()).digest()[:8], "big") / 2**64
