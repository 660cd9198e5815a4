"""What is shown of jobs and runs: questions to a store, and their answers as the JSON rows that programs rely on.

The command line and the API both ask here, so that both give the same rows.

rows.py      runs, attempts and events      coming.py   ticks to come
status.py    the daemon and every job       names.py    what a person types → the job or run that is meant
whole.py     one run with all its parts     times.py    what a person types → lengths and instants
graphs.py    who waits for whom             force.py    the configuration in force
values.py    rows → values again
"""
