-- Version 1 of the journal. Times are milliseconds since 1970 UTC.
CREATE TABLE lease (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    epoch    INTEGER NOT NULL,
    pid      INTEGER NOT NULL,
    host     TEXT NOT NULL,
    boot_id  TEXT NOT NULL,
    what     TEXT NOT NULL,
    started  INTEGER NOT NULL
) STRICT;
INSERT INTO lease VALUES (1, 0, 0, '', '', '', 0);

CREATE TABLE jobs (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    epoch      INTEGER NOT NULL,
    verb       TEXT NOT NULL,
    cluster    TEXT NOT NULL,
    exclusive  TEXT,
    title      TEXT NOT NULL,
    state      TEXT NOT NULL,
    asked_by   TEXT NOT NULL,
    created    INTEGER NOT NULL,
    started    INTEGER,
    ended      INTEGER,
    progress   TEXT NOT NULL DEFAULT '{"basis_points":null,"rate":0.0,"left_ms":null,"moved":null}',
    error      TEXT,
    resumable  INTEGER NOT NULL,
    command    TEXT,
    plan       TEXT NOT NULL,
    receipt    TEXT
) STRICT;
CREATE INDEX jobs_by_cluster ON jobs (cluster, id);

CREATE TABLE steps (
    job      INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,
    n        INTEGER NOT NULL,
    name     TEXT NOT NULL,
    unit     TEXT NOT NULL,
    started  INTEGER NOT NULL,
    ended    INTEGER,
    done     INTEGER NOT NULL,
    total    INTEGER,
    PRIMARY KEY (job, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE lines (
    job    INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,
    n      INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    level  TEXT NOT NULL,
    text   TEXT NOT NULL,
    PRIMARY KEY (job, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE resume (
    n      INTEGER PRIMARY KEY AUTOINCREMENT,
    job    INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,
    key    TEXT NOT NULL,
    value  TEXT NOT NULL,
    UNIQUE (job, key)
) STRICT;

-- One row per slot of a cluster's daily schedule: a slot has one run, which may be tried again.
CREATE TABLE slots (
    cluster   TEXT NOT NULL,
    slot_utc  INTEGER NOT NULL,
    attempts  INTEGER NOT NULL,
    tried_at  INTEGER NOT NULL,
    job       INTEGER NOT NULL,
    PRIMARY KEY (cluster, slot_utc)
) STRICT, WITHOUT ROWID;

-- Since when a cluster's schedule is as it is: slots before that are nobody's fault.
CREATE TABLE schedules (
    cluster  TEXT PRIMARY KEY,
    since    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE messages (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    at       INTEGER NOT NULL,
    level    TEXT NOT NULL,
    cluster  TEXT,
    text     TEXT NOT NULL,
    seen     INTEGER NOT NULL DEFAULT 0
) STRICT;

PRAGMA user_version = 1;
