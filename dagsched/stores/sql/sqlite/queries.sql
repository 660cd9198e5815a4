-- Every statement the SQLite store sends. "{name}" stands for the text of that fragment.
-- Where many rows are written, an empty text stands for NULL; codec.py says why.

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
-- Start a transaction that has the one write lock from its first moment.
BEGIN IMMEDIATE

-- name: begin_read
-- Start a transaction that sees one state throughout.
BEGIN

-- name: commit
-- Make the transaction durable.
COMMIT

-- name: rollback
-- Forget the transaction.
ROLLBACK

-- name: use_wal
-- Keep changes in a log beside the file, so that readers never wait for the writer; answers the mode in use.
PRAGMA journal_mode = wal

-- name: shrink_on_request
-- Let a new file be made shorter a few pages at a time; once it has tables, only a whole copy of it could change that.
PRAGMA auto_vacuum = incremental

-- name: sync_every_commit
-- A commit has returned only when its log frames are on the disk.
PRAGMA synchronous = full

-- name: sync_through_drive
-- On macOS, also empty the drive's own cache; no effect elsewhere.
PRAGMA fullfsync = on

-- name: cache_pages
-- Keep up to 2 MB of pages in memory: the live part of a large history fits, and the kernel keeps the rest at hand.
-- More would fill up over hours and days, and look to whoever watches the daemon like a leak.
PRAGMA cache_size = -2048

-- name: wait_for_locks
-- Wait while another program has the write lock.
PRAGMA busy_timeout = 1000

-- name: wait_for_no_lock
-- Tell at once that another program has the write lock.
PRAGMA busy_timeout = 0

-- name: fold_when_long
-- Bring the log into the file with the commit that makes it longer than 4 MB, as is usual.
PRAGMA wal_autocheckpoint = 1000

-- name: fold_now
-- Bring the log into the file with the next commit.
PRAGMA wal_autocheckpoint = 1

-- name: limit_log
-- Give disk space back when a long reader had let the log grow beyond 64 MB.
PRAGMA journal_size_limit = 67108864

-- name: application
-- The four bytes in the file's header that say whose database it is.
PRAGMA application_id

-- name: version
-- The number of the newest migration applied.
PRAGMA user_version

-- name: page_size
-- The length in bytes that the file's size is a multiple of.
PRAGMA page_size

-- name: integrity
-- What SQLite finds wrong with the file's structure; one row "ok" when nothing.
PRAGMA integrity_check(20)

-- name: fence
-- The epoch that may write, and the number of the newest event.
SELECT epoch, last_event FROM ledger WHERE id = 1

-- name: next_epoch
-- Fence out every earlier writer.
UPDATE ledger SET epoch = epoch + 1, holder = :holder WHERE id = 1

-- name: fence_out
-- Fence out every earlier writer, without becoming one.
UPDATE ledger SET epoch = epoch + 1 WHERE id = 1

-- name: move_log
-- Remember how far the event log has come.
UPDATE ledger SET last_event = :seq, last_seen = :time WHERE id = 1

-- name: log_position
-- Number and time of the newest event ever.
SELECT last_event, last_seen FROM ledger WHERE id = 1

-- name: split_range
-- Remove a range row whose parts follow in the same transaction.
DELETE FROM runs WHERE job = ? AND tick = ?

-- name: put_run
-- Insert a run or bring it up to date.
INSERT INTO runs (
    {run_columns}, last, live
) VALUES (
    ?, ?, nullif(?, ''), ?, ?, ?, nullif(?, ''), nullif(?, ''), nullif(?, ''), nullif(?, ''), ?, ?,
    nullif(?, ''), nullif(?, ''), ?, nullif(?, ''), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
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
INSERT INTO attempts ({attempt_columns}) VALUES (
    ?, ?, ?, ?, nullif(?, ''), nullif(?, ''), nullif(?, ''), nullif(?, ''), ?, nullif(?, ''), ?, ?, ?
)

-- name: put_attempt
-- Insert an attempt or bring it up to date.
INSERT INTO attempts ({attempt_columns}) VALUES (
    ?, ?, ?, ?, nullif(?, ''), nullif(?, ''), nullif(?, ''), nullif(?, ''), ?, nullif(?, ''), ?, ?, ?
)
ON CONFLICT (job, tick, number) DO UPDATE SET
    started = excluded.started, ended = excluded.ended, outcome = excluded.outcome,
    exit_code = excluded.exit_code, signal = excluded.signal, reason = excluded.reason,
    pid = excluded.pid, log = excluded.log, output_bytes = excluded.output_bytes,
    definition = excluded.definition

-- name: put_mark
-- Remember this of a job.
INSERT OR REPLACE INTO marks (job, cursor, paused, started_runs, schedule_since) VALUES (?, ?, ?, ?, ?)

-- name: put_backfill
-- Remember how far a backfill has come.
INSERT OR REPLACE INTO backfills ({backfill_columns})
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: new_event
-- Append to the event log.
INSERT INTO events ({event_columns}) VALUES (
    ?, ?, ?, ?, nullif(?, ''), nullif(?, ''), ?, ?, ?, ?
)

-- name: put_definition
-- Keep a job's definition once.
INSERT OR IGNORE INTO definitions (digest, body) VALUES (?, ?)

-- name: put_text
-- Keep a job file's text under its hash.
INSERT OR IGNORE INTO texts (digest, body) VALUES (?, ?)

-- name: text
-- The text stored under this hash.
SELECT body FROM texts WHERE digest = ?

-- name: has_text
-- Whether a text is stored under this hash.
SELECT 1 FROM texts WHERE digest = ?

-- name: new_config
-- Keep a configuration that is put in force.
INSERT INTO configs (number, applied, digest, files, summary) VALUES (?, ?, ?, ?, ?)

-- name: done_request
-- Remove a command that has been carried out from the inbox.
DELETE FROM requests WHERE id = ?

-- name: put_answer
-- Keep an answer for whoever asks again with its key.
INSERT OR REPLACE INTO answers (key, time, asked, answer) VALUES (?, ?, ?, ?)

-- name: forget_answers
-- Forget answers from before an instant.
DELETE FROM answers WHERE time < ?

-- name: answer
-- The answer kept under a key.
SELECT key, time, asked, answer FROM answers WHERE key = ?

-- name: new_request
-- Leave a command in the inbox.
INSERT INTO requests (time, verb, body) VALUES (?, ?, ?)

-- name: requests
-- The inbox, oldest first.
SELECT id, time, verb, body FROM requests ORDER BY id

-- name: put_emission
-- Remember the id of an emitted event.
INSERT OR REPLACE INTO emissions (event, id, tick) VALUES (?, ?, ?)

-- name: trim_emissions
-- Forget all but the newest so many.
DELETE FROM emissions WHERE number <= (SELECT max(number) FROM emissions) - ?

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
        ifnull((
            SELECT runs.tick FROM runs
            WHERE runs.job = begun.job AND runs.until IS NOT NULL AND runs.until > begun.tick
            ORDER BY runs.until DESC, runs.tick DESC LIMIT 1
        ), tick)
    FROM begun
)
SELECT {run_columns} FROM newest CROSS JOIN runs ON job = its_job AND tick = its_tick

-- name: runs_after
-- Rows of a job whose last tick lies after an instant.
SELECT {run_columns} FROM runs WHERE job = :job AND until IS NULL AND tick > :after
UNION ALL
SELECT {run_columns} FROM runs WHERE job = :job AND until IS NOT NULL AND until > :after

-- name: run
-- The row of exactly this tick.
SELECT {run_columns} FROM runs WHERE job = ? AND tick = ?

-- name: runs_of
-- The rows of exactly these ticks, a JSON list of [job, tick].
SELECT {run_columns} FROM json_each(:wanted) CROSS JOIN runs
WHERE job = json_extract(json_each.value, '$[0]') AND tick = json_extract(json_each.value, '$[1]')

-- name: range_over
-- The range row of a job that ends first at or after an instant; the only one that can cover it.
SELECT {run_columns} FROM runs WHERE job = ? AND until IS NOT NULL AND until >= ?
ORDER BY until, tick LIMIT 1

-- name: live_rows
-- Rows that are not over, by last tick in (after, until].
SELECT {run_columns} FROM runs WHERE live = 1 AND last > :after AND last <= :until

-- name: state_rows_newest
-- Rows that are over in one state, by last tick in (after, until], newest first.
SELECT {run_columns} FROM runs WHERE live = 0 AND state = :state AND last > :after AND last <= :until
ORDER BY last DESC, job DESC, tick DESC LIMIT :limit

-- name: state_rows_oldest
-- Rows that are over in one state, by last tick in (after, until], oldest first.
SELECT {run_columns} FROM runs WHERE live = 0 AND state = :state AND last > :after AND last <= :until
ORDER BY last, job, tick LIMIT :limit

-- name: job_rows_newest
-- Rows of one job for one tick, in (after, until], newest first; states like "|failed|missed|", empty for all.
SELECT {run_columns} FROM runs
WHERE job = :job AND until IS NULL AND tick > :after AND tick <= :until
    AND (:states = '' OR instr(:states, '|' || state || '|') > 0)
ORDER BY tick DESC LIMIT :limit

-- name: job_rows_oldest
-- As job_rows_newest, oldest first.
SELECT {run_columns} FROM runs
WHERE job = :job AND until IS NULL AND tick > :after AND tick <= :until
    AND (:states = '' OR instr(:states, '|' || state || '|') > 0)
ORDER BY tick LIMIT :limit

-- name: job_range_rows_newest
-- Range rows of one job by last tick in (after, until], newest first; states as in job_rows_newest.
SELECT {run_columns} FROM runs
WHERE job = :job AND until IS NOT NULL AND until > :after AND until <= :until
    AND (:states = '' OR instr(:states, '|' || state || '|') > 0)
ORDER BY until DESC, tick DESC LIMIT :limit

-- name: job_range_rows_oldest
-- As job_range_rows_newest, oldest first.
SELECT {run_columns} FROM runs
WHERE job = :job AND until IS NOT NULL AND until > :after AND until <= :until
    AND (:states = '' OR instr(:states, '|' || state || '|') > 0)
ORDER BY until, tick LIMIT :limit

-- name: newest_of_jobs
-- The newest so many rows of each job of a JSON list, by first tick in (after, until], job by job.
SELECT {listed_columns} FROM json_each(:jobs) CROSS JOIN runs
WHERE runs.rowid IN (
    SELECT one.rowid FROM runs AS one
    WHERE one.job = json_each.value AND one.tick > :after AND one.tick <= :until
    ORDER BY one.tick DESC LIMIT :each
)

-- name: attempts
-- The attempts of one run.
SELECT {attempt_columns} FROM attempts WHERE job = ? AND tick = ? ORDER BY number

-- name: attempts_below
-- Attempts in the order in which they were made, from one downwards.
SELECT {attempt_columns}, rowid FROM attempts WHERE rowid < :below ORDER BY rowid DESC LIMIT :limit

-- name: open_attempts
-- Every attempt that has not ended.
SELECT {attempt_columns} FROM attempts WHERE ended IS NULL ORDER BY job, tick, number

-- name: events
-- Events with a greater number, oldest first.
SELECT {event_columns} FROM events WHERE seq > :since ORDER BY seq LIMIT :limit

-- name: job_events
-- Events of one job with a greater number, oldest first.
SELECT {event_columns} FROM events WHERE job = :job AND seq > :since ORDER BY seq LIMIT :limit

-- name: newest_events
-- Events with a number between two, newest first, whose type begins with a text.
SELECT {event_columns} FROM events
WHERE seq > :after AND seq < :before AND substr(type, 1, length(:kind)) = :kind
ORDER BY seq DESC LIMIT :limit

-- name: newest_job_events
-- As newest_events, of one job.
SELECT {event_columns} FROM events
WHERE job = :job AND seq > :after AND seq < :before AND substr(type, 1, length(:kind)) = :kind
ORDER BY seq DESC LIMIT :limit

-- name: marks
-- What is remembered of each job.
SELECT job, cursor, paused, started_runs, schedule_since FROM marks ORDER BY job

-- name: backfills
-- Backfills, newest first.
SELECT {backfill_columns} FROM backfills ORDER BY id DESC LIMIT :limit

-- name: active_backfills
-- Backfills that are under way, oldest first.
SELECT {backfill_columns} FROM backfills WHERE state = 'active' ORDER BY id

-- name: last_backfill
-- The number of the newest backfill ever, 0 if there was none.
SELECT ifnull(max(id), 0) FROM backfills

-- name: configs
-- Configurations applied at or before an instant, newest first.
SELECT number, applied, digest, files, summary FROM configs WHERE applied <= :at
ORDER BY number DESC LIMIT :limit

-- name: definition
-- The job stored under this hash.
SELECT body FROM definitions WHERE digest = ?

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
SELECT job, state, runs, ended FROM totals WHERE job = :job
UNION ALL
SELECT job, state, count(*), NULL FROM runs WHERE live = 1 AND job = :job GROUP BY job, state

-- name: counts_since
-- Per job, of rows that are over in one state with a last tick at or after an instant: rows, and the newest end.
SELECT job, state, count(*), max(ended) FROM runs WHERE live = 0 AND state = :state AND last >= :since GROUP BY job

-- name: live_counts_since
-- Per job and state, of rows that are not over with a last tick at or after an instant: rows.
SELECT job, state, count(*), NULL FROM runs WHERE live = 1 AND last >= :since GROUP BY job, state

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
    WHERE job = :job AND attempts > 0 AND tick >= :since ORDER BY tick DESC LIMIT :limit
) AS tried
LEFT JOIN attempts AS newest
    ON newest.job = tried.job AND newest.tick = tried.tick AND newest.number = tried.attempts

-- name: prunable
-- The next rows of a state, in order of last tick, that are over since before an instant.
SELECT last, job, tick FROM runs
WHERE live = 0 AND state = :state AND last < :before AND (last, job, tick) > (:last, :job, :tick) AND ended < :before
ORDER BY last, job, tick LIMIT :limit

-- name: prunable_of_job
-- The next rows of a job, in order of tick, that are over and whose last tick and end lie before two instants.
SELECT last, job, tick FROM runs
WHERE job = :job AND tick > :tick AND tick < :before AND live = 0 AND last < :before AND ended < :ended
ORDER BY tick LIMIT :limit

-- name: nth_newest
-- The tick of a job's row that comes after so many newer ones.
SELECT tick FROM runs WHERE job = :job ORDER BY tick DESC LIMIT 1 OFFSET :number

-- name: row_facts
-- What one row adds to the figures of its day.
SELECT {facts}
FROM runs LEFT JOIN attempts AS newest
    ON newest.job = runs.job AND newest.tick = runs.tick AND newest.number = runs.attempts
WHERE runs.job = ? AND runs.tick = ?

-- name: job_facts
-- What a job's next rows, in order of tick, add to the figures of their days: those that are over, up to an instant.
SELECT runs.tick, {facts}
FROM runs LEFT JOIN attempts AS newest
    ON newest.job = runs.job AND newest.tick = runs.tick AND newest.number = runs.attempts
WHERE runs.job = :job AND runs.tick > :after AND runs.tick < :before AND runs.last < :before AND runs.live = 0
ORDER BY runs.tick LIMIT :limit

-- name: facts_since
-- The same of a job's rows with a last tick at or after an instant.
SELECT {facts}
FROM runs LEFT JOIN attempts AS newest
    ON newest.job = runs.job AND newest.tick = runs.tick AND newest.number = runs.attempts
WHERE runs.job = :job AND runs.until IS NULL AND runs.tick >= :since AND runs.live = 0
UNION ALL
SELECT last, state, NULL, NULL FROM runs WHERE job = :job AND until IS NOT NULL AND until >= :since AND live = 0

-- name: logs_of
-- Where the logs of a run's attempts are.
SELECT log FROM attempts WHERE job = ? AND tick = ? AND log <> ''

-- name: counted_jobs
-- Jobs that have or had rows which are over.
SELECT DISTINCT job FROM totals ORDER BY job

-- name: rollups
-- The figures of all jobs from a day on.
SELECT job, day, part, body FROM rollups WHERE day >= :since

-- name: job_rollups
-- The figures of a job from a day on.
SELECT job, day, part, body FROM rollups WHERE job = :job AND day >= :since

-- name: rollup
-- The figures of a job on one day.
SELECT body FROM rollups WHERE job = ? AND day = ? AND part = ?

-- name: put_rollup
-- Keep the figures of a job on one day.
INSERT OR REPLACE INTO rollups (job, day, part, body) VALUES (?, ?, ?, ?)

-- name: delete_rollup
-- Forget the figures of a day that has no rows any more.
DELETE FROM rollups WHERE job = ? AND day = ? AND part = ?

-- name: rolled
-- Up to which last tick figures of rows that are there have been worked out.
SELECT before FROM rolled WHERE id = 1

-- name: put_rolled
-- Remember that.
INSERT OR REPLACE INTO rolled (id, before) VALUES (1, ?)

-- name: free_pages
-- How many pages of the file hold nothing.
PRAGMA freelist_count

-- name: give_back
-- Move pages from the end of the file to free ones and cut it shorter.
PRAGMA incremental_vacuum(64)

-- name: fold_log
-- Bring what the log holds into the file, as far as no reader needs it.
PRAGMA wal_checkpoint(PASSIVE)

-- name: delete_run
-- Remove a row that retention gives up.
DELETE FROM runs WHERE job = ? AND tick = ?

-- name: delete_attempts
-- Remove the attempts of such a row.
DELETE FROM attempts WHERE job = ? AND tick = ?

-- name: next_events
-- The number that ends the next stretch of events, and the oldest time in it.
SELECT max(seq), min(time) FROM (SELECT seq, time FROM events WHERE seq > :after ORDER BY seq LIMIT :limit)

-- name: delete_events
-- Remove, within a stretch, old events of rows that are gone, and older ones of no run.
DELETE FROM events
WHERE seq > :after AND seq <= :until AND time < :before AND (
    (tick IS NULL AND time < :loose)
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
FROM ledger, (SELECT max(seq) AS newest FROM events) WHERE newest > last_event

-- name: check_ranges
-- Range rows of one job that overlap.
SELECT 'the range rows of ' || one.job || ' at ' || one.tick || ' and ' || other.tick || ' overlap'
FROM runs AS one JOIN runs AS other
    ON other.job = one.job AND other.until IS NOT NULL AND other.tick > one.tick AND other.tick <= one.until
WHERE one.until IS NOT NULL LIMIT 20

-- name: check_totals
-- Totals that do not count what is there.
SELECT 'the totals say ' || totals.runs || ' ' || totals.state || ' runs of ' || totals.job || ', there are '
    || ifnull(found.runs, 0)
FROM totals LEFT JOIN (SELECT job, state, count(*) AS runs FROM runs WHERE live = 0 GROUP BY job, state) AS found
    ON found.job = totals.job AND found.state = totals.state
WHERE totals.runs <> ifnull(found.runs, 0) LIMIT 20

-- name: went
-- Where the state went, or is just going.
SELECT move, other, is_over FROM moves WHERE is_from = 0

-- name: came
-- Whether the state came by this move.
SELECT 1 FROM moves WHERE move = ? AND is_from = 1

-- name: leave
-- Say that the state is going; from here on nobody leaves a command in it.
INSERT INTO moves (move, time, is_from, other, is_over) VALUES (?, ?, 0, ?, 0)

-- name: left
-- Say that it has gone.
UPDATE moves SET is_over = 1 WHERE move = ? AND is_from = 0

-- name: stay
-- Say that it has not gone after all.
DELETE FROM moves WHERE move = ? AND is_from = 0

-- name: come
-- Say that the state came by this move, and from where.
INSERT INTO moves (move, time, is_from, other, is_over) VALUES (?, ?, 1, ?, 1)

-- name: counters
-- How far everything that is numbered has come: epoch, events and their time, commands, emissions. Fences are of starts on
-- workers, of which a file has none; it only keeps how far they had come.
SELECT
    epoch, last_event, last_seen,
    ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'requests'), 0),
    ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'emissions'), 0),
    ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'fences'), 0)
FROM ledger WHERE id = 1

-- name: put_counters
-- Go on counting events and epochs from there.
UPDATE ledger SET epoch = :epoch + 1, holder = '', last_event = :last_event, last_seen = :last_seen WHERE id = 1

-- name: forget_numbers
-- Forget how far numbering had come in tables that number their rows.
DELETE FROM sqlite_sequence WHERE name IN ('requests', 'emissions', 'fences')

-- name: put_number
-- Go on numbering a table's rows from there.
INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)

-- name: no_journal
-- Write into a file that nobody knows of yet: after a crash it is thrown away.
PRAGMA journal_mode = off

-- name: no_sync
-- Do not wait for the disk, which is told to keep the whole file at the end.
PRAGMA synchronous = off

-- name: weeks_needed
-- The weeks, by their Monday, in which ticks of runs and attempts and instants of events lie.
SELECT DISTINCT 'runs', tick - ((tick - 345600000) % 604800000 + 604800000) % 604800000 FROM runs
UNION SELECT DISTINCT 'runs', tick - ((tick - 345600000) % 604800000 + 604800000) % 604800000 FROM attempts
UNION SELECT DISTINCT 'events', time - ((time - 345600000) % 604800000 + 604800000) % 604800000 FROM events
