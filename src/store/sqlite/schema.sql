-- Format 2. docs/format.md says what every column means.
CREATE TABLE collections (
    id              INTEGER PRIMARY KEY,
    name            TEXT    NOT NULL UNIQUE,
    type_name       TEXT    NOT NULL,
    highest_version TEXT    NOT NULL,
    entries         INTEGER NOT NULL DEFAULT 0,
    bytes           INTEGER NOT NULL DEFAULT 0,
    revision        INTEGER NOT NULL DEFAULT 0
) STRICT;
