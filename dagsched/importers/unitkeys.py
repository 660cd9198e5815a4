"""Settings of units that have no key here, and why; the first pattern that fits a name counts."""

from __future__ import annotations

import re

_ON = "what is in a job file is on"
_ISOLATION = "nothing isolates a job; keep the unit and run `systemctl start --wait UNIT`"
_LIMITS = "a job has no limits of its own; give the daemon's unit some, or run `systemctl start --wait UNIT`"
_ENDS = "what a run leaves behind gets TERM, then KILL after the daemon's grace"
_SAME = {
    **dict.fromkeys(("Description", "Documentation", "Type", "Unit"), ""),
    **dict.fromkeys(("WantedBy", "RequiredBy", "Also"), _ON),
    "SyslogIdentifier": "each run has a log of its own",
}
_DIFFERS = {
    "AccuracySec": "a start is made at the instant, not some time within this after it",
    "FixedRandomDelay": "the share of the delay is a fixed one here too, but not the same one",
}
_DROPPED = {
    "WakeSystem": "nothing wakes the machine",
    "OnClockChange OnTimezoneChange": "a change of the clock starts nothing",
    r"RemainAfter\w+ StopWhenUnneeded RefuseManual\w+ CollectMode": "a job has no state between its runs",
    r"DefaultDependencies \w+MountsFor Conflicts PartOf Propagates\w+ JoinsNamespaceOf After Before Wants Requires "
    "BindsTo Requisite Upholds": "a job knows no units; the daemon's own unit is ordered by systemd",
    r"(?:Condition|Assert)\w+": "nothing here tests it: do so in the command, or say `when`",
    r"StartLimit\w+": "how often a job starts is its `retry` and `rate_limit`",
    "ExecStop ExecStopPost ExecReload": "a run just ends; a job with `trigger_rule: all_done` can tidy up",
    "KillMode KillSignal SendSIGKILL SendSIGHUP FinalKillSignal TimeoutStopSec TimeoutAbortSec IgnoreSIGPIPE": _ENDS,
    "Group SupplementaryGroups": "a job has the groups of its `user`",
    r"Standard\w+ Log(?!s)\w+ TTY\w+ Syslog\w+": "what a run prints is its log, and its input is empty",
    r"(?:Runtime|State|Cache|Logs|Configuration)Directory\w*": "nothing makes that folder; make it in the command",
    r"(?:Load|Set|Import)Credential\w*": "no job gets it unasked: say `secrets`, with `credential:NAME`",
    "PassEnvironment UnsetEnvironment": "a job has the daemon's variables and its own `env`",
    r"CPU\w+ NUMA\w+ OOM\w+ TimerSlackNSec IO[A-Z]\w+ Memory(?!Deny)\w+ Tasks\w+ Startup\w+ IP\w+": _LIMITS,
    r"BlockIO\w+ Slice Delegate Limit\w+ Device\w+ Nice UMask": _LIMITS,
    r"Private\w+ Protect\w+ Restrict\w+ SystemCall\w+ NoNew\w+ ReadWrite\w+ ReadOnly\w+": _ISOLATION,
    r"Inaccessible\w+ \w*ExecPaths Lock\w+ MemoryDeny\w+ Capability\w+ Ambient\w+ Dynamic\w+ Root\w+": _ISOLATION,
    r"Bind(?!sTo)\w+ Temporary\w+ SecureBits Keyring\w+ RemoveIPC SELinux\w+ AppArmor\w+": _ISOLATION,
    r"Smack\w+ Personality Proc\w+ Mount\w+": _ISOLATION,
    r"Restart\w*": "it goes with a Restart= that is not carried over",
    r"GuessMainPID PIDFile BusName NotifyAccess Watchdog\w+ Sockets FileDescriptor\w+ NonBlocking": "a job just ends",
}
_PATTERNS = [(re.compile(word), why) for words, why in _DROPPED.items() for word in words.split()]


def reason_of(key: str, value: str) -> tuple[str, str]:
    """Return the verdict on a setting that nothing else was said about, and why."""
    if key in _SAME:
        return "same", _SAME[key]
    if key in _DIFFERS:
        return "differs", _DIFFERS[key]
    if value.lower() in ("no", "false", "off", "0") and not key.startswith(("Condition", "Assert", "Limit")):
        return "same", "off"
    return "dropped", next((why for word, why in _PATTERNS if word.fullmatch(key)), "a job has no such setting")
