-- What is to be told, beside the state it is told of. Instants are integer milliseconds since 1970-01-01T00:00:00Z.
BEGIN IMMEDIATE;

PRAGMA application_id = 1684106862;

-- How far each reader of the event log has come.
CREATE TABLE cursors (reader TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;

-- News that is being gathered: one row per line of the event log and notifier.
CREATE TABLE gathered (
    notifier TEXT NOT NULL,
    kind TEXT NOT NULL,
    seq INTEGER NOT NULL,
    time INTEGER NOT NULL,
    due INTEGER NOT NULL,
    job TEXT NOT NULL,
    tick INTEGER,
    attempt INTEGER,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (notifier, kind, seq)
) WITHOUT ROWID;
CREATE INDEX gathered_by_job ON gathered (notifier, kind, job);

-- Messages: waiting, delivered, failed (nobody tries again) or dropped (the queue was full).
CREATE TABLE messages (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    notifier TEXT NOT NULL,
    kind TEXT NOT NULL,
    title TEXT NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL,
    created INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    next_try INTEGER,
    ended INTEGER,
    error TEXT NOT NULL
);
CREATE INDEX messages_by_state ON messages (state, notifier, number);

-- Broken runs that a notifier has been told of, so that what comes after them is not told again.
CREATE TABLE told (
    notifier TEXT NOT NULL,
    job TEXT NOT NULL,
    tick INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (notifier, job, tick)
) WITHOUT ROWID;
CREATE INDEX told_by_age ON told (seq);

-- Jobs whose failure a notifier has been told of, and not yet that they work again.
CREATE TABLE broken (notifier TEXT NOT NULL, job TEXT NOT NULL, PRIMARY KEY (notifier, job)) WITHOUT ROWID;

PRAGMA user_version = 1;

COMMIT;
