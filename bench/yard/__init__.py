"""What the measurements share: figures and how they are told, job files to measure with, processes.

A figure is worth what it is compared with. Each script of `bench/` therefore measures a yardstick, a peer or a
physical limit of this machine, in the same run and in turns with what is measured, so that a noisy minute
falls on both, and tells the ratio of the medians.
"""

from yard.daemons import READY_S, Spent, daemon, family, spent, wait_for_socket, wait_until
from yard.jobfiles import ZONES, expressions, realistic_jobs
from yard.processes import (
    ENV,
    PART,
    SCRATCH,
    Took,
    answer_apart,
    is_part,
    memory_mb,
    scratch,
    threads_cpu_s,
    time_process,
)
from yard.report import Figure, Report, options, quantile
from yard.yardsticks import sync_seconds, write_and_sync

__all__ = [
    "ENV",
    "PART",
    "READY_S",
    "SCRATCH",
    "ZONES",
    "Figure",
    "Report",
    "Spent",
    "Took",
    "answer_apart",
    "daemon",
    "expressions",
    "family",
    "is_part",
    "memory_mb",
    "options",
    "quantile",
    "realistic_jobs",
    "scratch",
    "spent",
    "sync_seconds",
    "threads_cpu_s",
    "time_process",
    "wait_for_socket",
    "wait_until",
    "write_and_sync",
]
