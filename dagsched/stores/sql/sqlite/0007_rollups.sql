-- Figures of runs by job and day, which stay when the runs are deleted. "dropped" are of rows that are gone, "present"
-- of rows that were there when "rolled" says; a row that is deleted moves from the one to the other.

BEGIN IMMEDIATE;

CREATE TABLE rollups (
    job TEXT NOT NULL,
    day INTEGER NOT NULL,
    part TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (job, day, part)
) WITHOUT ROWID;

-- One row: figures of rows with a last tick before this instant are there.
CREATE TABLE rolled (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    before INTEGER NOT NULL
);

PRAGMA user_version = 7;

COMMIT;
