-- Ticks that people asked for, and how far that has come.

BEGIN IMMEDIATE;

CREATE TABLE backfills (
    id INTEGER PRIMARY KEY,
    job TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    newest_first INTEGER NOT NULL,
    max_active INTEGER NOT NULL,
    downstream INTEGER NOT NULL,
    again TEXT NOT NULL,
    params TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    position INTEGER,
    total INTEGER NOT NULL,
    handled INTEGER NOT NULL,
    made INTEGER NOT NULL,
    reopened INTEGER NOT NULL,
    succeeded INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    skipped INTEGER NOT NULL,
    created INTEGER,
    ended INTEGER
);
CREATE INDEX backfills_active ON backfills (id) WHERE state = 'active';

PRAGMA user_version = 6;

COMMIT;
