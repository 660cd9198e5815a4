-- Of a job that goes on failing: when a notifier was last told of it, and how many failures it was spared since.
BEGIN IMMEDIATE;

ALTER TABLE broken ADD COLUMN told INTEGER NOT NULL DEFAULT 0;
ALTER TABLE broken ADD COLUMN spared INTEGER NOT NULL DEFAULT 0;

PRAGMA user_version = 2;

COMMIT;
