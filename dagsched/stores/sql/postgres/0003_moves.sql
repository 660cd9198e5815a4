-- Where this state came from, and where it went: one that went is kept, but nobody writes into it any more. "is_over": the
-- other side has it durably.
CREATE TABLE moves (
    move text PRIMARY KEY,
    time bigint NOT NULL,
    is_from integer NOT NULL,
    other text NOT NULL,
    is_over integer NOT NULL
);
