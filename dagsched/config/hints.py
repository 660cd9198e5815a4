"""What was probably meant: the nearest known name, and the words other schedulers use."""

from __future__ import annotations

from collections.abc import Iterable

from dagsched.closest import get_close_matches

# Words of other schedulers' job files, and what dagsched calls the thing.
PEER_WORDS: dict[str, str] = {
    "needs": "depends_on", "depends": "depends_on", "dependsOn": "depends_on", "dependencies": "depends_on",
    "requires": "depends_on", "after": "depends_on", "upstream": "depends_on", "upstreams": "depends_on",
    "cron": "schedule", "crontab": "schedule", "schedules": "schedule", "schedule_interval": "schedule",
    "on": "schedule", "triggers": "schedule", "interval": "schedule: {every: ...}", "every": "schedule: {every: ...}",
    "at": "schedule: {at: ...}", "start_date": "schedule: {start: ...}", "end_date": "schedule: {end: ...}",
    "start": "schedule: {start: ...}", "end": "schedule: {end: ...}", "max_runs": "schedule: {max_runs: ...}",
    "command": "run", "cmd": "run", "script": "run", "exec": "run", "bash_command": "run", "args": "run",
    "entrypoint": "run", "executor": "handler", "operator": "handler", "type": "handler", "uses": "extends",
    "config": "with", "settings": "with", "retries": "retry", "max_retries": "retry", "maxRetries": "retry",
    "retryPolicy": "retry", "retry_policy": "retry", "coalesce": "catchup", "bash": "run",
    "retryStrategy": "retry", "retry_delay": "retry: {delay: ...}", "max_attempts": "retry: {max_attempts: ...}",
    "backoff": "retry: {backoff: ...}", "attempts": "max_attempts", "limit": "max_attempts",
    "intervalSec": "delay", "interval_sec": "delay",
    "steps": "jobs", "tasks": "jobs", "dags": "jobs", "workflows": "jobs",
    "concurrency_policy": "overlap", "concurrencyPolicy": "overlap", "concurrency": "max_active_runs",
    "overlap_policy": "overlap", "max_concurrency": "max_active_runs", "maxActiveRuns": "max_active_runs",
    "max_instances": "max_active_runs", "misfire": "catchup", "backfill": "catchup",
    "startingDeadlineSeconds": "catchup_window", "misfire_grace_time": "catchup_window",
    "timeoutSec": "timeout", "timeout_s": "timeout", "timeout_seconds": "timeout", "execution_timeout": "timeout",
    "activeDeadlineSeconds": "timeout", "if": "when", "condition": "when",
    "preconditions": "when", "time_window": "window", "execution_window": "window",
    "maintenance_window": "window", "active_hours": "window", "holidays": "calendar", "exclude_dates": "calendar",
    "sla": "deadline", "sla_s": "deadline", "due": "deadline",
    "tz": "timezone", "time_zone": "timezone", "timeZone": "timezone",
    "environment": "env", "environments": "env", "vars": "env", "parameters": "params", "inputs": "params",
    "workingDir": "cwd", "working_dir": "cwd", "working_directory": "cwd", "workdir": "cwd", "dir": "cwd",
    "disabled": "enabled", "suspend": "enabled", "paused": "enabled", "resource": "pool",
    "runs_on": "labels", "runs-on": "labels", "label": "labels", "workerSelector": "labels",
    "worker_selector": "labels", "work_queue": "queue", "task_queue": "queue",
    "triggerRule": "trigger_rule", "run_as": "user", "desc": "description",
    "events": "schedule: {event: ...}", "event": "schedule: {event: ...}", "sensor": "schedule: {event: ...}",
    "secret": "secrets", "credentials": "secrets", "envFrom": "secrets", "connections": "secrets",
    "trigger_dag_id": "job", "flowId": "job", "subdag": "job", "call": "job", "workflow": "job", "path": "file",
    "wait_for_completion": "wait", "transmitFailed": "wait",
    "name": "description", "splay": "jitter", "random_delay": "jitter", "uri": "url", "data": "body",
    "notifications": "notify", "alerts": "notify", "alert": "notify", "on_failure": "notify", "onFailure": "notify",
    "on_success": "notify", "handlerOn": "notify", "mailOn": "notify", "email_on_failure": "notify",
    "channels": "notifiers", "hooks": "notifiers", "webhooks": "notifiers", "workers": "agents", "recipients": "to",
    "sender": "from",
    "retention": "keep", "history": "keep", "histRetentionDays": "keep: {days: ...}",
    "hist_retention_days": "keep: {days: ...}", "retention_days": "keep: {days: ...}", "ttl": "keep: {days: ...}",
    "histRetentionRuns": "keep: {runs: ...}", "hist_retention_runs": "keep: {runs: ...}",
    "successfulJobsHistoryLimit": "keep: {runs: ...}", "buildDiscarder": "keep", "logRotator": "keep",
    "rate": "rate_limit", "rateLimit": "rate_limit",
    "ratelimit": "rate_limit", "throttle": "rate_limit", "priority_weight": "priority", "weight": "priority",
    "nice": "priority",
    "inherit": "extends", "inherits": "extends", "extend": "extends", "from": "extends", "template": "extends",
    "base": "extends", "templateRef": "extends", "template_ref": "extends", "default_args": "defaults",
    "strategy": "matrix", "with_items": "matrix", "withItems": "matrix", "with_param": "matrix", "withParam": "matrix",
    "foreach": "matrix", "for_each": "matrix", "forEach": "matrix", "each": "matrix", "loop": "matrix",
    "parallel": "matrix", "expand": "matrix", "fan_out": "matrix", "job_templates": "templates", "variables": "env",
    "status": "expect", "callable": "function", "python_callable": "function",
}  # fmt: skip


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that looks most like `name`, None when none does."""
    wanted = name[:128]
    names = sorted(known)
    # Compared as written first; then without regard to case, - and _.
    found = get_close_matches(wanted, names, n=1, cutoff=0.6)
    if found:
        return found[0]
    folded = {_fold(each): each for each in names}
    close = get_close_matches(_fold(wanted), folded, n=1, cutoff=0.7)
    return folded[close[0]] if close else None


def known_key(word: str, known: Iterable[str]) -> str | None:
    """Return the key that was meant by an unknown one, by other schedulers' words, then by likeness."""
    names = set(known)
    meant = PEER_WORDS.get(word)
    if meant is not None and meant.partition(":")[0] in names:
        return meant
    return nearest(word, sorted(names))


def _fold(name: str) -> str:
    return name.casefold().replace("-", "").replace("_", "")
