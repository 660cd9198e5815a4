"""The courier: a process of its own that tells people and programs what has happened.

    daemon ── "look" on its standard input ──▶ courier ── reads the event log, gathers, delivers, writes it down
    daemon ◀── how far it has read, when to start it next ── at its end

The daemon starts it when there is something to tell and never waits for it: a slow mail server delays no run, and a
scheduler that tells nobody has loaded no HTTP client. What is due follows from the event log and from how far it has
been read, which the courier's own file keeps (`stores/notices.py`), so neither a crash of the daemon nor one of the
courier loses anything. It ends when it has been idle for a while.
"""
