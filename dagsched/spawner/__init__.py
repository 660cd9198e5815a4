"""The small process that is the parent of every local attempt.

It is started once per state directory, in a session of its own, and outlives the daemon: a daemon that was
killed or upgraded connects again and finds finished work finished and living work alive. It imports nothing
of dagsched and nothing outside the standard library, and avoids the heavy parts of that, so that it starts
in milliseconds and stays small. The package is run by path (`python -I -S dagsched/spawner/__main__.py`),
so that `dagsched/__init__.py` is never imported in it.

    __main__.py    arguments, the lock, the first connection
    server.py      the loop: orders in, processes started and reaped, exits out
    work.py        every attempt from its order to its exit record
    attempt.py     one attempt while it is known here
    spawning.py    an order becomes a process
    forks.py       attempts forked from a warm process
    family.py      whose process is that? Attribution, signals to everything an attempt left
    processes.py   what the kernel says about processes (/proc, prctl)
    cgroups.py     a cgroup (v2) around the spawner, where one may be made
    remains.py     killing what an earlier spawner left when it was killed itself
    journal.py     the durable file: starts and exits
    logs.py        output of an attempt: a file that costs next to nothing while it is empty
    say.py         its own log
    timers.py      what is to be done later
    wire.py        messages over the socket
"""
