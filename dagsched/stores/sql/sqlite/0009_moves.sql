-- Where this state came from, and where it went: one that went is kept, but nobody writes into it any more. "is_over": the
-- other side has it durably.

BEGIN IMMEDIATE;

CREATE TABLE moves (
    move TEXT PRIMARY KEY,
    time INTEGER NOT NULL,
    is_from INTEGER NOT NULL,
    other TEXT NOT NULL,
    is_over INTEGER NOT NULL
) WITHOUT ROWID;

PRAGMA user_version = 9;

COMMIT;
