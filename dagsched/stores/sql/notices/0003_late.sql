-- The same of a job that goes on being late: what a notifier knows is of a kind, `failure` or `late`.
BEGIN IMMEDIATE;

CREATE TABLE troubles (
    notifier TEXT NOT NULL,
    kind TEXT NOT NULL,
    job TEXT NOT NULL,
    told INTEGER NOT NULL,
    spared INTEGER NOT NULL,
    PRIMARY KEY (notifier, kind, job)
) WITHOUT ROWID;
INSERT INTO troubles (notifier, kind, job, told, spared) SELECT notifier, 'failure', job, told, spared FROM broken;
DROP TABLE broken;

PRAGMA user_version = 3;

COMMIT;
