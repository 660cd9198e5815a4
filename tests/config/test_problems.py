from __future__ import annotations

import pytest

from dagsched.config import CODES, load_texts, render
from dagsched.config.hints import PEER_WORDS
from tests.config.texts import FILE, NOW, file_of, found, load_text, spelled

# The job's keys stand on lines 3, 4, ... from column 5.
JOB_PROBLEMS = {
    "an unknown key": ("run: x\nretrie: 3", ["E101 4:5-11"]),
    "no work": ("schedule: '@daily'", ["E108 2:3-4"]),
    "work twice": ("run: x\nhandler: http\nwith: {url: http://h/}", ["E108 2:3-4"]),
    "with but no handler": ("run: x\nwith: {a: 1}", ["E102 2:3-4"]),
    "http without settings": ("handler: http", ["E102 2:3-4"]),
    "http without url": ("handler: http\nwith: {method: GET}", ["E102 4:5-9"]),
    "http with an odd method": ("handler: http\nwith: {url: http://h/, method: get}", ["E104 4:36-39"]),
    "http with two bodies": ("handler: http\nwith: {url: http://h/, json: 1, body: x}", ["E114 4:11-45"]),
    "http with a bad status": ("handler: http\nwith: {url: http://h/, expect: [20]}", ["E106 4:37-39"]),
    "http timing out at once": ("handler: http\nwith: {url: http://h/, timeout: 0s}", ["E304 4:37-39"]),
    "python without a function": ("handler: python\nwith: {function: build}", ["E105 4:22-27"]),
    "an unknown handler": ("handler: htp", ["E110 3:14-17"]),
    "an agent that is not named": ("handler: agent\nwith: {}", ["E102 4:5-9"]),
    "a list for text": ("run: x\ndescription: [a]", ["E103 4:18-21"]),
    "text for a list": ("run: x\ntags: nightly", ["E103 4:11-18"]),
    "nothing for a mapping": ("run: x\nenv:", ["E103 4:9-10"]),
    "an empty command": ('run: " "', ["E105 3:10-13"]),
    "an empty argv": ("run: []", ["E107 3:10-12"]),
    "a fraction in an argv": ("run: [sleep, 1.5]", ["E103 3:18-21"]),
    "an odd trigger rule": ("run: x\ntrigger_rule: all_sucess", ["E104 4:19-29"]),
    "no attempts": ("run: x\nretry: 0", ["E106 4:12-13"]),
    "an odd backoff": ("run: x\nretry: {backoff: exponental}", ["E104 4:22-32"]),
    "a bare delay": ("run: x\nretry: {delay: 5}", ["E303 4:20-21"]),
    "a bare timeout": ("run: x\ntimeout: 30", ["E303 4:14-16"]),
    "a quoted bare timeout": ("run: x\ntimeout: '30'", ["E303 4:14-18"]),
    "an unknown unit": ("run: x\ntimeout: 2w", ["E303 4:14-16"]),
    "a unit twice": ("run: x\ntimeout: 1h1h", ["E303 4:14-18"]),
    "an endless timeout": ("run: x\ntimeout: 3651d", ["E304 4:14-19"]),
    "a timeout with 60 digits": (f"run: x\ntimeout: {'9' * 59}d", ["E304 4:14-74"]),
    "no timeout at all": ("run: x\ntimeout: 0s", ["E304 4:14-16"]),
    "a bad variable name": ("run: x\nenv: {a-b: c}", ["E105 4:11-14"]),
    "a reserved variable name": ("run: x\nenv: {DAGSCHED_JOB: c}", ["E111 4:11-23"]),
    "a reserved parameter": ("run: x\nparams: {DAGSCHED_X: {default: 1}}", ["E111 4:14-24"]),
    "a fraction in env": ("run: x\nenv: {V: 1.10}", ["E103 4:14-18"]),
    "an output of no upstream": ("run: x\nenv: {V: {job: b, output: o}}", ["E208 4:20-21"]),
    "a default of the wrong type": ("run: x\nparams: {n: {type: integer, default: x}}", ["E112 4:42-43"]),
    "a parameter of no type": ("run: x\nparams: {n: {type: int}}", ["E104 4:24-27"]),
    "a bad pattern": ("run: x\nparams: {n: {pattern: '(', default: x}}", ["E113 4:14-15"]),
    "a reference in a schema": ("run: x\nparams: {n: {$ref: 'http://h/'}}", ["E101 4:18-22"]),
    "a required parameter": ("run: x\nschedule: '@daily'\nparams: {n: {type: string}}", ["E210 5:14-15"]),
    "waiting for itself": ("run: x\ndepends_on: [a]", ["E202 4:18-19"]),
    "an unknown upstream": ("run: x\ndepends_on: [b]", ["E201 4:18-19"]),
    "an unknown upstream in a mapping": ("run: x\ndepends_on: [{job: b, match: same}]", ["E201 4:24-25"]),
    "an unknown upstream beside a bad one": ("run: x\ndepends_on: [5, b]", ["E103 4:18-19", "E201 4:21-22"]),
    "an odd match": ("run: x\ndepends_on: [{job: b, match: any}]", ["E104 4:34-37"]),
    "an unknown pool": ("run: x\npool: db", ["E205 4:11-13"]),
    "six fields": ("run: x\nschedule: 0 0 0 * * *", ["E301 4:15-26"]),
    "an hour out of range": ("run: x\nschedule: 0 25 * * *", ["E301 4:17-19"]),
    "a quoted hour out of range": ('run: x\nschedule: "0 25 * * *"', ["E301 4:18-20"]),
    "one bad expression of two": ("run: x\nschedule: {cron: ['@daily', 0 25 * * *]}", ["E301 4:35-37"]),
    "a schedule that is a number": ("run: x\nschedule: 5", ["E103 4:15-16"]),
    "an empty schedule": ("run: x\nschedule: {}", ["E109 4:5-13"]),
    "a schedule that says two things": ("run: x\nschedule: {every: 5m, at: 2027-01-01}", ["E109 4:5-13"]),
    "secrets by reference": (
        "run: x\nsecrets: {A: 'env:B', C: 'file:/run/x', D: 'credential:k.y'}",
        [],
    ),
    "secrets that are none": (
        "run: x\nsecrets: {A: hunter2, B: 'file:relative', C: 'vault:x', D: 5, 1E: 'env:B'}",
        ["E140 4:18-25", "E140 4:30-45", "E140 4:50-59", "E140 4:64-65", "E105 4:67-69"],
    ),
    "a secret that is a variable of env": ("run: x\nenv: {A: b}\nsecrets: {A: 'env:B'}", ["E141 5:15-16"]),
    "a secret with a reserved name": ("run: x\nsecrets: {DAGSCHED_X: 'env:B'}", ["E111 4:15-25"]),
    "a setting that names no secret of the job": (
        "handler: http\nsecrets: {TOKEN: 'env:B'}\nwith: {url: 'http://x', headers: {A: {secret: TOKN}}}",
        ["E142 5:51-55"],
    ),
    "a process used again that has secrets": (
        "handler: python\nsecrets: {A: 'env:B'}\nwith: {function: 'm:f', reuse: true}",
        ["W232 5:29-34"],
    ),
    "a workflow of neither": ("handler: workflow\nwith: {params: {}}", ["E143 4:5-9"]),
    "a file that is not waited for": ("handler: workflow\nwith: {file: /etc/hosts, wait: false}", ["E102 4:5-9"]),
    "a workflow of both": ("handler: workflow\nwith: {job: a, file: b.yaml}", ["E143 4:5-9"]),
    "a workflow without settings": ("handler: workflow", ["E102 2:3-4"]),
    "a workflow of itself": ("handler: workflow\nwith: {job: a}", ["E241 4:17-18"]),
    "a workflow of an unknown job": ("handler: workflow\nwith: {job: b}", ["E240 4:17-18"]),
    "a workflow of a file that is not there": ("handler: workflow\nwith: {file: no.yaml}", ["E245 4:18-25"]),
    "a workflow on a worker": ("handler: workflow\nqueue: etl\nwith: {job: b}", ["E246 4:12-15", "E240 5:17-18"]),
    "a workflow on a worker with a label": (
        "handler: workflow\nlabels: [gpu]\nwith: {job: b}",
        ["E246 4:13-18", "E240 5:17-18"],
    ),
    "a queue with a space": ("run: x\nqueue: a b", ["E105 4:12-15"]),
    "nine labels": ("run: x\nlabels: [a, b, c, d, e, f, g, h, i]", ["E107 4:13-40"]),
    "a workflow as another user": (
        "handler: workflow\nuser: etl\nwith: {job: b}",
        ["E244 4:11-14", "E240 5:17-18"],
    ),
    "an event beside a cron expression": ("run: x\nschedule: {event: x, cron: '@daily'}", ["E109 4:5-13"]),
    "an event whose name has a space": ("run: x\nschedule: {event: a b}", ["E105 4:23-26"]),
    "one of several events without a name": ("run: x\nschedule: {event: [a, '']}", ["E105 4:27-29"]),
    "no events": ("run: x\nschedule: {event: []}", ["E107 4:23-25"]),
    "an event schedule that ends before it starts": (
        "run: x\nschedule: {event: x, start: 2027-01-02, end: 2027-01-01}",
        ["E306 4:50-60"],
    ),
    "an event schedule that is over": ("run: x\nschedule: {event: x, end: 2020-01-01}", ["W304 4:23-24"]),
    "keys of a clock beside an event": (
        "run: x\nschedule: {event: x, days: all}\ncatchup: all\njitter: 5s\ndst: {gap: run}",
        ["W230 4:26-30", "W230 5:5-12", "W230 6:5-11", "W230 7:5-8"],
    ),
    "a required parameter that an event can give": (
        "run: x\nschedule: {event: x}\nparams: {n: {type: integer}}",
        [],
    ),
    "every nothing": ("run: x\nschedule: {every: 0s}", ["E304 4:23-25"]),
    "every half second": ("run: x\nschedule: {every: 500ms}", ["E304 4:23-28"]),
    "a day that does not exist": ("run: x\nschedule: {at: 2027-02-30}", ["E305 4:20-30"]),
    "a clock time alone": ("run: x\nschedule: {at: '18:00'}", ["E305 4:20-27"]),
    "the year 1": ("run: x\nschedule: {every: 5m, start: 0001-01-01}", ["E305 4:34-44"]),
    "an end before the start": (
        "run: x\nschedule: {every: 5m, start: 2027-01-02, end: 2027-01-01}",
        ["E306 4:51-61"],
    ),
    "an unknown zone": ("run: x\ntimezone: Europe/Berln", ["E302 4:15-27"]),
    "an unknown zone in a schedule": (
        "run: x\nschedule: {cron: 0 25 * * *, timezone: Mars}",
        ["E301 4:24-26", "E302 4:44-48"],
    ),
    "a zone that leads elsewhere": ("run: x\ntimezone: ../../etc/passwd", ["E302 4:15-31"]),
    "a schedule that is past": ("run: x\nschedule: {at: 2020-01-01}", ["W304 4:20-30"]),
    "a schedule that never fires": ("run: x\nschedule: 0 0 30 2 *", ["W304 4:15-25"]),
    "every of a day": ("run: x\nschedule: {every: 1d}", ["W309 4:23-25"]),
    "an uneven step": ("run: x\nschedule: '*/45 * * * *'", ["W305 4:16-20"]),
    "an old zone name": ("run: x\nschedule: '@daily'\ntimezone: US/Eastern", ["W307 5:15-25"]),
    "a window without catch-up": ("run: x\ncatchup: none\ncatchup_window: 1d", ["W203 5:21-23"]),
    "a priority out of range": ("run: x\npriority: 101", ["E106 4:15-18"]),
    "a rate without a length": ("run: x\nrate_limit: 10", ["E103 4:17-19"]),
    "a rate per nothing": ("run: x\nrate_limit: 10/m", ["E105 4:17-21"]),
    "a rate of zero": ("run: x\nrate_limit: 0/1m", ["E321 4:17-21"]),
    "a rate in no time": ("run: x\nrate_limit: 1/0s", ["E321 4:17-21"]),
    "a rate over too long": ("run: x\nrate_limit: 1/32d", ["E321 4:17-22"]),
    "a rate of too many": ("run: x\nrate_limit: 100001/1d", ["E321 4:17-26"]),
    "a window that closes as it opens": ("run: x\nwindow: {from: 22:00, to: 22:00}", ["E322 4:31-36"]),
    "a window at no time": ("run: x\nwindow: {from: 25:00, to: 6:00}", ["E105 4:20-25", "E105 4:31-35"]),
    "a window without an end": ("run: x\nwindow: {from: 22:00}", ["E102 4:5-11"]),
    "a window on no day": ("run: x\nwindow: {from: 22:00, to: 06:00, days: []}", ["E107 4:44-46"]),
    "a window on an odd day": ("run: x\nwindow: {from: 22:00, to: 06:00, days: [monday]}", ["E104 4:45-51"]),
    "one odd window of two": (
        "run: x\nwindow: [{from: 22:00, to: 06:00}, {from: 10:00, to: 10:00}]",
        ["E322 4:58-63"],
    ),
    "windows that disagree": (
        "run: x\nwindow: [{from: 22:00, to: 06:00, outside: skip}, {from: 10:00, to: 12:00, outside: wait}]",
        ["E322 4:13-95"],
    ),
    "a window that no tick meets": (
        "run: x\nschedule: 0 12 * * *\nwindow: {from: 22:00, to: 06:00, outside: skip}",
        ["W321 5:13-52"],
    ),
    "a deadline of nothing": ("run: x\ndeadline: 0s", ["E304 4:15-17"]),
    "a condition that is no text": ("run: x\nwhen: true", ["E103 4:11-15"]),
    "a condition that is no expression": ("run: x\nwhen: local.day = 1", ["E131 4:11-12"]),
    "arithmetic in a condition": ("run: x\nwhen: local.day + 1 == 2", ["E131 4:11-24"]),
    "an unknown function in a condition": ("run: x\nwhen: 'status(\"b\") == \"success\"'", ["E132 4:12-18"]),
    "an unknown part of the tick": ("run: x\nwhen: local.week == 1", ["E132 4:11-21"]),
    "a condition that is no question": ("run: x\nwhen: local.day", ["E133 4:11-20"]),
    "a weekday that there is not": ("run: x\nwhen: local.weekday == \"monday\"", ["E133 4:28-36"]),
    "a condition on no upstream": ("run: x\nwhen: state(\"b\") == \"success\"", ["E134 4:17-20"]),
    "a condition on no parameter": ("run: x\nwhen: param(\"p\") == 1", ["E135 4:17-20"]),
    "a rule that is no list": ("run: x\nnotify: {on: [failure], to: [ops]}", ["E103 4:13-39"]),
    "a rule about other news": ("run: x\nnotify: [{on: [failed], to: [ops]}]", ["E104 4:20-26"]),
    "a rule for nobody": ("run: x\nnotify: [{on: [failure]}]", ["E102 4:14-29"]),
    "an unknown notifier": ("run: x\nnotify: [{on: [failure], to: [ops]}]", ["E501 4:35-38"]),
    "an agent without settings": ("handler: agent", ["E102 2:3-4"]),
    "an unknown agent": ("handler: agent\nwith: {agent: gpu}", ["E503 4:19-22"]),
    "an agent that is asked without a pause": (
        "handler: agent\nwith: {agent: gpu, poll: 0s}",
        ["E503 4:19-22", "E304 4:30-32"],
    ),
    "an unknown calendar": ("run: x\ncalendar: bank", ["E231 4:15-19"]),
    "an unknown calendar of two": ("run: x\ncalendar: [bank]", ["E231 4:16-20"]),
    "three mistakes": (
        "retries: 1\ntimeout: 5\npool: x",
        ["E108 2:3-4", "E101 3:5-12", "E303 4:14-15", "E205 5:11-12"],
    ),
}


@pytest.mark.parametrize(("lines", "expected"), JOB_PROBLEMS.values(), ids=JOB_PROBLEMS.keys())
def test_problem_of_a_job_stands_at_its_place(lines, expected):
    assert found(file_of(lines)) == expected


FILE_PROBLEMS = {
    "a workflow that its step brings about again": (
        """\
        jobs:
          a: {depends_on: [c], handler: workflow, with: {job: b}}
          b: {run: x}
          c: {depends_on: [b], run: x}
        """,
        ["E241 2:55-56"],
    ),
    "workflows of each other": (
        """\
        jobs:
          a: {handler: workflow, with: {job: b}}
          b: {handler: workflow, with: {job: a}}
        """,
        ["E241 2:38-39", "E241 3:38-39"],
    ),
    "a step that waits for its workflow": (
        """\
        jobs:
          a: {handler: workflow, with: {job: b}}
          b: {schedule: '@daily', depends_on: [c], run: x}
          c: {depends_on: [a], run: x}
        """,
        ["E242 2:38-39"],
    ),
    "a step that waits for a workflow that does not wait": (
        """\
        jobs:
          a: {handler: workflow, with: {job: b, wait: false}}
          b: {schedule: '@daily', depends_on: [a], run: x}
        """,
        [],
    ),
    "a workflow below its own step, with a schedule of its own": (
        """\
        jobs:
          a: {schedule: '@daily', depends_on: [b], handler: workflow, with: {job: b}}
          b: {run: x}
        """,
        [],
    ),
    "parameters that the step does not take": (
        """\
        jobs:
          a: {handler: workflow, with: {job: b, params: {n: x, m: 1}}}
          b: {params: {n: {type: integer}, o: {type: string}}, run: x}
        """,
        ["E243 2:38-39", "E243 2:53-54", "E243 2:56-57"],
    ),
    "a workflow in the pool of its step": (
        """\
        pools: {p: 2}
        jobs:
          a: {pool: p, handler: workflow, with: {job: b}}
          b: {pool: p, slots: 2, run: x}
        """,
        ["W233 3:13-14"],
    ),
    "a step that is disabled": (
        """\
        jobs:
          a: {handler: workflow, with: {job: b}}
          b: {enabled: false, run: x}
        """,
        ["W234 2:38-39"],
    ),
    "no jobs": ("version: 1\n", ["E102 1:1-2"]),
    "a notifier of no type": ("notifiers: {ops: {url: http://h/}}\njobs: {}\n", ["E102 1:13-16"]),
    "a notifier of an odd type": ("notifiers: {ops: {type: pigeon}}\njobs: {}\n", ["E104 1:25-31"]),
    "a webhook without url": ("notifiers: {ops: {type: webhook}}\njobs: {}\n", ["E102 1:13-16"]),
    "a key of another type": (
        "notifiers: {ops: {type: slack, url: http://h/, run: [x]}}\njobs: {}\n",
        ["E101 1:48-51"],
    ),
    "a secret in the open": (
        "notifiers: {ops: {type: webhook, url: http://h/, secret: abc}}\njobs: {}\n",
        ["E140 1:58-61"],
    ),
    "a secret in two places": (
        "notifiers: {ops: {type: webhook, url: http://h/, secret: {env: A, file: b}}}\njobs: {}\n",
        ["E114 1:58-75"],
    ),
    "a mail account without password": (
        "notifiers: {m: {type: email, to: [a@b.c], from: a@b.c, smtp: {host: h, user: u}}}\njobs: {}\n",
        ["E102 1:56-60"],
    ),
    "a line feed in a mail address": (
        'notifiers: {m: {type: email, to: ["a@b.c\\nX: y"], from: a@b.c, smtp: {host: h}}}\njobs: {}\n',
        ["E105 1:35-48"],
    ),
    "a try that ends at once": (
        "notifiers: {ops: {type: command, run: [x], timeout: 0s}}\njobs: {}\n",
        ["E304 1:53-55"],
    ),
    "an endless group": (
        "notifiers: {ops: {type: command, run: [x], group: 3651d}}\njobs: {}\n",
        ["E304 1:51-56"],
    ),
    "an unknown notifier in defaults, told once": (
        "defaults: {notify: [{on: [failure], to: [ops]}]}\njobs: {a: {run: x}, b: {run: x}}\n",
        ["E501 1:42-45"],
    ),
    "a rule about job files in a job": (
        "notifiers: {ops: {type: command, run: [x]}}\n"
        "jobs: {a: {run: x, notify: [{on: [config_rejected], to: [ops]}]}}\n",
        ["W501 2:35-50"],
    ),
    "a recovery from nothing": (
        "notifiers: {ops: {type: command, run: [x]}}\njobs: {a: {run: x, notify: [{on: [recovered], to: [ops]}]}}\n",
        ["W501 2:35-44"],
    ),
    "an agent without url": ("agents: {gpu: {}}\njobs: {}\n", ["E102 1:10-13"]),
    "an agent with an odd health": ("agents: {gpu: {url: http://g/, health: up}}\njobs: {}\n", ["E105 1:40-42"]),
    "jobs that are nothing": ("jobs:\n", ["E103 1:6-7"]),
    "a later version, and nothing else of it": ("version: 2\njobs: {a: {steps: 1}, b: 5}\n", ["E115 1:10-11"]),
    "an earlier version": ("version: 0\njobs: {}\n", ["E104 1:10-11"]),
    "an unknown key": ("version: 1\nsteps: []\njobs: {}\n", ["E101 2:1-6"]),
    "a bad job id": ("jobs:\n  a b: {run: x}\n", ["E105 2:3-6"]),
    "an id with a colon": ("jobs:\n  'a:b': {run: x}\n", ["E105 2:3-8"]),
    "an id with a line feed": ('jobs:\n  "a\\n": {run: x}\n', ["E105 2:3-8"]),
    "a job that is text": ("jobs:\n  a: ./x.sh\n", ["E103 2:6-12"]),
    "a pool without slots": ("pools: {db: 0}\njobs: {}\n", ["E106 1:13-14"]),
    "a pool of nothing": ("pools: {db: {}}\njobs: {}\n", ["E107 1:13-15"]),
    "a pool with an odd key": ("pools: {db: {size: 2}}\njobs: {}\n", ["E101 1:14-18"]),
    "a pool with a rate of zero": ("pools: {db: {rate_limit: 0/1m}}\njobs: {}\n", ["E321 1:26-30"]),
    "a calendar of nothing": ("calendars: {c: []}\njobs: {}\n", ["E107 1:16-18"]),
    "a calendar that is a word": ("calendars: {c: weekend}\njobs: {}\n", ["E103 1:16-23"]),
    "a calendar on an odd weekday": ("calendars: {c: {weekdays: [so]}}\njobs: {}\n", ["E104 1:28-30"]),
    "a calendar with no day": ("calendars: {c: [2026-02-30]}\njobs: {}\n", ["E305 1:17-27"]),
    "a calendar with half a day": ("calendars: {c: {days: [2026-02]}}\njobs: {}\n", ["E105 1:24-31"]),
    "a part of no country": ("calendars: {c: {subdivision: BY}}\njobs: {}\n", ["E102 1:13-14"]),
    "a country in words": ("calendars: {c: {country: Germany}}\njobs: {}\n", ["E105 1:26-33"]),
    "a refused calendar is still a calendar": (
        "calendars: {c: 5}\njobs: {a: {run: x, calendar: c}}\n",
        ["E103 1:16-17"],
    ),
    "a calendar that leaves no tick": (
        "calendars: {c: {weekdays: [mon]}}\njobs: {a: {run: x, schedule: 0 9 * * mon, calendar: c}}\n",
        ["W322 2:53-54"],
    ),
    "a bad zone that no job uses": ("timezone: Nowhere\njobs: {}\n", ["E302 1:11-18"]),
    "a schedule in defaults": ("defaults: {schedule: '@daily'}\njobs: {}\n", ["E101 1:12-20"]),
    "a bad default": ("defaults: {timeout: 5}\njobs: {a: {run: x}}\n", ["E303 1:21-22"]),
    "a long default, told once": (
        "defaults: {retry: {delay: 9999d}}\njobs: {a: {run: x}, b: {run: x}}\n",
        ["E304 1:27-32"],
    ),
    "too many slots": ("pools: {db: 2}\njobs:\n  a: {run: x, pool: db, slots: 3}\n", ["E206 3:32-33"]),
    "too many slots by default": (
        "pools: {db: 2}\ndefaults: {pool: db, slots: 3}\njobs: {a: {run: x}}\n",
        ["E206 2:29-30"],
    ),
    "a refused pool is still a pool": ("pools: {db: x}\njobs: {a: {run: x, pool: db}}\n", ["E103 1:13-14"]),
    "a refused job is still a job": ("jobs: {a: 5, b: {run: x, depends_on: [a]}}\n", ["E103 1:11-12"]),
    "an upstream named twice": ("jobs: {a: {run: x}, b: {run: x, depends_on: [a, a]}}\n", ["E211 1:49-50"]),
    "a disabled upstream": (
        "jobs: {a: {run: x, enabled: false}, b: {run: x, depends_on: [a]}}\n",
        ["W202 1:62-63"],
    ),
    "all without a schedule": (
        "jobs: {a: {run: x, schedule: '@daily'}, b: {run: x, depends_on: [{job: a, match: all}]}}\n",
        ["E207 1:72-73"],
    ),
    "same that never meets": (
        "jobs:\n"
        "  a: {run: x, schedule: 0 * * * *}\n"
        "  b: {run: x, schedule: 30 * * * *, depends_on: [{job: a, match: same}]}\n",
        ["W201 3:56-57"],
    ),
    "same that meets": (
        "jobs:\n"
        "  a: {run: x, schedule: 0 9 * * mon}\n"
        "  b: {run: x, schedule: 0 9 29 2 *, depends_on: [{job: a, match: same}]}\n",
        ["W306 3:29-31"],
    ),
    "the same hour in two zones never meets": (
        "jobs:\n"
        "  a: {run: x, schedule: 0 9 * * *}\n"
        "  b: {run: x, schedule: 0 9 * * *, timezone: Asia/Tokyo, depends_on: [{job: a, match: same}]}\n",
        ["W201 3:77-78"],
    ),
    "a default zone that is old, told once": (
        "timezone: US/Eastern\njobs: {a: {run: x, schedule: '@daily'}, b: {run: x, schedule: '@hourly'}}\n",
        ["W307 1:11-21"],
    ),
}


@pytest.mark.parametrize(("text", "expected"), FILE_PROBLEMS.values(), ids=FILE_PROBLEMS.keys())
def test_problem_of_a_file_stands_at_its_place(text, expected):
    assert found(text) == expected


def test_cycle_is_a_path_with_the_place_of_each_edge():
    text = "jobs:\n  a: {run: x, depends_on: [c]}\n  b: {run: x, depends_on: [a]}\n  c: {run: x, depends_on: [b]}\n"
    (problem,) = load_text(text).problems
    assert spelled(problem) == "E204 2:28-29"
    assert problem.message == "dependency cycle: a -> c -> b -> a"
    assert problem.why == (
        f"'a' waits for 'c' ({FILE}:2:28); 'c' waits for 'b' ({FILE}:4:28); 'b' waits for 'a' ({FILE}:3:28)"
    )


def test_cycles_apart_from_each_other_are_all_told():
    text = "jobs:\n" + "".join(f"  {a}: {{run: x, depends_on: [{b}]}}\n" for a, b in ("ab", "ba", "cd", "dc", "ee"))
    assert sorted(found(text)) == ["E202 6:28-29", "E204 2:28-29", "E204 4:28-29"]


def test_long_cycle_is_told_in_part():
    ring = "".join(f"  j{n}: {{run: x, depends_on: [j{(n + 1) % 500}]}}\n" for n in range(500))
    (problem,) = load_text("jobs:\n" + ring).problems
    assert "more" in problem.message
    assert len(problem.message + problem.why) < 5000


def test_after_many_guesses_wrong_names_are_told_without_one():
    edges = "".join(f"  job-{n}: {{run: x, depends_on: [jib-{n}]}}\n" for n in range(2_000))
    problems = load_text("jobs:\n" + edges).problems
    assert len(problems) == 2_000
    assert problems[0].fix.startswith("did you mean 'job-")
    assert problems[-1].fix == "declare it, or remove it from depends_on"


def test_job_declared_in_two_files_names_both_places():
    one, two = "jobs: {a: {run: x}}\n", "jobs:\n  a: {run: y}\n"
    (problem,) = load_texts({"/srv/1.yaml": one, "/srv/2.yaml": two}, NOW).problems
    assert (problem.file, spelled(problem)) == ("/srv/2.yaml", "E203 2:3-4")
    assert problem.why == "the other one is /srv/1.yaml:1:8"


def test_pool_with_two_capacities_names_both_places():
    one, two = "pools: {db: 1}\njobs: {}\n", "pools: {db: 2}\njobs: {}\n"
    (problem,) = load_texts({"/srv/1.yaml": one, "/srv/2.yaml": two}, NOW).problems
    assert (problem.file, spelled(problem)) == ("/srv/2.yaml", "E209 1:9-11")
    assert "/srv/1.yaml:1:9" in problem.why


def test_pool_with_two_rates_names_both():
    one, two = "pools: {db: {slots: 1, rate_limit: 1/1m}}\njobs: {}\n", "pools: {db: 1}\njobs: {}\n"
    (problem,) = load_texts({"/srv/1.yaml": one, "/srv/2.yaml": two}, NOW).problems
    assert problem.message == "the pool 'db' is declared with 1 slot and rate_limit 1/1m and with 1 slot"


def test_problems_of_all_files_come_at_once():
    files = {"/srv/1.yaml": "jobs: [\n", "/srv/2.yaml": "jobs: {a: {run: x, needs: [b]}}\n", "/srv/3.yaml": ""}
    codes = [(problem.file[-6], problem.code) for problem in load_texts(files, NOW).problems]
    assert codes == [("1", "E005"), ("2", "E101"), ("3", "E012")]


def test_an_unreadable_file_does_not_make_its_jobs_unknown():
    files = {"/srv/1.yaml": "jobs: [\n", "/srv/2.yaml": "jobs: {b: {run: x, depends_on: [a], pool: p}}\n"}
    assert [problem.code for problem in load_texts(files, NOW).problems] == ["E005"]


def test_unknown_upstream_reads_as_the_handbook_shows():
    text = "jobs:\n  extract:\n    run: x\n  load:\n    run: y\n    depends_on: [extrct]\n"
    assert render(load_texts({"jobs.yaml": text}, NOW).problems, "human") == (
        "jobs.yaml:6:18: error E201: unknown upstream job 'extrct'\n"
        "    6 |     depends_on: [extrct]\n"
        "      |                  ^^^^^^\n"
        "  why: 'load' can only wait for a job declared in the files that are loaded together\n"
        "  fix: did you mean 'extract' (jobs.yaml:2:3)?\n"
        "\n1 error\n"
    )


HINTS = {
    "needs": "depends_on", "depends": "depends_on", "dependsOn": "depends_on", "cron": "schedule",
    "command": "run", "cmd": "run", "script": "run", "retries": "retry", "concurrency_policy": "overlap",
    "dependson": "depends_on", "shedule": "schedule", "timeOut": "timeout", "working_dir": "cwd",
}  # fmt: skip


@pytest.mark.parametrize(("word", "meant"), HINTS.items())
def test_word_of_a_peer_is_answered_with_ours(word, meant):
    problem = next(each for each in load_text(file_of(f"run: x\n{word}: y")).problems if each.code == "E101")
    assert problem.fix == f"did you mean '{meant}'?"


def test_unknown_key_that_stands_for_run_is_told_once():
    assert found(file_of("command: ./x.sh")) == ["E101 3:5-12"]


def test_steps_at_the_top_are_answered_with_jobs():
    fixes = [problem.fix for problem in load_text("steps: {}\n").problems if problem.code == "E101"]
    assert fixes == ["did you mean 'jobs'?"]


def test_hints_name_keys_that_exist():
    from dagsched.config import schema

    defs = schema()["$defs"]
    known = {*schema()["properties"]}
    for part in ("job", "retry", "withHttp", "withPython", "withWorkflow", "notifyRule", "notifierEmail"):
        known |= defs[part]["properties"].keys()
    assert {meant.partition(":")[0] for meant in PEER_WORDS.values()} <= known


def test_message_never_repeats_what_is_long():
    text = file_of(f"run: x\ntrigger_rule: {'y' * 100_000}\nenv: {{{'z' * 100_000}: 1}}")
    for problem in load_text(text).problems:
        assert len(problem.message + problem.why + problem.fix + problem.excerpt) < 1500


def _is_complete(problem):
    return problem.why and problem.fix and (problem.excerpt or problem.code == "E140")


def test_every_problem_in_these_tables_has_a_reason_and_a_fix():
    texts = [file_of(lines) for lines, _ in JOB_PROBLEMS.values()] + [text for text, _ in FILE_PROBLEMS.values()]
    problems = [problem for text in texts for problem in load_text(text).problems]
    assert [problem.message for problem in problems if not _is_complete(problem)] == []
    assert {problem.code for problem in problems} <= CODES.keys()


def test_a_secret_that_was_written_down_is_not_shown_again():
    (problem,) = load_text(file_of("run: x\nsecrets: {A: hunter2}")).problems
    assert problem.code == "E140"
    assert "hunter2" not in "".join(map(str, problem))
