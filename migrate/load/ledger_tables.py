"""The ledger's tables, step by step: a file of an earlier version gets the steps that it lacks."""

from __future__ import annotations

# STRICT throughout: SQLite would otherwise keep a text in a column of numbers.
_FIRST = """
CREATE TABLE plans (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    begun_at REAL NOT NULL
) STRICT;

CREATE TABLE datasets (
    id INTEGER PRIMARY KEY,
    plan INTEGER NOT NULL REFERENCES plans(id),
    name TEXT NOT NULL,
    dataset_id TEXT NOT NULL,
    place INTEGER NOT NULL,
    count_before INTEGER,
    server_time REAL,
    seconds REAL NOT NULL DEFAULT 0,
    UNIQUE (plan, name)
) STRICT;

CREATE TABLE batches (
    dataset INTEGER NOT NULL REFERENCES datasets(id),
    batch INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('planned', 'sending', 'acked', 'split', 'unknown', 'deferred')),
    attempts INTEGER NOT NULL DEFAULT 0,
    requests INTEGER NOT NULL DEFAULT 0,
    throttled INTEGER NOT NULL DEFAULT 0,
    busy INTEGER NOT NULL DEFAULT 0,
    written INTEGER NOT NULL DEFAULT 0,
    created INTEGER NOT NULL DEFAULT 0,
    rejected INTEGER NOT NULL DEFAULT 0,
    protected INTEGER NOT NULL DEFAULT 0,
    altered INTEGER NOT NULL DEFAULT 0,
    changed_at REAL,
    PRIMARY KEY (dataset, batch)
) STRICT, WITHOUT ROWID;

CREATE TABLE records (
    dataset INTEGER NOT NULL,
    batch INTEGER NOT NULL,
    position INTEGER NOT NULL,
    key TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('written', 'rejected')),
    change TEXT,
    masterid TEXT,
    merged_from TEXT,
    protected TEXT,
    altered TEXT,
    status INTEGER,
    error TEXT,
    settled_at REAL NOT NULL,
    PRIMARY KEY (dataset, batch, position),
    FOREIGN KEY (dataset, batch) REFERENCES batches(dataset, batch)
) STRICT, WITHOUT ROWID;

CREATE INDEX records_by_masterid ON records (dataset, masterid) WHERE masterid IS NOT NULL;

CREATE TABLE merges (
    dataset INTEGER NOT NULL REFERENCES datasets(id),
    gone TEXT NOT NULL,
    survivor TEXT NOT NULL,
    batch INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (dataset, gone)
) STRICT, WITHOUT ROWID;

CREATE TABLE failures (
    id INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    dataset INTEGER NOT NULL REFERENCES datasets(id),
    batch INTEGER NOT NULL,
    status INTEGER NOT NULL,
    reason TEXT NOT NULL,
    request_id TEXT NOT NULL,
    traceparent TEXT NOT NULL,
    payload_sha256 TEXT NOT NULL
) STRICT;
"""
_SECOND = """
ALTER TABLE datasets ADD COLUMN busy_s REAL NOT NULL DEFAULT 0;
ALTER TABLE batches ADD COLUMN readbacks INTEGER NOT NULL DEFAULT 0;
ALTER TABLE records ADD COLUMN stored TEXT;

CREATE TABLE losses (
    dataset INTEGER NOT NULL REFERENCES datasets(id),
    kind TEXT NOT NULL CHECK (kind IN ('protected', 'altered')),
    column_name TEXT NOT NULL,
    records INTEGER NOT NULL,
    PRIMARY KEY (dataset, kind, column_name)
) STRICT, WITHOUT ROWID;

CREATE TABLE merged_before (
    dataset INTEGER NOT NULL REFERENCES datasets(id),
    gone TEXT NOT NULL,
    PRIMARY KEY (dataset, gone)
) STRICT, WITHOUT ROWID;

CREATE TABLE count_marks (
    id INTEGER PRIMARY KEY,
    dataset INTEGER NOT NULL REFERENCES datasets(id),
    at REAL NOT NULL,
    batches_done INTEGER NOT NULL,
    count INTEGER NOT NULL,
    least INTEGER NOT NULL,
    most INTEGER NOT NULL
) STRICT;

CREATE TABLE reject_marks (
    plan TEXT NOT NULL,
    reject TEXT NOT NULL,
    mark TEXT NOT NULL CHECK (mark IN ('discarded', 'replayed')),
    note TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (plan, reject)
) STRICT, WITHOUT ROWID;
"""
_THIRD = """
ALTER TABLE datasets ADD COLUMN target TEXT NOT NULL DEFAULT 'dataset' CHECK (target IN ('dataset', 'webhook'));
ALTER TABLE batches ADD COLUMN doubts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE batches ADD COLUMN request_id TEXT NOT NULL DEFAULT '';
ALTER TABLE batches ADD COLUMN traceparent TEXT NOT NULL DEFAULT '';
"""
_FOURTH = """
ALTER TABLE plans ADD COLUMN sha256 TEXT;
"""
# An undo's plan was called `undo-PLAN-YYYYMMDD-HHMMSS`, of several in one second with `-N` behind.
_FIFTH = """
ALTER TABLE plans ADD COLUMN undoes TEXT;
UPDATE plans SET undoes = substr(name, 6, length(name) - 21)
 WHERE name GLOB 'undo-?*-[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]-[0-9][0-9][0-9][0-9][0-9][0-9]';
UPDATE plans SET undoes = substr(name, 6, length(name) - 23)
 WHERE name GLOB 'undo-?*-[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]-[0-9][0-9][0-9][0-9][0-9][0-9]-[0-9]';
ALTER TABLE datasets ADD COLUMN shipments INTEGER NOT NULL DEFAULT 0;
UPDATE datasets SET shipments = (SELECT coalesce(sum(requests), 0) FROM batches WHERE batches.dataset = datasets.id);

CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    command TEXT NOT NULL,
    command_line TEXT NOT NULL,
    user TEXT NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    version TEXT NOT NULL,
    began_at REAL NOT NULL,
    ended_at REAL,
    exit_code INTEGER,
    plan TEXT,
    confirmations TEXT NOT NULL DEFAULT '{}',
    gates TEXT NOT NULL DEFAULT '{}',
    stopped_by TEXT
) STRICT;

CREATE TABLE plan_events (
    id INTEGER PRIMARY KEY,
    plan TEXT NOT NULL,
    event TEXT NOT NULL CHECK (event IN ('planned', 'loading', 'loaded', 'overtaken', 'undoing', 'undone')),
    dataset TEXT,
    at REAL NOT NULL,
    who TEXT NOT NULL,
    command TEXT NOT NULL,
    run INTEGER REFERENCES runs(id),
    by_plan TEXT,
    records INTEGER,
    scope TEXT
) STRICT;

CREATE INDEX plan_events_by_plan ON plan_events (plan);

CREATE TABLE plan_readings (
    plan TEXT NOT NULL,
    dataset_id TEXT NOT NULL,
    other TEXT NOT NULL,
    shipments INTEGER NOT NULL,
    PRIMARY KEY (plan, dataset_id, other)
) STRICT, WITHOUT ROWID;

CREATE TABLE discards (
    dataset TEXT NOT NULL,
    source TEXT NOT NULL,
    id TEXT NOT NULL,
    position INTEGER NOT NULL,
    plan TEXT NOT NULL,
    reject TEXT NOT NULL,
    reason TEXT NOT NULL,
    note TEXT NOT NULL,
    who TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (dataset, source, id, position)
) STRICT, WITHOUT ROWID;

ALTER TABLE reject_marks ADD COLUMN who TEXT NOT NULL DEFAULT '';
"""
_SIXTH = """
ALTER TABLE merges ADD COLUMN renamed INTEGER NOT NULL DEFAULT 0;
"""
_SEVENTH = """
ALTER TABLE datasets ADD COLUMN mapping_sha256 TEXT NOT NULL DEFAULT '';

CREATE TABLE canaries (
    dataset INTEGER PRIMARY KEY REFERENCES datasets(id),
    verdict TEXT NOT NULL CHECK (verdict IN ('kept', 'differs', 'refused')),
    masterids TEXT NOT NULL,
    told TEXT NOT NULL,
    at REAL NOT NULL
) STRICT;

CREATE TABLE set_aside (
    dataset INTEGER NOT NULL REFERENCES datasets(id),
    batch INTEGER NOT NULL,
    position INTEGER NOT NULL,
    reason TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (dataset, batch, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE lessons (
    service TEXT NOT NULL,
    lesson TEXT NOT NULL,
    value TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (service, lesson)
) STRICT, WITHOUT ROWID;

CREATE TABLE foreign_edits (
    dataset INTEGER NOT NULL REFERENCES datasets(id),
    masterid TEXT NOT NULL,
    planned INTEGER NOT NULL,
    seen_at REAL NOT NULL,
    PRIMARY KEY (dataset, masterid)
) STRICT, WITHOUT ROWID;
"""
_EIGHTH = """
ALTER TABLE discards RENAME TO discards_before;
CREATE TABLE discards (
    dataset TEXT NOT NULL, resource TEXT NOT NULL, source TEXT NOT NULL, id TEXT NOT NULL, position INTEGER NOT NULL,
    plan TEXT NOT NULL, reject TEXT NOT NULL, reason TEXT NOT NULL, note TEXT NOT NULL, who TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (dataset, resource, source, id, position)
) STRICT, WITHOUT ROWID;
INSERT INTO discards SELECT dataset, '', source, id, position, plan, reject, reason, note, who, at FROM discards_before;
DROP TABLE discards_before;
"""
# A CHECK cannot be changed: the table is made anew, with one more state that a record may be in.
_NINTH = """
ALTER TABLE batches ADD COLUMN waiting INTEGER NOT NULL DEFAULT 0;

CREATE TABLE new_records (
    dataset INTEGER NOT NULL,
    batch INTEGER NOT NULL,
    position INTEGER NOT NULL,
    key TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('written', 'rejected', 'waiting')),
    change TEXT,
    masterid TEXT,
    merged_from TEXT,
    protected TEXT,
    altered TEXT,
    status INTEGER,
    error TEXT,
    settled_at REAL NOT NULL,
    stored TEXT,
    PRIMARY KEY (dataset, batch, position),
    FOREIGN KEY (dataset, batch) REFERENCES batches(dataset, batch)
) STRICT, WITHOUT ROWID;

INSERT INTO new_records SELECT * FROM records;
DROP TABLE records;
ALTER TABLE new_records RENAME TO records;
CREATE INDEX records_by_masterid ON records (dataset, masterid) WHERE masterid IS NOT NULL;
"""
_TENTH = """
ALTER TABLE foreign_edits ADD COLUMN written INTEGER NOT NULL DEFAULT 0;
"""
# Of `plan_events` the CHECK changes, so it is made anew; nothing refers to it.
_ELEVENTH = """
CREATE TABLE handovers (
    id INTEGER PRIMARY KEY,
    dataset INTEGER NOT NULL REFERENCES datasets(id),
    folder TEXT NOT NULL,
    manifest_sha256 TEXT NOT NULL,
    rows INTEGER NOT NULL,
    handed_at REAL NOT NULL,
    uploaded_to TEXT,
    ended TEXT CHECK (ended IN ('settled', 'taken back')),
    ended_at REAL,
    missing INTEGER NOT NULL DEFAULT 0,
    different INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE handover_files (
    handover INTEGER NOT NULL REFERENCES handovers(id),
    name TEXT NOT NULL,
    rows INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    uploaded_at REAL,
    PRIMARY KEY (handover, name)
) STRICT, WITHOUT ROWID;

ALTER TABLE batches ADD COLUMN handover INTEGER REFERENCES handovers(id);

CREATE TABLE new_plan_events (
    id INTEGER PRIMARY KEY,
    plan TEXT NOT NULL,
    event TEXT NOT NULL CHECK (event IN ('planned', 'loading', 'loaded', 'overtaken', 'undoing', 'undone',
                                         'handed over', 'uploaded', 'settled', 'taken back')),
    dataset TEXT,
    at REAL NOT NULL,
    who TEXT NOT NULL,
    command TEXT NOT NULL,
    run INTEGER REFERENCES runs(id),
    by_plan TEXT,
    records INTEGER,
    scope TEXT
) STRICT;

INSERT INTO new_plan_events SELECT * FROM plan_events;
DROP TABLE plan_events;
ALTER TABLE new_plan_events RENAME TO plan_events;
CREATE INDEX plan_events_by_plan ON plan_events (plan);
"""
# Of each dataset the last load that was stopped since others had written to it, and how many requests had left then.
_TWELFTH = """
CREATE TABLE changed_targets (
    dataset INTEGER PRIMARY KEY REFERENCES datasets(id),
    shipments INTEGER NOT NULL,
    at REAL NOT NULL,
    who TEXT NOT NULL,
    command TEXT NOT NULL
) STRICT;
"""
STEPS = (
    _FIRST, _SECOND, _THIRD, _FOURTH, _FIFTH, _SIXTH, _SEVENTH, _EIGHTH, _NINTH, _TENTH, _ELEVENTH,
    _TWELFTH,
)  # fmt: skip
"""What each version adds to the one before it."""
