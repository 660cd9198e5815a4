-- Ids of emitted events, so that the same one makes a tick only once; `number` tells which are the newest.

BEGIN IMMEDIATE;

CREATE TABLE emissions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    event TEXT NOT NULL,
    id TEXT NOT NULL,
    tick INTEGER NOT NULL,
    UNIQUE (event, id)
);

PRAGMA user_version = 5;

COMMIT;
