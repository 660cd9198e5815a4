-- What schedulers and workers say to each other. Notifications only make it quick: each of these is asked from time to
-- time without one as well.

-- name: put_release
-- Say of which release the active scheduler is.
UPDATE guidance SET version = %(version)s WHERE id = 1 AND version <> %(version)s

-- name: put_hidden
-- Say which environment variables are secrets.
UPDATE guidance SET hidden = %s WHERE id = 1

-- name: release
-- The release of the scheduler that became active last, "" if none ever did.
SELECT version FROM guidance WHERE id = 1

-- name: dispatch
-- Hand attempts to workers.
SELECT dispatch(%s::json)

-- name: settle
-- Forget attempts of workers whose end is in the same transaction.
SELECT settle(%s::json)

-- name: dispatched
-- The open attempts that are workers' business.
SELECT job, tick, number FROM dispatches

-- name: left_open
-- The open attempts that other schedulers have.
SELECT job, tick, number FROM attempts WHERE ended IS NULL AND place <> %s AND place NOT LIKE '@%%'

-- name: reports
-- What workers have reported, beginnings and ends, and how attempts of other schedulers ended.
SELECT job, tick, number, began, ended FROM dispatches WHERE began <> '' OR ended <> ''
UNION ALL
SELECT job, tick, number, '', ended FROM ends

-- name: stop_dispatch
-- Tell the worker that has an attempt to end it; one that nobody has taken yet has ended with that.
UPDATE dispatches SET
    stopping = %(cause)s, ended = CASE WHEN fence = 0 THEN %(ended)s ELSE '' END
WHERE job = %(job)s AND tick = %(tick)s AND number = %(number)s AND ended = ''
RETURNING worker

-- name: tell_worker
-- Wake a worker to look at what it has.
SELECT pg_notify(current_schema() || '_stops', %s)

-- name: tell_scheduler
-- Wake the scheduler to look at what was reported.
SELECT pg_notify(current_schema() || '_ends', '')

-- name: lose_dispatches
-- End the attempts of workers that were not heard of until nothing of them can be alive.
-- Their rows are locked, so that one which comes back meanwhile finds its attempts ended; one that is just coming back
-- keeps them, and is not waited for: the ledger is locked here.
WITH gone AS MATERIALIZED (
    SELECT place FROM workers WHERE safe_after <= clock_timestamp() FOR UPDATE SKIP LOCKED
)
UPDATE dispatches SET ended = %s
WHERE fence > 0 AND ended = '' AND (
    worker IN (SELECT place FROM gone) OR NOT EXISTS (SELECT FROM workers WHERE place = dispatches.worker)
)
RETURNING job, tick, number

-- name: lose_attempts
-- End the attempts of other schedulers from which nothing was heard until nothing of them can be alive.
-- Their rows are locked, so that one which comes back meanwhile finds that out.
WITH gone AS MATERIALIZED (
    SELECT place FROM schedulers WHERE safe_after <= clock_timestamp() AND place <> %(place)s FOR UPDATE SKIP LOCKED
)
INSERT INTO ends (job, tick, number, ended)
SELECT job, tick, number, %(ended)s FROM attempts WHERE ended IS NULL AND place IN (SELECT place FROM gone)
ON CONFLICT (job, tick, number) DO NOTHING
RETURNING job, tick, number

-- name: has_ends
-- Whether anything was said of how attempts of other schedulers ended.
SELECT 1 FROM ends LIMIT 1

-- name: forget_ends
-- Forget how attempts ended whose end has been committed.
DELETE FROM ends WHERE NOT EXISTS (
    SELECT FROM attempts
    WHERE attempts.job = ends.job AND attempts.tick = ends.tick AND attempts.number = ends.number AND ended IS NULL
)

-- name: take_ends_back
-- Forget what was said of attempts of a state directory: from now on its own scheduler goes by what its spawner knows.
DELETE FROM ends USING attempts
WHERE attempts.job = ends.job AND attempts.tick = ends.tick AND attempts.number = ends.number AND attempts.place = %s

-- name: vouch
-- Put off from when on attempts of a scheduler that stands by can be alive no more; no row when that has come already.
UPDATE schedulers SET safe_after = greatest(safe_after, clock_timestamp() + make_interval(secs => %(safe_s)s))
WHERE place = %(place)s AND safe_after > clock_timestamp()
RETURNING place

-- name: report_ends
-- Say how attempts of a scheduler that stands by ended, of those that are its to end; answers which of that was new.
-- As long as nobody has become active since it was, it may be the next, and then goes by what its own spawner knows. The
-- ticks say which partitions are looked at.
INSERT INTO ends (job, tick, number, ended)
SELECT written.job, written.tick, written.number, written.ended
FROM json_to_recordset(%(ends)s::json) AS written (job text, tick bigint, number bigint, ended text)
    JOIN attempts USING (job, tick, number)
WHERE attempts.ended IS NULL AND attempts.place = %(place)s AND attempts.tick = ANY(%(ticks)s)
    AND EXISTS (SELECT FROM ledger WHERE id = 1 AND ledger.place <> %(place)s)
ON CONFLICT (job, tick, number) DO NOTHING
RETURNING job

-- name: is_led
-- Whether another one than the scheduler of this state directory was the last to become active.
SELECT place <> %s FROM ledger WHERE id = 1

-- name: remaining
-- The open attempts of a state directory.
SELECT job, tick, number FROM attempts WHERE ended IS NULL AND place = %s

-- name: told_to_end
-- Why runs have been told to end, of all that have, with these ticks and of these jobs.
SELECT job, tick, stopping FROM runs WHERE tick = ANY(%(ticks)s) AND job = ANY(%(jobs)s) AND stopping <> ''

-- name: mend_deliveries
-- Deliver again what got lost, and end what nobody waits for.
SELECT mend_deliveries()

-- name: forget_workers
-- Forget workers that went long ago without a word and have no attempts open.
DELETE FROM workers WHERE seen < clock_timestamp() - interval '1 day'
    AND NOT EXISTS (SELECT FROM dispatches WHERE worker = workers.place)

-- name: workers
-- All workers, with how many attempts each has, and whether its lease runs.
SELECT
    name, queues, labels, slots, (SELECT count(*) FROM dispatches WHERE worker = workers.place AND ended = ''), version,
    started, seen, lease_until > clock_timestamp(), draining
FROM workers ORDER BY name

-- name: queues
-- What waits for a worker, by queue and labels: how many attempts, and since when the oldest.
SELECT queue, labels, count(*), min(since) FROM dispatches WHERE fence = 0 AND ended = '' GROUP BY queue, labels
ORDER BY queue, labels

-- name: handed
-- What queue and labels an open attempt is for, who has it ("" for nobody), and since when it is handed out.
SELECT queue, dispatches.labels, coalesce(workers.name, worker), since
FROM dispatches LEFT JOIN workers ON workers.place = dispatches.worker
WHERE job = %s AND tick = %s AND number = %s AND ended = ''

-- name: put_worker
-- Say that a worker is here, and until when it may act.
INSERT INTO workers VALUES (
    %(place)s, %(name)s, %(pid)s, %(queues)s, %(labels)s, %(slots)s, %(version)s, %(started)s, clock_timestamp(),
    clock_timestamp() + make_interval(secs => %(lease_s)s), clock_timestamp() + make_interval(secs => %(safe_s)s),
    %(draining)s
)
ON CONFLICT (place) DO UPDATE SET
    name = excluded.name, pid = excluded.pid, queues = excluded.queues, labels = excluded.labels,
    slots = excluded.slots, version = excluded.version, started = excluded.started, seen = excluded.seen,
    lease_until = excluded.lease_until, safe_after = greatest(workers.safe_after, excluded.safe_after),
    draining = excluded.draining

-- name: forget_worker
-- Forget a worker that goes and leaves no attempts behind.
DELETE FROM workers WHERE place = %s AND NOT EXISTS (SELECT FROM dispatches WHERE worker = workers.place AND ended = '')

-- name: take
-- Take attempts for a worker.
SELECT * FROM take(%s, %s, %s)

-- name: held
-- The open attempts that a worker has taken.
SELECT * FROM held(%s)

-- name: begin_dispatches
-- Say that a worker's attempts have processes.
UPDATE dispatches SET began = written.began
FROM json_to_recordset(%s::json) AS written (job text, tick bigint, number bigint, fence bigint, began text)
WHERE dispatches.job = written.job AND dispatches.tick = written.tick AND dispatches.number = written.number
    AND dispatches.fence = written.fence AND dispatches.ended = ''

-- name: end_dispatches
-- Say how a worker's attempts ended; answers the fences of those that were its to end.
UPDATE dispatches SET ended = written.ended
FROM json_to_recordset(%s::json) AS written (job text, tick bigint, number bigint, fence bigint, ended text)
WHERE dispatches.job = written.job AND dispatches.tick = written.tick AND dispatches.number = written.number
    AND dispatches.fence = written.fence AND dispatches.ended IN ('', written.ended)
RETURNING dispatches.fence

-- name: is_dispatched
-- Whether an attempt is still that of this start.
SELECT 1 FROM dispatches WHERE job = %(job)s AND tick = %(tick)s AND number = %(number)s AND fence = %(fence)s
    AND ended = '' FOR SHARE

-- name: put_output
-- Add a piece to what an attempt has written.
INSERT INTO outputs VALUES (%(job)s, %(tick)s, %(number)s, %(first)s, %(data)s)
ON CONFLICT (job, tick, number, first) DO UPDATE SET data = excluded.data

-- name: cut_output
-- Take back what an attempt has written from an offset on.
DELETE FROM outputs WHERE job = %(job)s AND tick = %(tick)s AND number = %(number)s AND first >= %(first)s

-- name: output
-- The next pieces of what an attempt wrote that reach beyond an offset, in order.
SELECT first, data FROM outputs WHERE job = %(job)s AND tick = %(tick)s AND number = %(number)s
    AND first + octet_length(data) > %(after)s
ORDER BY first LIMIT 32

-- name: output_size
-- How much there is of what an attempt wrote, in bytes.
SELECT coalesce(max(first + octet_length(data)), 0) FROM outputs WHERE job = %s AND tick = %s AND number = %s

-- name: forget_outputs
-- Forget what attempts wrote that are not there any more.
DELETE FROM outputs WHERE NOT EXISTS (
    SELECT FROM attempts
    WHERE attempts.job = outputs.job AND attempts.tick = outputs.tick AND attempts.number = outputs.number
)

-- name: delivery_table
-- Where the releases of procrastinate whose tables are here are kept.
CREATE TABLE IF NOT EXISTS delivery (release text PRIMARY KEY, applied timestamptz NOT NULL DEFAULT clock_timestamp())

-- name: delivery_release
-- The release of procrastinate whose tables are here, unknown if none is.
SELECT (SELECT release FROM delivery ORDER BY applied DESC LIMIT 1)

-- name: put_delivery_release
-- Remember that its tables were brought up to that.
INSERT INTO delivery (release) VALUES (%s) ON CONFLICT (release) DO UPDATE SET applied = clock_timestamp()
