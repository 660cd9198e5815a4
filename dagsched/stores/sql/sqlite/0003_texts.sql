-- The texts of configurations, each once: a reload stores what it changed and not all there is. `configs.files` names
-- them by hash, `{"/path": ["hash"]}`; rows from before this layout hold the texts themselves, `{"/path": "text"}`.

BEGIN IMMEDIATE;

CREATE TABLE texts (
    digest TEXT PRIMARY KEY,
    body TEXT NOT NULL
);

PRAGMA user_version = 3;

COMMIT;
