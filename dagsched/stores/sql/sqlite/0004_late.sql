-- Whether a run was not over at its deadline.

BEGIN IMMEDIATE;

ALTER TABLE runs ADD COLUMN late INTEGER NOT NULL DEFAULT 0;

DROP VIEW runs_readable;
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
    acked,
    late
FROM runs;

PRAGMA user_version = 4;

COMMIT;
