-- Every statement the PostgreSQL store sends. "{name}" stands for the text of that fragment.
-- Where many rows are written, they come as one JSON text, and in it an empty text stands for NULL; codec.py says why.
-- Names are found in the namespace's schema, which the session puts on its search path.

-- fragment: run_columns
-- The columns of a run in the order codec.run_of reads them.
job, tick, until, state, reason, origin, created, ready, started, ended, attempts, attempt_limit,
not_before, exit_code, links, stand_in, patient, only_this, stopping, params, outputs, definition,
config, acked, late

-- fragment: listed_columns
-- The columns of a run as lists show it, in the order codec.listed_of reads them.
job, tick, until, state, reason, origin, created, ready, started, ended, attempts, attempt_limit, exit_code, config,
acked, late

-- fragment: attempt_columns
-- The columns of an attempt in the order codec.attempt_of reads them.
job, tick, number, started, ended, outcome, exit_code, signal, reason, pid, log, output_bytes, definition

-- fragment: event_columns
-- The columns of an event in the order codec.event_of reads them.
seq, time, type, job, tick, attempt, from_state, to_state, reason, detail

-- fragment: backfill_columns
-- The columns of a backfill in the order codec.backfill_of reads them.
id, job, first, last, newest_first, max_active, downstream, again, params, state, reason, position, total, handled,
made, reopened, succeeded, failed, skipped, created, ended

-- fragment: facts
-- What a row adds to the figures of its day: last tick, state, how long its newest attempt took, and, if no person asked
-- for the run, from its tick to its first start.
runs.last,
    runs.state,
    CASE WHEN runs.until IS NULL THEN newest.ended - newest.started END,
    CASE WHEN runs.until IS NULL AND runs.origin IN ('schedule', 'catchup', 'upstream') THEN
        (SELECT started FROM attempts WHERE job = runs.job AND tick = runs.tick AND number = 1) - runs.tick
    END

-- name: begin_write
-- Start a transaction that writes; the row it locks first is the ledger's.
BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE

-- name: begin_read
-- Start a transaction that sees one state throughout.
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY

-- name: commit
-- Make the transaction durable.
COMMIT

-- name: rollback
-- Forget the transaction.
ROLLBACK

-- name: integrity
-- PostgreSQL looks after its own files; its checksums and amcheck say what is wrong with them.
SELECT 'ok'

-- name: fence
-- The epoch that may write, and the number of the newest event; until the transaction ends no other one changes them.
SELECT epoch, last_event FROM ledger WHERE id = 1 FOR UPDATE

-- name: next_epoch
-- Become the one writer, unless another one's lease runs or the state has moved; fences out every earlier one.
UPDATE ledger SET
    epoch = epoch + 1, holder = %(holder)s, place = %(place)s,
    lease_until = clock_timestamp() + make_interval(secs => %(lease_s)s)
WHERE id = 1 AND (lease_until <= clock_timestamp() OR (epoch = %(mine)s AND epoch > 0))
    AND (%(moves)s OR NOT EXISTS (SELECT FROM moves WHERE is_from = 0))
RETURNING epoch

-- name: put_scheduler
-- Say that this one is here; one that writes also says from when on its attempts can be alive no more.
INSERT INTO schedulers (place, holder, seen, safe_after, remark)
VALUES (
    %(place)s, %(holder)s, clock_timestamp(),
    coalesce(clock_timestamp() + make_interval(secs => %(safe_s)s::double precision), '-infinity'), %(remark)s
)
ON CONFLICT (place) DO UPDATE SET
    holder = excluded.holder, seen = excluded.seen, remark = excluded.remark,
    safe_after = greatest(schedulers.safe_after, excluded.safe_after)

-- name: schedulers
-- Who was heard of lately, whether it is the one who writes, and what it says of itself.
SELECT
    schedulers.holder, schedulers.place = ledger.place AND ledger.lease_until > clock_timestamp() AS is_active,
    schedulers.remark
FROM schedulers, ledger
WHERE ledger.id = 1 AND schedulers.seen > clock_timestamp() - make_interval(secs => %s)
ORDER BY is_active DESC, schedulers.holder

-- name: forget_scheduler
-- Forget one that goes, unless it leaves attempts behind.
DELETE FROM schedulers WHERE place = %(place)s
    AND NOT EXISTS (SELECT FROM attempts WHERE ended IS NULL AND attempts.place = schedulers.place)

-- name: forget_schedulers
-- Forget those that went long ago without a word and have no attempts open.
DELETE FROM schedulers WHERE seen < clock_timestamp() - interval '1 day' AND safe_after < clock_timestamp()
    AND NOT EXISTS (SELECT FROM attempts WHERE ended IS NULL AND attempts.place = schedulers.place)

-- name: log_position
-- Number and time of the newest event ever.
SELECT last_event, last_seen FROM ledger WHERE id = 1

-- name: put_run
-- Insert a run or bring it up to date.
INSERT INTO runs ({run_columns}, last, live)
SELECT
    job, tick, nullif(until, '')::bigint, state, reason, origin, nullif(created, '')::bigint, nullif(ready, '')::bigint,
    nullif(started, '')::bigint, nullif(ended, '')::bigint, attempts, attempt_limit, nullif(not_before, '')::bigint,
    nullif(exit_code, '')::bigint, links, nullif(stand_in, '')::bigint, patient, only_this, stopping, params, outputs,
    definition, config, acked, late, last, live
FROM json_to_recordset(%s::json) AS written (
    job text, tick bigint, until text, state text, reason text, origin text, created text, ready text, started text,
    ended text, attempts bigint, attempt_limit bigint, not_before text, exit_code text, links text, stand_in text,
    patient integer, only_this integer, stopping text, params text, outputs text, definition text, config bigint,
    acked integer, late integer, last bigint, live integer
)
ON CONFLICT (job, tick) DO UPDATE SET
    until = excluded.until, last = excluded.last, live = excluded.live,
    state = excluded.state, reason = excluded.reason, origin = excluded.origin,
    created = excluded.created, ready = excluded.ready, started = excluded.started, ended = excluded.ended,
    attempts = excluded.attempts, attempt_limit = excluded.attempt_limit, not_before = excluded.not_before,
    exit_code = excluded.exit_code, links = excluded.links, stand_in = excluded.stand_in,
    patient = excluded.patient, only_this = excluded.only_this, stopping = excluded.stopping,
    params = excluded.params, outputs = excluded.outputs, definition = excluded.definition,
    config = excluded.config, acked = excluded.acked, late = excluded.late

-- name: new_attempt
-- Insert an attempt that must not exist.
INSERT INTO attempts ({attempt_columns}, place)
SELECT
    job, tick, number, started, nullif(ended, '')::bigint, nullif(outcome, ''), nullif(exit_code, '')::bigint,
    nullif(signal, '')::bigint, reason, nullif(pid, '')::bigint, log, output_bytes, definition, place
FROM json_to_recordset(%s::json) AS written (
    job text, tick bigint, number bigint, started bigint, ended text, outcome text, exit_code text, signal text,
    reason text, pid text, log text, output_bytes bigint, definition text, place text
)

-- name: put_attempt
-- Insert an attempt or bring it up to date.
INSERT INTO attempts ({attempt_columns}, place)
SELECT
    job, tick, number, started, nullif(ended, '')::bigint, nullif(outcome, ''), nullif(exit_code, '')::bigint,
    nullif(signal, '')::bigint, reason, nullif(pid, '')::bigint, log, output_bytes, definition, place
FROM json_to_recordset(%s::json) AS written (
    job text, tick bigint, number bigint, started bigint, ended text, outcome text, exit_code text, signal text,
    reason text, pid text, log text, output_bytes bigint, definition text, place text
)
ON CONFLICT (job, tick, number) DO UPDATE SET
    started = excluded.started, ended = excluded.ended, outcome = excluded.outcome,
    exit_code = excluded.exit_code, signal = excluded.signal, reason = excluded.reason,
    pid = excluded.pid, log = excluded.log, output_bytes = excluded.output_bytes,
    definition = excluded.definition

-- name: put_mark
-- Remember this of a job.
INSERT INTO marks (job, cursor, paused, started_runs, schedule_since)
SELECT job, cursor, paused, started_runs, schedule_since FROM json_to_recordset(%s::json) AS written (
    job text, cursor bigint, paused bigint, started_runs bigint, schedule_since bigint
)
ON CONFLICT (job) DO UPDATE SET
    cursor = excluded.cursor, paused = excluded.paused, started_runs = excluded.started_runs,
    schedule_since = excluded.schedule_since

-- name: put_backfill
-- Remember how far a backfill has come.
INSERT INTO backfills ({backfill_columns})
SELECT {backfill_columns} FROM json_populate_recordset(NULL::backfills, %s::json)
ON CONFLICT (id) DO UPDATE SET
    job = excluded.job, first = excluded.first, last = excluded.last, newest_first = excluded.newest_first,
    max_active = excluded.max_active, downstream = excluded.downstream, again = excluded.again,
    params = excluded.params, state = excluded.state, reason = excluded.reason, position = excluded.position,
    total = excluded.total, handled = excluded.handled, made = excluded.made, reopened = excluded.reopened,
    succeeded = excluded.succeeded, failed = excluded.failed, skipped = excluded.skipped, created = excluded.created,
    ended = excluded.ended

-- name: new_event
-- Append to the event log.
INSERT INTO events ({event_columns})
SELECT
    seq, time, type, job, nullif(tick, '')::bigint, nullif(attempt, '')::bigint, from_state, to_state, reason, detail
FROM json_to_recordset(%s::json) AS written (
    seq bigint, time bigint, type text, job text, tick text, attempt text, from_state text, to_state text, reason text,
    detail text
)

-- name: put_definition
-- Keep a job's definition once.
INSERT INTO definitions (digest, body) VALUES (%s, %s) ON CONFLICT (digest) DO NOTHING

-- name: put_text
-- Keep a job file's text under its hash.
INSERT INTO texts (digest, body) VALUES (%s, %s) ON CONFLICT (digest) DO NOTHING

-- name: text
-- The text stored under this hash.
SELECT body FROM texts WHERE digest = %s

-- name: new_config
-- Keep a configuration that is put in force.
INSERT INTO configs (number, applied, digest, files, summary) VALUES (%s, %s, %s, %s, %s)

-- name: done_request
-- Remove a command that has been carried out from the inbox.
DELETE FROM requests WHERE id = ANY(%s)

-- name: put_answer
-- Keep an answer for whoever asks again with its key.
INSERT INTO answers (key, time, asked, answer)
SELECT key, time, asked, answer FROM json_populate_recordset(NULL::answers, %s::json)
ON CONFLICT (key) DO UPDATE SET time = excluded.time, asked = excluded.asked, answer = excluded.answer

-- name: forget_answers
-- Forget answers from before an instant.
DELETE FROM answers WHERE time < %s

-- name: answer
-- The answer kept under a key.
SELECT key, time, asked, answer FROM answers WHERE key = %s

-- name: new_request
-- Leave a command in the inbox.
INSERT INTO requests (time, verb, body) VALUES (%s, %s, %s) RETURNING id

-- name: requests
-- The inbox, oldest first.
SELECT id, time, verb, body FROM requests ORDER BY id

-- name: put_emission
-- Remember the id of an emitted event.
INSERT INTO emissions (event, id, tick)
SELECT event, id, tick FROM json_to_recordset(%s::json) AS written (event text, id text, tick bigint)
ON CONFLICT (event, id) DO UPDATE SET tick = excluded.tick, number = nextval('emission_numbers')

-- name: trim_emissions
-- Forget all but the newest so many.
DELETE FROM emissions WHERE number <= (SELECT number FROM emissions ORDER BY number DESC OFFSET %s LIMIT 1)

-- name: emissions
-- Ids of emitted events, oldest first.
SELECT event, id, tick FROM emissions ORDER BY number

-- name: live_runs
-- Runs that are not over.
SELECT {run_columns} FROM runs WHERE live = 1

-- name: live_links
-- What runs that are not over wait for, unread: enough to notice a new one.
SELECT job, tick, links, stand_in FROM runs WHERE live = 1

-- name: newest_runs
-- Each job's row with the newest last tick; jobs are found by leaping through an index, not by a scan.
WITH RECURSIVE jobs (job) AS (
    SELECT min(job) FROM runs
    UNION ALL
    SELECT (SELECT min(job) FROM runs WHERE job > jobs.job) FROM jobs WHERE jobs.job IS NOT NULL
),
begun (job, tick) AS (
    SELECT job, (SELECT max(tick) FROM runs WHERE runs.job = jobs.job) FROM jobs WHERE job IS NOT NULL
),
-- A person's tick may lie inside a range, which then ends after it.
newest (its_job, its_tick) AS (
    SELECT
        job,
        coalesce((
            SELECT runs.tick FROM runs
            WHERE runs.job = begun.job AND runs.until IS NOT NULL AND runs.until > begun.tick
            ORDER BY runs.until DESC, runs.tick DESC LIMIT 1
        ), tick)
    FROM begun
)
SELECT {run_columns} FROM newest JOIN runs ON job = its_job AND tick = its_tick

-- name: runs_after
-- Rows of a job whose last tick lies after an instant.
SELECT {run_columns} FROM runs WHERE job = %(job)s AND until IS NULL AND tick > %(after)s
UNION ALL
SELECT {run_columns} FROM runs WHERE job = %(job)s AND until IS NOT NULL AND until > %(after)s

-- name: run
-- The row of exactly this tick.
SELECT {run_columns} FROM runs WHERE job = %s AND tick = %s

-- name: runs_of
-- The rows of exactly these ticks, a JSON list of [job, tick].
SELECT {run_columns} FROM json_array_elements(%(wanted)s::json) AS wanted (pair) CROSS JOIN runs
WHERE job = pair ->> 0 AND tick = (pair ->> 1)::bigint

-- name: range_over
-- The range row of a job that ends first at or after an instant; the only one that can cover it.
SELECT {run_columns} FROM runs WHERE job = %s AND until IS NOT NULL AND until >= %s
ORDER BY until, tick LIMIT 1

-- name: live_rows
-- Rows that are not over, by last tick in (after, until].
SELECT {run_columns} FROM runs WHERE live = 1 AND last > %(after)s AND last <= %(until)s

-- name: state_rows_newest
-- Rows that are over in one state, by last tick in (after, until], newest first.
SELECT {run_columns} FROM runs WHERE live = 0 AND state = %(state)s AND last > %(after)s AND last <= %(until)s
ORDER BY last DESC, job DESC, tick DESC LIMIT nullif(%(limit)s, -1)

-- name: state_rows_oldest
-- Rows that are over in one state, by last tick in (after, until], oldest first.
SELECT {run_columns} FROM runs WHERE live = 0 AND state = %(state)s AND last > %(after)s AND last <= %(until)s
ORDER BY last, job, tick LIMIT nullif(%(limit)s, -1)

-- name: job_rows_newest
-- Rows of one job for one tick, in (after, until], newest first; states like "|failed|missed|", empty for all.
SELECT {run_columns} FROM runs
WHERE job = %(job)s AND until IS NULL AND tick > %(after)s AND tick <= %(until)s
    AND (%(states)s = '' OR strpos(%(states)s, '|' || state || '|') > 0)
ORDER BY tick DESC LIMIT nullif(%(limit)s, -1)

-- name: job_rows_oldest
-- As job_rows_newest, oldest first.
SELECT {run_columns} FROM runs
WHERE job = %(job)s AND until IS NULL AND tick > %(after)s AND tick <= %(until)s
    AND (%(states)s = '' OR strpos(%(states)s, '|' || state || '|') > 0)
ORDER BY tick LIMIT nullif(%(limit)s, -1)

-- name: job_range_rows_newest
-- Range rows of one job by last tick in (after, until], newest first; states as in job_rows_newest.
SELECT {run_columns} FROM runs
WHERE job = %(job)s AND until IS NOT NULL AND until > %(after)s AND until <= %(until)s
    AND (%(states)s = '' OR strpos(%(states)s, '|' || state || '|') > 0)
ORDER BY until DESC, tick DESC LIMIT nullif(%(limit)s, -1)

-- name: job_range_rows_oldest
-- As job_range_rows_newest, oldest first.
SELECT {run_columns} FROM runs
WHERE job = %(job)s AND until IS NOT NULL AND until > %(after)s AND until <= %(until)s
    AND (%(states)s = '' OR strpos(%(states)s, '|' || state || '|') > 0)
ORDER BY until, tick LIMIT nullif(%(limit)s, -1)

-- name: attempts
-- The attempts of one run.
SELECT
    {attempt_columns},
    CASE WHEN place NOT LIKE '@%%' THEN place ELSE coalesce((
        SELECT coalesce(workers.name, worker) FROM dispatches LEFT JOIN workers ON workers.place = dispatches.worker
        WHERE dispatches.job = attempts.job AND dispatches.tick = attempts.tick AND dispatches.number = attempts.number
    ), '') END
FROM attempts WHERE job = %s AND tick = %s ORDER BY number

-- name: open_attempts
-- Every attempt that has not ended.
SELECT {attempt_columns} FROM attempts WHERE ended IS NULL ORDER BY job, tick, number

-- name: events
-- Events with a greater number, oldest first.
SELECT {event_columns} FROM events WHERE seq > %(since)s ORDER BY seq LIMIT nullif(%(limit)s, -1)

-- name: job_events
-- Events of one job with a greater number, oldest first.
SELECT {event_columns} FROM events WHERE job = %(job)s AND seq > %(since)s ORDER BY seq LIMIT nullif(%(limit)s, -1)

-- name: newest_of_jobs
-- The newest so many rows of each job of a JSON list, by first tick in (after, until], job by job.
SELECT newest.* FROM json_array_elements_text(%(jobs)s::json) AS wanted (name) CROSS JOIN LATERAL (
    SELECT {listed_columns} FROM runs
    WHERE job = wanted.name AND tick > %(after)s AND tick <= %(until)s
    ORDER BY tick DESC LIMIT %(each)s
) AS newest

-- name: newest_events
-- Events with a number between two, newest first, whose type begins with a text.
SELECT {event_columns} FROM events
WHERE seq > %(after)s AND seq < %(before)s AND starts_with(type, %(kind)s)
ORDER BY seq DESC LIMIT %(limit)s

-- name: newest_job_events
-- As newest_events, of one job.
SELECT {event_columns} FROM events
WHERE job = %(job)s AND seq > %(after)s AND seq < %(before)s AND starts_with(type, %(kind)s)
ORDER BY seq DESC LIMIT %(limit)s

-- name: marks
-- What is remembered of each job.
SELECT job, cursor, paused, started_runs, schedule_since FROM marks ORDER BY job

-- name: backfills
-- Backfills, newest first.
SELECT {backfill_columns} FROM backfills ORDER BY id DESC LIMIT nullif(%(limit)s, -1)

-- name: active_backfills
-- Backfills that are under way, oldest first.
SELECT {backfill_columns} FROM backfills WHERE state = 'active' ORDER BY id

-- name: last_backfill
-- The number of the newest backfill ever, 0 if there was none.
SELECT coalesce(max(id), 0) FROM backfills

-- name: configs
-- Configurations applied at or before an instant, newest first.
SELECT number, applied, digest, files, summary FROM configs WHERE applied <= %(at)s
ORDER BY number DESC LIMIT nullif(%(limit)s, -1)

-- name: definition
-- The job stored under this hash.
SELECT body FROM definitions WHERE digest = %s

-- name: counts
-- Per job and state: rows, and when the newest of them ended, deleted ones included (unknown for those not over).
SELECT job, state, runs, ended FROM totals
UNION ALL
SELECT job, state, count(*), NULL FROM runs WHERE live = 1 GROUP BY job, state

-- name: last_ends
-- Per job and state: when the newest run that ended so did, deleted ones included.
SELECT job, state, ended FROM totals WHERE ended IS NOT NULL

-- name: job_counts
-- As counts, of one job.
SELECT job, state, runs, ended FROM totals WHERE job = %(job)s
UNION ALL
SELECT job, state, count(*), NULL FROM runs WHERE live = 1 AND job = %(job)s GROUP BY job, state

-- name: counts_since
-- Per job, of rows that are over in one state with a last tick at or after an instant: rows, and the newest end.
SELECT job, state, count(*), max(ended) FROM runs WHERE live = 0 AND state = %(state)s AND last >= %(since)s
GROUP BY job, state

-- name: live_counts_since
-- Per job and state, of rows that are not over with a last tick at or after an instant: rows.
SELECT job, state, count(*), NULL FROM runs WHERE live = 1 AND last >= %(since)s GROUP BY job, state

-- name: lengths
-- Of a job's newest tried rows since an instant: how long the newest attempt took, and, if no person asked for the
-- run, from its tick to its first start.
SELECT
    newest.ended - newest.started,
    CASE WHEN tried.origin IN ('schedule', 'catchup', 'upstream') THEN
        CASE tried.attempts WHEN 1 THEN newest.started ELSE (
            SELECT started FROM attempts WHERE job = tried.job AND tick = tried.tick AND number = 1
        ) END - tried.tick
    END
FROM (
    SELECT job, tick, origin, attempts FROM runs
    WHERE job = %(job)s AND attempts > 0 AND tick >= %(since)s ORDER BY tick DESC LIMIT nullif(%(limit)s, -1)
) AS tried
LEFT JOIN attempts AS newest
    ON newest.job = tried.job AND newest.tick = tried.tick AND newest.number = tried.attempts

-- name: prunable
-- The next rows of a state, in order of last tick, that are over since before an instant.
SELECT last, job, tick FROM runs
WHERE live = 0 AND state = %(state)s AND last < %(before)s AND ended < %(before)s
    AND (last, job, tick) > (%(last)s, %(job)s, %(tick)s)
ORDER BY last, job, tick LIMIT nullif(%(limit)s, -1)

-- name: prunable_of_job
-- The next rows of a job, in order of tick, that are over and whose last tick and end lie before two instants.
SELECT last, job, tick FROM runs
WHERE job = %(job)s AND tick > %(tick)s AND tick < %(before)s AND live = 0 AND last < %(before)s AND ended < %(ended)s
ORDER BY tick LIMIT nullif(%(limit)s, -1)

-- name: nth_newest
-- The tick of a job's row that comes after so many newer ones.
SELECT tick FROM runs WHERE job = %(job)s ORDER BY tick DESC LIMIT 1 OFFSET %(number)s

-- name: row_facts
-- What one row adds to the figures of its day.
SELECT {facts}
FROM runs LEFT JOIN attempts AS newest
    ON newest.job = runs.job AND newest.tick = runs.tick AND newest.number = runs.attempts
WHERE runs.job = %s AND runs.tick = %s

-- name: job_facts
-- What a job's next rows, in order of tick, add to the figures of their days: those that are over, up to an instant.
SELECT runs.tick, {facts}
FROM runs LEFT JOIN attempts AS newest
    ON newest.job = runs.job AND newest.tick = runs.tick AND newest.number = runs.attempts
WHERE runs.job = %(job)s AND runs.tick > %(after)s AND runs.tick < %(before)s
    AND runs.last < %(before)s AND runs.live = 0
ORDER BY runs.tick LIMIT nullif(%(limit)s, -1)

-- name: facts_since
-- The same of a job's rows with a last tick at or after an instant.
SELECT {facts}
FROM runs LEFT JOIN attempts AS newest
    ON newest.job = runs.job AND newest.tick = runs.tick AND newest.number = runs.attempts
WHERE runs.job = %(job)s AND runs.until IS NULL AND runs.tick >= %(since)s AND runs.live = 0
UNION ALL
SELECT last, state, NULL, NULL FROM runs WHERE job = %(job)s AND until IS NOT NULL AND until >= %(since)s AND live = 0

-- name: logs_of
-- Where the logs of a run's attempts are.
SELECT log FROM attempts WHERE job = %s AND tick = %s AND log <> ''

-- name: counted_jobs
-- Jobs that have or had rows which are over.
SELECT DISTINCT job FROM totals ORDER BY job

-- name: rollups
-- The figures of all jobs from a day on.
SELECT job, day, part, body FROM rollups WHERE day >= %(since)s

-- name: job_rollups
-- The figures of a job from a day on.
SELECT job, day, part, body FROM rollups WHERE job = %(job)s AND day >= %(since)s

-- name: rollup
-- The figures of a job on one day.
SELECT body FROM rollups WHERE job = %s AND day = %s AND part = %s

-- name: put_rollup
-- Keep the figures of a job on one day.
INSERT INTO rollups (job, day, part, body) VALUES (%s, %s, %s, %s)
ON CONFLICT (job, day, part) DO UPDATE SET body = excluded.body

-- name: delete_rollup
-- Forget the figures of a day that has no rows any more.
DELETE FROM rollups WHERE job = %s AND day = %s AND part = %s

-- name: rolled
-- Up to which last tick figures of rows that are there have been worked out.
SELECT before FROM rolled WHERE id = 1

-- name: put_rolled
-- Remember that.
INSERT INTO rolled (id, before) VALUES (1, %s) ON CONFLICT (id) DO UPDATE SET before = excluded.before

-- name: delete_run
-- Remove a row that retention gives up.
DELETE FROM runs WHERE job = %s AND tick = %s

-- name: delete_attempts
-- Remove the attempts of such a row.
DELETE FROM attempts WHERE job = %s AND tick = %s

-- name: next_events
-- The number that ends the next stretch of events, and the oldest time in it.
SELECT max(seq), min(time) FROM (
    SELECT seq, time FROM events WHERE seq > %(after)s ORDER BY seq LIMIT %(limit)s
) AS stretch

-- name: delete_events
-- Remove, within a stretch, old events of rows that are gone, and older ones of no run.
DELETE FROM events
WHERE seq > %(after)s AND seq <= %(until)s AND time < %(before)s AND (
    (tick IS NULL AND time < %(loose)s)
    OR (tick IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.job = events.job AND runs.tick = events.tick))
)

-- name: check_orphans
-- Attempts without their run.
SELECT 'attempt ' || number || ' of ' || job || ' at ' || tick || ' has no run' FROM attempts
WHERE NOT EXISTS (SELECT 1 FROM runs WHERE runs.job = attempts.job AND runs.tick = attempts.tick)
ORDER BY job, tick, number LIMIT 20

-- name: check_open_attempts
-- Attempts that have not ended although their run has.
SELECT 'attempt ' || attempts.number || ' of ' || runs.job || ' at ' || runs.tick
    || ' is open, its run is ' || runs.state
FROM attempts JOIN runs ON runs.job = attempts.job AND runs.tick = attempts.tick
WHERE attempts.ended IS NULL AND runs.live = 0 LIMIT 20

-- name: check_log
-- Events beyond the number the ledger remembers.
SELECT 'the newest event is ' || newest || ', the ledger says ' || last_event
FROM ledger, (SELECT max(seq) AS newest FROM events) AS log WHERE newest > last_event

-- name: check_ranges
-- Range rows of one job that overlap.
SELECT 'the range rows of ' || one.job || ' at ' || one.tick || ' and ' || other.tick || ' overlap'
FROM runs AS one JOIN runs AS other
    ON other.job = one.job AND other.until IS NOT NULL AND other.tick > one.tick AND other.tick <= one.until
WHERE one.until IS NOT NULL LIMIT 20

-- name: check_totals
-- Totals that do not count what is there.
SELECT 'the totals say ' || totals.runs || ' ' || totals.state || ' runs of ' || totals.job || ', there are '
    || coalesce(found.runs, 0)
FROM totals LEFT JOIN (SELECT job, state, count(*) AS runs FROM runs WHERE live = 0 GROUP BY job, state) AS found
    ON found.job = totals.job AND found.state = totals.state
WHERE totals.runs <> coalesce(found.runs, 0) LIMIT 20

-- name: holder
-- Who writes, where its state directory is, and whether its lease runs.
SELECT holder, place, lease_until > clock_timestamp(), epoch FROM ledger WHERE id = 1

-- name: renew
-- Go on being the one who writes; no row when another one has taken over. Answers the newest command in the inbox.
WITH kept AS (
    UPDATE ledger SET lease_until = clock_timestamp() + make_interval(secs => %(lease_s)s)
    WHERE id = 1 AND epoch = %(epoch)s
    RETURNING id
), heard AS (
    UPDATE schedulers SET
        seen = clock_timestamp(), remark = %(remark)s,
        safe_after = greatest(safe_after, clock_timestamp() + make_interval(secs => %(safe_s)s))
    FROM kept WHERE schedulers.place = %(place)s
)
SELECT (SELECT coalesce(max(id), 0) FROM requests) FROM kept

-- name: let_go
-- End the lease now.
UPDATE ledger SET lease_until = '-infinity', holder = '' WHERE id = 1 AND epoch = %s

-- name: begin_commit
-- Let a commit of this epoch in, and move the log.
SELECT begin_commit(%s, %s, %s, %s, %s)

-- name: split_ranges
-- Remove range rows whose parts follow in the same transaction.
SELECT split_ranges(%s::json)

-- name: weeks
-- Which partitions there are.
SELECT kind, start FROM weeks ORDER BY kind, start

-- name: make_week
-- Make the partitions of a week, unless they are there.
SELECT make_week(%s, %s)

-- name: started_since
-- Attempts that started at or after an instant.
SELECT {attempt_columns} FROM attempts WHERE started >= %s ORDER BY started, job, tick, number

-- name: week_rows
-- The next rows of a week's partition, with what retention must know: end, logs, and what they add to their day.
SELECT
    runs.job, runs.tick, runs.live, runs.ended,
    (SELECT array_agg(log ORDER BY number) FROM attempts
        WHERE attempts.job = runs.job AND attempts.tick = runs.tick AND log <> ''),
    {facts}
FROM runs LEFT JOIN attempts AS newest
    ON newest.job = runs.job AND newest.tick = runs.tick AND newest.number = runs.attempts
WHERE runs.tick >= %(start)s AND runs.tick < %(end)s AND (runs.job, runs.tick) > (%(job)s, %(tick)s)
ORDER BY runs.job, runs.tick LIMIT %(limit)s

-- name: impatient
-- Wait this briefly for what others have locked: readers for a partition's end, a frozen worker while the ledger is.
SET LOCAL lock_timeout = '500ms'

-- name: drop_runs
-- Give up a week of runs and attempts at once.
SELECT drop_runs(%s, %s::json, %s::json)

-- name: kept_events
-- Events of a week that outlive it: of no run and not old enough, or of one that is there.
SELECT seq FROM events
WHERE time >= %(start)s AND time < %(end)s AND (
    (tick IS NULL AND time >= %(loose)s)
    OR EXISTS (SELECT FROM runs WHERE runs.job = events.job AND runs.tick = events.tick)
)

-- name: count_events
-- How many events of a week there are.
SELECT count(*) FROM events WHERE time >= %(start)s AND time < %(end)s

-- name: drop_events
-- Give up a week of events at once.
SELECT drop_events(%s, %s::json)

-- name: bytes_used
-- How many bytes the tables and indexes of this namespace take.
SELECT coalesce(sum(pg_relation_size(oid)), 0)::bigint FROM pg_class
WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'i', 't')

-- name: vacuum
-- Give unused space back, as far as that takes no lock that others wait for.
VACUUM (SKIP_LOCKED, ANALYZE) runs, attempts, events, marks, requests, answers, emissions, totals, rollups

-- name: layout
-- The number of the newest migration applied, 0 when there is no layout here.
SELECT coalesce(max(number), 0) FROM layout

-- name: layout_table
-- Where the numbers of migrations are kept.
CREATE TABLE IF NOT EXISTS layout (number integer PRIMARY KEY, applied timestamptz NOT NULL DEFAULT now())

-- name: put_layout
-- Remember that a migration was applied.
INSERT INTO layout (number) VALUES (%s)

-- name: has_schema
-- Whether this namespace is there. A name's own look-up may answer from before a lock was waited for.
SELECT EXISTS (
    SELECT FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname || '.' || relname = %s
)

-- name: migrating
-- Let only one program at a time migrate this namespace.
SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))

-- name: writers_in_the_way
-- End the sessions that hold the ledger although their lease has ended: their program is frozen, or cut off.
SELECT pg_terminate_backend(pid) FROM pg_locks
WHERE relation = 'ledger'::regclass AND mode = 'RowExclusiveLock' AND granted AND pid <> pg_backend_pid()

-- name: went
-- Where the state went, or is just going.
SELECT move, other, is_over FROM moves WHERE is_from = 0

-- name: came
-- Whether the state came by this move.
SELECT 1 FROM moves WHERE move = %s AND is_from = 1

-- name: settled
-- Wait until whoever is changing the ledger is through with that, so that whether it was made can be told.
SELECT FROM ledger WHERE id = 1 FOR SHARE

-- name: settled_soon
-- Wait that long at most.
SET lock_timeout TO '30s'

-- name: leave
-- Say that the state is going; from here on nobody leaves a command in it.
INSERT INTO moves (move, time, is_from, other, is_over) VALUES (%s, %s, 0, %s, 0)

-- name: left
-- Say that it has gone.
UPDATE moves SET is_over = 1 WHERE move = %s AND is_from = 0

-- name: stay
-- Say that it has not gone after all.
DELETE FROM moves WHERE move = %s AND is_from = 0

-- name: come
-- Say that the state came by this move, and from where.
INSERT INTO moves (move, time, is_from, other, is_over) VALUES (%s, %s, 1, %s, 1)

-- name: no_move
-- Have a move wait that is about to say that the state is going; other writers do not wait.
SELECT 1 FROM ledger WHERE id = 1 FOR KEY SHARE

-- name: begin_move
-- Wait for everybody who leaves a command, and have them wait; answers the epoch that may write.
SELECT epoch FROM ledger WHERE id = 1 FOR UPDATE

-- name: counters
-- How far everything that is numbered has come: epoch, events and their time, commands, emissions, fences.
SELECT
    epoch, last_event, last_seen,
    coalesce(pg_sequence_last_value(pg_get_serial_sequence('requests', 'id')::regclass), 0),
    coalesce(pg_sequence_last_value('emission_numbers'::regclass), 0),
    coalesce(pg_sequence_last_value('fences'::regclass), 0)
FROM ledger WHERE id = 1

-- name: put_counters
-- Go on counting from there, and end the lease of whoever moves the state; no row when it has lost that already.
UPDATE ledger SET
    epoch = greatest(epoch, %(epoch)s) + 1, last_event = %(last_event)s, last_seen = %(last_seen)s, holder = '',
    lease_until = '-infinity'
WHERE id = 1 AND epoch = %(mine)s
RETURNING epoch

-- name: put_fence
-- Go on numbering starts on workers from there.
SELECT setval('fences'::regclass, %s)

-- name: put_request_number
-- Go on numbering commands from there.
SELECT setval(pg_get_serial_sequence('requests', 'id')::regclass, %s)

-- name: put_emission_number
-- Go on numbering emissions from there.
SELECT setval('emission_numbers'::regclass, %s)

-- name: patient
-- Give a long transaction all the time it needs between two statements.
SET LOCAL idle_in_transaction_session_timeout TO 0
