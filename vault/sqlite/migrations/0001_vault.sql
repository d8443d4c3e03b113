-- The tables of vault/postgres, in SQLite's words. Times are microseconds since
-- 1970, UTC; 0 is no time. UUIDs and tokens are blobs of 16 bytes.

-- Tenants are told apart by name outside and by number in every row. A row never
-- changes. Number 0 is the server itself.
CREATE TABLE tenants (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO tenants (id, name) VALUES (0, '');

-- A card whose state is 4 is a tombstone: fingerprint and range stay, so that its
-- number is never issued again.
CREATE TABLE cards (
    tenant       INTEGER NOT NULL REFERENCES tenants,
    id           BLOB NOT NULL,
    fingerprint  BLOB NOT NULL,
    data_key     BLOB NOT NULL,
    sealed       BLOB,
    token        BLOB,
    token_tag    INTEGER NOT NULL,
    state        INTEGER NOT NULL,
    origin       INTEGER NOT NULL,
    expiry       INTEGER NOT NULL,
    last_four    INTEGER NOT NULL,
    range_number INTEGER NOT NULL,
    created      INTEGER NOT NULL,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, fingerprint),
    UNIQUE (tenant, token)
) STRICT;

-- The tokens of a card besides its standing one.
CREATE TABLE tokens (
    tenant         INTEGER NOT NULL,
    token          BLOB NOT NULL,
    tag            INTEGER NOT NULL,
    card           BLOB NOT NULL,
    keep_last_four INTEGER NOT NULL,
    expires        INTEGER NOT NULL,
    single_use     INTEGER NOT NULL,
    used_at        INTEGER NOT NULL,
    principals     TEXT NOT NULL, -- a JSON array; empty: any
    created        INTEGER NOT NULL,
    PRIMARY KEY (tenant, token),
    FOREIGN KEY (tenant, card) REFERENCES cards (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_card ON tokens (tenant, card);

-- low and high are the range's first and last number without check digit, so that
-- two ranges of one length overlap where these intervals do. AUTOINCREMENT never
-- gives a number twice.
CREATE TABLE bin_ranges (
    number          INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant          INTEGER NOT NULL REFERENCES tenants,
    name            TEXT NOT NULL,
    prefix          TEXT NOT NULL,
    length          INTEGER NOT NULL,
    first           INTEGER NOT NULL,
    last            INTEGER NOT NULL,
    low             INTEGER NOT NULL,
    high            INTEGER NOT NULL,
    range_key       BLOB NOT NULL, -- the version that its numbers come from
    tag             INTEGER NOT NULL,
    reserved        TEXT NOT NULL, -- a JSON array of intervals; empty: none
    validity_months INTEGER NOT NULL,
    state           INTEGER NOT NULL,
    created         INTEGER NOT NULL,
    carved          INTEGER NOT NULL,
    gone            INTEGER NOT NULL,
    UNIQUE (tenant, name)
) STRICT;

-- What replicas have left to issue from: next up to, not including, until. The
-- intervals from start to until of one range never overlap.
CREATE TABLE range_blocks (
    range_number INTEGER NOT NULL REFERENCES bin_ranges,
    start        INTEGER NOT NULL,
    replica      BLOB NOT NULL,
    next         INTEGER NOT NULL,
    until        INTEGER NOT NULL,
    PRIMARY KEY (range_number, start)
) STRICT, WITHOUT ROWID;

CREATE TABLE requests (
    tenant   INTEGER NOT NULL REFERENCES tenants,
    id       BLOB NOT NULL,
    digest   BLOB NOT NULL,
    card     BLOB NOT NULL,
    token    BLOB NOT NULL,
    existing INTEGER NOT NULL,
    created  INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE keys (
    tenant      INTEGER NOT NULL REFERENCES tenants,
    id          BLOB NOT NULL,
    purpose     TEXT NOT NULL,
    subject     TEXT NOT NULL,
    state       TEXT NOT NULL,
    kek_kind    TEXT NOT NULL,
    kek_version TEXT NOT NULL,
    wrapped     BLOB NOT NULL,
    uses        INTEGER NOT NULL,
    created     INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT;
CREATE UNIQUE INDEX keys_active ON keys (tenant, purpose, subject) WHERE state = 'active';

CREATE TABLE audit_entries (
    replica BLOB NOT NULL,
    number  INTEGER NOT NULL,
    time    INTEGER NOT NULL,
    tenant  INTEGER NOT NULL REFERENCES tenants,
    body    BLOB NOT NULL,
    PRIMARY KEY (replica, number)
) STRICT;
CREATE INDEX audit_entries_time ON audit_entries (tenant, time, replica, number);
