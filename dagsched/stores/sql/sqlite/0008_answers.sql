-- What was answered to somebody who may ask again, not knowing that they were heard: the same key gets the same answer.

BEGIN IMMEDIATE;

CREATE TABLE answers (
    key TEXT PRIMARY KEY,
    time INTEGER NOT NULL,
    asked TEXT NOT NULL,
    answer TEXT NOT NULL
) WITHOUT ROWID;

CREATE INDEX answers_by_time ON answers (time);

PRAGMA user_version = 8;

COMMIT;
