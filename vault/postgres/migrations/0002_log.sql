-- The log over all replicas' entries, as vault/ledger keeps it. Hashes are of 32
-- bytes.

-- +goose Up

-- The end of each replica's chain as the replica sealed it, moved by every commit.
CREATE TABLE audit_chains (
    number   int8 NOT NULL,
    replica  uuid PRIMARY KEY,
    head     bytea,
    seal     bytea,
    kek_kind text,
    wrapped  bytea -- the replica's own key for its seals
);

-- What the log has of each chain: the entries before next, up to the one of this
-- leaf hash.
CREATE TABLE log_chains (
    next    int8 NOT NULL,
    replica uuid PRIMARY KEY,
    head    bytea NOT NULL
);

-- Where the log stands: one row, which every write of the log begins with.
CREATE TABLE log_head (
    term       int8 NOT NULL,
    beat       int8 NOT NULL,
    size       int8 NOT NULL,
    first      int8 NOT NULL, -- the index of the first entry that was not dropped
    id         int2 PRIMARY KEY CHECK (id = 0),
    holder     uuid,
    checkpoint bytea
);
INSERT INTO log_head (id, term, beat, size, first) VALUES (0, 0, 0, 0, 0);

-- Which entries have which indexes: from first on, count entries of a chain from
-- number on. Rows never change.
CREATE TABLE log_runs (
    first   int8 PRIMARY KEY,
    number  int8 NOT NULL,
    count   int8 NOT NULL,
    replica uuid NOT NULL,
    UNIQUE (replica, number)
);

-- The tiles of tlog-tiles (C2SP). Those on the right grow until they are full.
CREATE TABLE log_tiles (
    tile   int8 NOT NULL,
    level  int2 NOT NULL,
    hashes bytea NOT NULL,
    PRIMARY KEY (level, tile)
);

-- Chains from before there were seals come into the log as far as they go now.
INSERT INTO audit_chains (replica, number) SELECT replica, max(number) FROM audit_entries GROUP BY replica;
