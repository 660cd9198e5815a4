-- The first shape of the state. Instants are integer milliseconds since 1970-01-01T00:00:00Z.
BEGIN IMMEDIATE;

PRAGMA application_id = 1684105075;  -- "dags"

-- One row: who may write (epoch), and how far the event log has come, pruned events included.
CREATE TABLE ledger (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    epoch INTEGER NOT NULL,
    holder TEXT NOT NULL,
    last_event INTEGER NOT NULL,
    last_seen INTEGER
);
INSERT INTO ledger (id, epoch, holder, last_event, last_seen) VALUES (1, 0, '', 0, NULL);

-- Each configuration that was put in force, with its files.
CREATE TABLE configs (
    number INTEGER PRIMARY KEY,
    applied INTEGER NOT NULL,
    digest TEXT NOT NULL,
    files TEXT NOT NULL,
    summary TEXT NOT NULL
);
CREATE INDEX configs_by_time ON configs (applied, number);

-- Each job as it was when an attempt used it, by hash.
CREATE TABLE definitions (digest TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;

-- What is remembered of a job besides its runs.
CREATE TABLE marks (
    job TEXT PRIMARY KEY,
    cursor INTEGER NOT NULL,
    paused INTEGER,
    started_runs INTEGER NOT NULL,
    schedule_since INTEGER
) WITHOUT ROWID;

-- The ledger of ticks: one row per (job, tick), or per range of ticks left out for one reason.
-- "last" is until, else tick: the instant a row counts by.
CREATE TABLE runs (
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
    PRIMARY KEY (job, tick)
) WITHOUT ROWID;
CREATE INDEX runs_by_job ON runs (job, last, tick);
CREATE INDEX runs_by_time ON runs (last, job, tick);
-- Finds the live runs among any number of finished ones, too.
CREATE INDEX runs_by_state ON runs (state, last, job, tick);
CREATE INDEX runs_ranges ON runs (job, until, tick) WHERE until IS NOT NULL;

-- Each try of a run.
CREATE TABLE attempts (
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
) WITHOUT ROWID;
CREATE INDEX attempts_open ON attempts (job, tick, number) WHERE ended IS NULL;

-- The event log, numbered by the engine without a gap.
CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    type TEXT NOT NULL,
    job TEXT NOT NULL,
    tick INTEGER,
    attempt INTEGER,
    from_state TEXT NOT NULL,
    to_state TEXT NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL
);
CREATE INDEX events_by_job ON events (job, seq);

-- Changing commands left while no daemon ran; AUTOINCREMENT so that a number is never given twice.
CREATE TABLE requests (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time INTEGER NOT NULL,
    verb TEXT NOT NULL,
    body TEXT NOT NULL
);

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

PRAGMA user_version = 1;

COMMIT;
