-- Rows in the order in which they come, and fewer indexes to keep.
--
-- A commit writes whole pages. With rows kept in the order of (job, tick), each of its rows lay on another page, and so
-- did each entry of an index that began with the job; in the order in which they come, the rows of one commit share a
-- few pages, and a change of state touches no index but the two small ones of what is live.
BEGIN IMMEDIATE;

DROP VIEW runs_readable;
DROP VIEW attempts_readable;
DROP VIEW events_readable;

CREATE TABLE runs_in_order (
    job TEXT NOT NULL,
    tick INTEGER NOT NULL,
    until INTEGER,
    last INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    origin TEXT NOT NULL,
    created INTEGER,
    ready INTEGER,
    started INTEGER,
    ended INTEGER,
    attempts INTEGER NOT NULL,
    attempt_limit INTEGER NOT NULL,
    not_before INTEGER,
    exit_code INTEGER,
    links TEXT NOT NULL,
    stand_in INTEGER,
    patient INTEGER NOT NULL,
    only_this INTEGER NOT NULL,
    stopping TEXT NOT NULL,
    params TEXT NOT NULL,
    outputs TEXT NOT NULL,
    definition TEXT NOT NULL,
    config INTEGER NOT NULL,
    acked INTEGER NOT NULL,
    live INTEGER NOT NULL,
    PRIMARY KEY (job, tick)
);
INSERT INTO runs_in_order SELECT *, state IN ('waiting', 'queued', 'running', 'retrying') FROM runs ORDER BY last;
DROP TABLE runs;
ALTER TABLE runs_in_order RENAME TO runs;

-- What is not over: a row enters when it is made and leaves at its end.
CREATE INDEX runs_live ON runs (job, tick) WHERE live = 1;
-- What is over, each state by time.
CREATE INDEX runs_over ON runs (state, last, job, tick) WHERE live = 0;
CREATE INDEX runs_ranges ON runs (job, until, tick) WHERE until IS NOT NULL;

-- How many rows of a job are over, by state, and when the newest of them ended, rows deleted since included.
-- Kept by the statements that change "runs" themselves: counting a long history takes longer than people wait.
CREATE TABLE totals (
    job TEXT NOT NULL,
    state TEXT NOT NULL,
    runs INTEGER NOT NULL,
    ended INTEGER,
    PRIMARY KEY (job, state)
) WITHOUT ROWID;
INSERT INTO totals SELECT job, state, count(*), max(ended) FROM runs WHERE live = 0 GROUP BY job, state;

CREATE TRIGGER runs_made AFTER INSERT ON runs WHEN new.live = 0
BEGIN
    INSERT INTO totals VALUES (new.job, new.state, 1, new.ended)
    ON CONFLICT (job, state) DO UPDATE SET
        runs = runs + 1, ended = max(ifnull(ended, excluded.ended), ifnull(excluded.ended, ended));
END;

CREATE TRIGGER runs_reopened AFTER UPDATE OF state ON runs
WHEN old.live = 0 AND (new.state <> old.state OR new.ended IS NOT old.ended)
BEGIN
    UPDATE totals SET runs = runs - 1 WHERE job = old.job AND state = old.state;
END;

CREATE TRIGGER runs_ended AFTER UPDATE OF state ON runs
WHEN new.live = 0 AND (new.state <> old.state OR new.ended IS NOT old.ended)
BEGIN
    INSERT INTO totals VALUES (new.job, new.state, 1, new.ended)
    ON CONFLICT (job, state) DO UPDATE SET
        runs = runs + 1, ended = max(ifnull(ended, excluded.ended), ifnull(excluded.ended, ended));
END;

CREATE TRIGGER runs_deleted AFTER DELETE ON runs WHEN old.live = 0
BEGIN
    UPDATE totals SET runs = runs - 1 WHERE job = old.job AND state = old.state;
END;

CREATE TABLE attempts_in_order (
    job TEXT NOT NULL,
    tick INTEGER NOT NULL,
    number INTEGER NOT NULL,
    started INTEGER NOT NULL,
    ended INTEGER,
    outcome TEXT,
    exit_code INTEGER,
    signal INTEGER,
    reason TEXT NOT NULL,
    pid INTEGER,
    log TEXT NOT NULL,
    output_bytes INTEGER NOT NULL,
    definition TEXT NOT NULL,
    PRIMARY KEY (job, tick, number)
);
INSERT INTO attempts_in_order SELECT * FROM attempts ORDER BY started;
DROP TABLE attempts;
ALTER TABLE attempts_in_order RENAME TO attempts;
CREATE INDEX attempts_open ON attempts (job, tick, number) WHERE ended IS NULL;

-- The same rows with instants as text, for people with the sqlite3 shell.
CREATE VIEW runs_readable AS
SELECT
    job,
    strftime('%Y-%m-%dT%H:%M:%S', tick / 1000, 'unixepoch') || printf('.%03dZ', tick % 1000) AS tick,
    strftime('%Y-%m-%dT%H:%M:%S', until / 1000, 'unixepoch') || printf('.%03dZ', until % 1000) AS until,
    state,
    reason,
    origin,
    attempts,
    strftime('%Y-%m-%dT%H:%M:%S', started / 1000, 'unixepoch') || printf('.%03dZ', started % 1000) AS started,
    strftime('%Y-%m-%dT%H:%M:%S', ended / 1000, 'unixepoch') || printf('.%03dZ', ended % 1000) AS ended,
    exit_code,
    acked
FROM runs;

CREATE VIEW attempts_readable AS
SELECT
    job,
    strftime('%Y-%m-%dT%H:%M:%S', tick / 1000, 'unixepoch') || printf('.%03dZ', tick % 1000) AS tick,
    number,
    strftime('%Y-%m-%dT%H:%M:%S', started / 1000, 'unixepoch') || printf('.%03dZ', started % 1000) AS started,
    strftime('%Y-%m-%dT%H:%M:%S', ended / 1000, 'unixepoch') || printf('.%03dZ', ended % 1000) AS ended,
    outcome,
    exit_code,
    signal,
    reason,
    pid,
    log
FROM attempts;

CREATE VIEW events_readable AS
SELECT
    seq,
    strftime('%Y-%m-%dT%H:%M:%S', time / 1000, 'unixepoch') || printf('.%03dZ', time % 1000) AS time,
    type,
    job,
    strftime('%Y-%m-%dT%H:%M:%S', tick / 1000, 'unixepoch') || printf('.%03dZ', tick % 1000) AS tick,
    attempt,
    from_state,
    to_state,
    reason,
    detail
FROM events;

PRAGMA user_version = 2;

COMMIT;
