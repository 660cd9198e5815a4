-- Each state directory from which a scheduler writes or stands by: when it was last heard of, and from when on nothing of
-- the attempts that it has open can be alive any more. Both are the server's own time.
CREATE TABLE schedulers (
    place text PRIMARY KEY,
    holder text NOT NULL,
    seen timestamptz NOT NULL,
    safe_after timestamptz NOT NULL
);
