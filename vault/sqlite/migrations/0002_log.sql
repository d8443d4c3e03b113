-- The log over all replicas' entries, as vault/ledger keeps it. Hashes are blobs of
-- 32 bytes.

-- The end of each replica's chain as the replica sealed it, moved by every commit.
CREATE TABLE audit_chains (
    replica  BLOB PRIMARY KEY,
    number   INTEGER NOT NULL,
    head     BLOB,
    seal     BLOB,
    kek_kind TEXT,
    wrapped  BLOB -- the replica's own key for its seals
) STRICT, WITHOUT ROWID;

-- What the log has of each chain: the entries before next, up to the one of this
-- leaf hash.
CREATE TABLE log_chains (
    replica BLOB PRIMARY KEY,
    next    INTEGER NOT NULL,
    head    BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Where the log stands: one row, which every write of the log begins with.
CREATE TABLE log_head (
    id         INTEGER PRIMARY KEY CHECK (id = 0),
    term       INTEGER NOT NULL,
    beat       INTEGER NOT NULL,
    size       INTEGER NOT NULL,
    first      INTEGER NOT NULL, -- the index of the first entry that was not dropped
    holder     BLOB,
    checkpoint BLOB
) STRICT;
INSERT INTO log_head (id, term, beat, size, first) VALUES (0, 0, 0, 0, 0);

-- Which entries have which indexes: from first on, count entries of a chain from
-- number on. Rows never change.
CREATE TABLE log_runs (
    first   INTEGER PRIMARY KEY,
    replica BLOB NOT NULL,
    number  INTEGER NOT NULL,
    count   INTEGER NOT NULL,
    UNIQUE (replica, number)
) STRICT;

-- The tiles of tlog-tiles (C2SP). Those on the right grow until they are full.
CREATE TABLE log_tiles (
    level  INTEGER NOT NULL,
    tile   INTEGER NOT NULL,
    hashes BLOB NOT NULL,
    PRIMARY KEY (level, tile)
) STRICT;

-- Chains from before there were seals come into the log as far as they go now.
INSERT INTO audit_chains (replica, number) SELECT replica, max(number) FROM audit_entries GROUP BY replica;
