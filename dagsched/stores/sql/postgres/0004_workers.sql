-- Workers, what was handed to them, and what it wrote. Leases and signs of life are the server's own time. Delivery is
-- procrastinate's, whose tables and functions are in this schema as well; its rows only say what may be fetched.

-- What the active scheduler tells all workers: its release, which must be theirs too, and the environment variables that
-- are secrets of some job and so nobody else's.
CREATE TABLE guidance (id integer PRIMARY KEY CHECK (id = 1), version text NOT NULL, hidden text NOT NULL);
INSERT INTO guidance VALUES (1, '', '[]');

-- Each state directory that a worker works in. Until "lease_until" it may take and start attempts; from "safe_after" on
-- nothing that it started can be alive any more.
CREATE TABLE workers (
    place text PRIMARY KEY,
    name text NOT NULL,
    pid bigint NOT NULL,
    queues text NOT NULL,
    labels text NOT NULL,
    slots bigint NOT NULL,
    version text NOT NULL,
    started timestamptz NOT NULL,
    seen timestamptz NOT NULL,
    lease_until timestamptz NOT NULL,
    safe_after timestamptz NOT NULL,
    draining boolean NOT NULL
);

-- One number for each start on any worker, always greater than those before.
CREATE SEQUENCE fences;

-- Open attempts that workers are to do. "delivery" is procrastinate's job; "fence" is 0 until a worker has taken it;
-- "stopping" is why it has been told to end; "began" and "ended" are what the worker has reported, as JSON.
CREATE TABLE dispatches (
    job text COLLATE "C" NOT NULL,
    tick bigint NOT NULL,
    number bigint NOT NULL,
    queue text NOT NULL,
    labels text NOT NULL,
    channel text NOT NULL,
    priority integer NOT NULL,
    env text NOT NULL,
    since timestamptz NOT NULL DEFAULT clock_timestamp(),
    delivery bigint NOT NULL UNIQUE,
    worker text NOT NULL DEFAULT '',
    fence bigint NOT NULL DEFAULT 0,
    stopping text NOT NULL DEFAULT '',
    began text NOT NULL DEFAULT '',
    ended text NOT NULL DEFAULT '',
    PRIMARY KEY (job, tick, number)
) WITH (fillfactor = 70);
CREATE INDEX dispatches_of_workers ON dispatches (worker);

-- What those attempts have written, in pieces; "first" is the offset of a piece.
CREATE TABLE outputs (
    job text COLLATE "C" NOT NULL,
    tick bigint NOT NULL,
    number bigint NOT NULL,
    first bigint NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (job, tick, number, first)
);
ALTER TABLE outputs ALTER data SET STORAGE EXTERNAL;

-- Hand a job of procrastinate's to whoever fetches from its queue, and return its id.
CREATE FUNCTION deliver(its_channel text, its_priority integer, its_job text, its_tick bigint, its_number bigint)
RETURNS bigint LANGUAGE sql AS $$
    SELECT (procrastinate_defer_jobs_v1(ARRAY[ROW(
        its_channel, 'dagsched', its_priority, NULL, NULL,
        jsonb_build_object('job', its_job, 'tick', its_tick, 'number', its_number), NULL
    )::procrastinate_job_to_defer_v1]))[1]
$$;

-- Hand attempts to workers; in the transaction in which they start.
CREATE FUNCTION dispatch(rows json) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    written record;
BEGIN
    FOR written IN SELECT * FROM json_to_recordset(rows) AS written (
        job text, tick bigint, number bigint, queue text, labels text, channel text, priority integer, env text
    ) LOOP
        INSERT INTO dispatches (job, tick, number, queue, labels, channel, priority, env, delivery) VALUES (
            written.job, written.tick, written.number, written.queue, written.labels, written.channel,
            written.priority, written.env,
            deliver(written.channel, written.priority, written.job, written.tick, written.number)
        );
    END LOOP;
END $$;

-- Forget attempts whose end is being committed; their rows say from now on who did them.
CREATE FUNCTION settle(keys json) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE attempts SET place = workers.name
    FROM json_to_recordset(keys) AS key (job text, tick bigint, number bigint)
        JOIN dispatches USING (job, tick, number) JOIN workers ON workers.place = dispatches.worker
    WHERE attempts.job = key.job AND attempts.tick = key.tick AND attempts.number = key.number;
    PERFORM procrastinate_cancel_job_v1(delivery, false, true)
    FROM json_to_recordset(keys) AS key (job text, tick bigint, number bigint) JOIN dispatches USING (job, tick, number)
    WHERE fence = 0;
    DELETE FROM dispatches USING json_to_recordset(keys) AS key (job text, tick bigint, number bigint)
    WHERE dispatches.job = key.job AND dispatches.tick = key.tick AND dispatches.number = key.number;
END $$;

-- Take up to so many attempts from these queues for a worker that holds its lease and is of the scheduler's release: the
-- delivery is over with that, whatever becomes of the attempt.
CREATE FUNCTION take(its_place text, channels varchar[], at_most bigint)
RETURNS TABLE (
    its_job text, its_tick bigint, its_number bigint, its_fence bigint, its_stopping text, its_env text,
    its_params text, its_definition text, its_hidden text
) LANGUAGE plpgsql AS $$
DECLARE
    delivered record;
    fences bigint[] := '{}';
BEGIN
    PERFORM FROM workers JOIN guidance USING (version)
    WHERE place = its_place AND lease_until > clock_timestamp() AND NOT draining;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    WHILE cardinality(fences) < at_most LOOP
        SELECT * INTO delivered FROM procrastinate_fetch_job_v2(channels, NULL);
        EXIT WHEN delivered.id IS NULL;
        PERFORM procrastinate_finish_job_v1(delivered.id, 'succeeded', true);
        UPDATE dispatches SET worker = its_place, fence = nextval('fences')
        WHERE delivery = delivered.id AND fence = 0 AND ended = '';
        IF FOUND THEN
            fences := fences || currval('fences');
        END IF;
    END LOOP;
    RETURN QUERY SELECT * FROM held(its_place) AS mine WHERE mine.its_fence = ANY(fences) ORDER BY mine.its_fence;
END $$;

-- The open attempts that a worker has taken, with what it must know to start them.
CREATE FUNCTION held(its_place text)
RETURNS TABLE (
    its_job text, its_tick bigint, its_number bigint, its_fence bigint, its_stopping text, its_env text,
    its_params text, its_definition text, its_hidden text
) LANGUAGE sql AS $$
    SELECT
        dispatches.job, dispatches.tick, dispatches.number, dispatches.fence, dispatches.stopping, dispatches.env,
        runs.params, definitions.body, guidance.hidden
    FROM guidance, dispatches
        JOIN attempts USING (job, tick, number)
        JOIN runs USING (job, tick)
        JOIN definitions ON definitions.digest = attempts.definition
    WHERE dispatches.worker = its_place AND dispatches.ended = ''
$$;

-- Make deliveries again that got lost, and end those that no attempt waits for any more.
CREATE FUNCTION mend_deliveries() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE dispatches SET delivery = deliver(channel, priority, job, tick, number)
    WHERE fence = 0 AND ended = '' AND NOT EXISTS (
        SELECT FROM procrastinate_jobs WHERE id = dispatches.delivery AND status = 'todo'
    );
    DELETE FROM procrastinate_jobs WHERE task_name = 'dagsched' AND NOT EXISTS (
        SELECT FROM dispatches WHERE delivery = procrastinate_jobs.id AND fence = 0 AND ended = ''
    );
END $$;

CREATE VIEW dispatches_readable AS
SELECT
    job, readable(tick) AS tick, number, queue, dispatches.labels, since, coalesce(workers.name, '') AS worker, fence,
    stopping, ended <> '' AS has_ended
FROM dispatches LEFT JOIN workers ON workers.place = dispatches.worker;
