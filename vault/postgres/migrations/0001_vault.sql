-- Times are microseconds since 1970, UTC; 0 is no time. Fixed-width columns come
-- first, the widest before the narrower, so that no row holds padding.

-- +goose Up

-- Tenants are told apart by name outside and by number in every row. A row never
-- changes. Number 0 is the server itself.
CREATE TABLE tenants (
    id   int4 PRIMARY KEY,
    name text NOT NULL UNIQUE
);
INSERT INTO tenants (id, name) VALUES (0, '');

-- A card whose state is 4 is a tombstone: fingerprint and range stay, so that its
-- number is never issued again.
CREATE TABLE cards (
    created      int8 NOT NULL,
    token_tag    int8 NOT NULL,
    tenant       int4 NOT NULL,
    range_number int4 NOT NULL,
    expiry       int2 NOT NULL,
    last_four    int2 NOT NULL,
    state        int2 NOT NULL,
    origin       int2 NOT NULL,
    id           uuid NOT NULL,
    fingerprint  uuid NOT NULL,
    data_key     uuid NOT NULL,
    token        uuid,
    sealed       bytea,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, fingerprint),
    UNIQUE (tenant, token)
);

-- The tokens of a card besides its standing one.
CREATE TABLE tokens (
    created        int8 NOT NULL,
    tag            int8 NOT NULL,
    expires        int8 NOT NULL,
    used_at        int8 NOT NULL,
    tenant         int4 NOT NULL,
    keep_last_four bool NOT NULL,
    single_use     bool NOT NULL,
    token          uuid NOT NULL,
    card           uuid NOT NULL,
    principals     text NOT NULL, -- a JSON array; empty: any
    PRIMARY KEY (tenant, token)
);
CREATE INDEX tokens_card ON tokens (tenant, card);

-- low and high are the range's first and last number without check digit, so that
-- two ranges of one length overlap where these intervals do.
CREATE TABLE bin_ranges (
    first           int8 NOT NULL,
    last            int8 NOT NULL,
    low             int8 NOT NULL,
    high            int8 NOT NULL,
    carved          int8 NOT NULL,
    gone            int8 NOT NULL,
    created         int8 NOT NULL,
    tag             int8 NOT NULL,
    number          int4 PRIMARY KEY,
    tenant          int4 NOT NULL,
    length          int2 NOT NULL,
    validity_months int2 NOT NULL,
    state           int2 NOT NULL,
    range_key       uuid NOT NULL, -- the version that its numbers come from
    name            text NOT NULL,
    prefix          text NOT NULL,
    reserved        text NOT NULL, -- a JSON array of intervals; empty: none
    UNIQUE (tenant, name)
);

-- What replicas have left to issue from: next up to, not including, until. The
-- intervals from start to until of one range never overlap.
CREATE TABLE range_blocks (
    start        int8 NOT NULL,
    next         int8 NOT NULL,
    until        int8 NOT NULL,
    range_number int4 NOT NULL,
    replica      uuid NOT NULL,
    PRIMARY KEY (range_number, start)
);

-- The last number given to a range. Whoever adds a range updates this row first,
-- so ranges are added one after the other, over all tenants.
CREATE TABLE counters (
    name  text PRIMARY KEY,
    value int4 NOT NULL
);
INSERT INTO counters (name, value) VALUES ('bin_ranges', 0);

CREATE TABLE requests (
    created  int8 NOT NULL,
    tenant   int4 NOT NULL,
    existing bool NOT NULL,
    id       uuid NOT NULL,
    digest   uuid NOT NULL,
    card     uuid NOT NULL,
    token    uuid NOT NULL,
    PRIMARY KEY (tenant, id)
);

CREATE TABLE keys (
    created     int8 NOT NULL,
    uses        int8 NOT NULL,
    tenant      int4 NOT NULL,
    id          uuid NOT NULL,
    purpose     text NOT NULL,
    subject     text NOT NULL,
    state       text NOT NULL,
    kek_kind    text NOT NULL,
    kek_version text NOT NULL,
    wrapped     bytea NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX keys_active ON keys (tenant, purpose, subject) WHERE state = 'active';

CREATE TABLE audit_entries (
    time    int8 NOT NULL,
    number  int8 NOT NULL,
    tenant  int4 NOT NULL,
    replica uuid NOT NULL,
    body    bytea NOT NULL,
    PRIMARY KEY (replica, number)
);
CREATE INDEX audit_entries_time ON audit_entries (tenant, time, replica, number);
