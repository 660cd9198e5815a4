-- Every statement of the queue of notices.

-- name: use_wal
-- Let readers look on while something is written.
PRAGMA journal_mode = wal

-- name: sync_every_commit
-- A commit has returned only when it is on the disk.
PRAGMA synchronous = full

-- name: version
-- The number of the newest migration applied.
PRAGMA user_version

-- name: begin
-- Start a transaction that has the one write lock from its first moment.
BEGIN IMMEDIATE

-- name: commit
-- Make the transaction durable.
COMMIT

-- name: rollback
-- Forget the transaction.
ROLLBACK

-- name: cursor
-- How far a reader of the event log has come.
SELECT seq FROM cursors WHERE reader = ?

-- name: move_cursor
-- Remember how far a reader has come.
INSERT OR REPLACE INTO cursors (reader, seq) VALUES (?, ?)

-- name: gather
-- Keep one piece of news; one that is there already stays as it is.
INSERT OR IGNORE INTO gathered (notifier, kind, seq, time, due, job, tick, attempt, state, reason, detail)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: due_of_group
-- When the group that is being gathered is complete.
SELECT min(due) FROM gathered WHERE notifier = ? AND kind = ?

-- name: groups
-- Every group that is being gathered, and when it is complete.
SELECT notifier, kind, min(due) FROM gathered GROUP BY notifier, kind

-- name: group
-- The news of one group, oldest first.
SELECT seq, time, job, tick, attempt, state, reason, detail FROM gathered WHERE notifier = ? AND kind = ? ORDER BY seq

-- name: is_gathered
-- Whether there is news of a job in a group.
SELECT 1 FROM gathered WHERE notifier = ? AND kind = ? AND job = ? LIMIT 1

-- name: drop_group
-- Forget a group up to a number.
DELETE FROM gathered WHERE notifier = ? AND kind = ? AND seq <= ?

-- name: new_message
-- Queue a message; one with this id is there already when a transaction is done again.
INSERT OR IGNORE INTO messages
    (id, notifier, kind, title, body, state, created, tries, next_try, ended, error)
VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?)

-- name: waiting_of
-- How many messages of a notifier wait.
SELECT count(*) FROM messages WHERE state = 'waiting' AND notifier = ?

-- name: first_waiting
-- The oldest waiting message of each notifier.
SELECT id, notifier, body, tries, next_try FROM messages
WHERE number IN (SELECT min(number) FROM messages WHERE state = 'waiting' GROUP BY notifier)

-- name: put_message
-- Remember what became of a try.
UPDATE messages SET state = ?, tries = ?, next_try = ?, ended = ?, error = ? WHERE id = ?

-- name: trim
-- Keep the newest messages of a state.
DELETE FROM messages WHERE state = :state AND number <= (
    SELECT number FROM messages WHERE state = :state ORDER BY number DESC LIMIT 1 OFFSET :kept
)

-- name: counts
-- How many messages there are in each state.
SELECT state, count(*) FROM messages GROUP BY state

-- name: messages
-- Messages, newest first.
SELECT id, notifier, kind, title, state, created, tries, next_try, ended, error FROM messages
WHERE :all OR state IN ('failed', 'dropped') ORDER BY number DESC LIMIT :limit

-- name: was_told
-- Whether a notifier knows of a broken run.
SELECT 1 FROM told WHERE notifier = ? AND job = ? AND tick = ?

-- name: tell
-- Remember that a notifier knows of a broken run.
INSERT OR REPLACE INTO told (notifier, job, tick, seq) VALUES (?, ?, ?, ?)

-- name: forget_told
-- Keep what was told last.
DELETE FROM told WHERE seq <= (SELECT seq FROM told ORDER BY seq DESC LIMIT 1 OFFSET ?)

-- name: is_troubled
-- Whether a notifier knows that a job fails, or is late.
SELECT 1 FROM troubles WHERE notifier = ? AND kind = ? AND job = ?

-- name: trouble
-- Remember that a notifier knows that a job fails, or is late.
INSERT OR REPLACE INTO troubles (notifier, kind, job, told, spared) VALUES (?, ?, ?, ?, 0)

-- name: last_told
-- When a notifier was last told of it, and how often it was spared since.
SELECT told, spared FROM troubles WHERE notifier = ? AND kind = ? AND job = ?

-- name: spare
-- Count news that a notifier is not told of.
UPDATE troubles SET spared = spared + 1 WHERE notifier = ? AND kind = ? AND job = ?

-- name: mend
-- Forget that a job fails, or is late.
DELETE FROM troubles WHERE notifier = ? AND kind = ? AND job = ?
