"""Bare procrastinate: `run_procrastinate.py URL SCHEMA TASKS CONCURRENCY noop|program`; prints figures as JSON.

First all tasks are deferred, then one worker does them until none is left: tasks a second from the first start to the
last end. Then it waits, and gets one task at a time: from the task's row to its start.
"""

import asyncio
import json
import sys
from datetime import datetime

import procrastinate
import psycopg

SINGLE = 20


async def main() -> None:
    url, schema, tasks, concurrency, kind = sys.argv[1:]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}".encode())
    options = f"-csearch_path={schema}"
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url, kwargs={"options": options}))

    @app.task(name="noop")
    async def noop() -> None:
        pass

    @app.task(name="program")
    async def program() -> None:
        process = await asyncio.create_subprocess_exec("true")
        await process.wait()

    task = {"noop": noop, "program": program}[kind]
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        await task.batch_defer_async(*[{} for _ in range(int(tasks))])
        await app.run_worker_async(concurrency=int(concurrency), wait=False, install_signal_handlers=False)
        working = asyncio.create_task(app.run_worker_async(install_signal_handlers=False))
        await asyncio.sleep(1)
        for _ in range(SINGLE):
            await task.defer_async()
            await asyncio.sleep(0.2)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
    with psycopg.connect(url, options=options) as connection:
        times: dict[int, dict[str, datetime]] = {}
        for number, kind, at in connection.execute("SELECT job_id, type::text, at FROM procrastinate_events"):
            times.setdefault(number, {})[kind] = at
    many = [each for number, each in times.items() if number <= int(tasks)]
    took_s = (max(each["succeeded"] for each in many) - min(each["started"] for each in many)).total_seconds()
    waits = [each["started"] - each["deferred"] for number, each in times.items() if number > int(tasks)]
    print(json.dumps({"rate": int(tasks) / took_s, "waits_s": sorted(wait.total_seconds() for wait in waits)}))


asyncio.run(main())
