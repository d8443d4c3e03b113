-- What the roles of deploy/postgres/roles.sql may do: the whole of it, run at the
-- end of every migration. A role that is not there is passed over. What is not
-- granted here is taken away, so this file can be read as it stands.

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cardvault_app') THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO cardvault_app', current_schema());
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM cardvault_app', current_schema());
        GRANT SELECT ON goose_db_version TO cardvault_app;
        -- Entries are added and read, never changed. They are deleted by retention
        -- alone, and a server that was broken into could do it too. It is found out:
        -- the log names every entry and holds its hash for good, so one that is gone
        -- and should not be yet, by the head's first, fails every read, export and
        -- verification over it; first only moves with an entry that says so; and one
        -- that the log does not have yet leaves a gap below its chain's sealed tail,
        -- where the sequencer stops.
        GRANT SELECT, INSERT, DELETE ON audit_entries TO cardvault_app;
        -- A chain keeps the key of its first seal.
        GRANT SELECT, INSERT, UPDATE (number, head, seal) ON audit_chains TO cardvault_app;
        -- The log grows. What stands at an index stands there for good.
        GRANT SELECT, INSERT, UPDATE (next, head) ON log_chains TO cardvault_app;
        GRANT SELECT, INSERT ON log_runs TO cardvault_app;
        GRANT SELECT, INSERT, UPDATE (hashes) ON log_tiles TO cardvault_app;
        GRANT SELECT, UPDATE (term, beat, size, first, holder, checkpoint) ON log_head TO cardvault_app;
        -- A card is never deleted, and never moves to another tenant, fingerprint or
        -- range: a tombstone keeps its number from being issued again.
        GRANT SELECT, INSERT,
            UPDATE (state, expiry, last_four, data_key, sealed, token, token_tag, created) ON cards TO cardvault_app;
        GRANT SELECT, INSERT, DELETE, UPDATE (used_at) ON tokens TO cardvault_app;
        GRANT SELECT, INSERT ON tenants TO cardvault_app;
        GRANT SELECT, INSERT, UPDATE (state, carved, gone) ON bin_ranges TO cardvault_app;
        GRANT SELECT, INSERT, DELETE, UPDATE (replica, next, until) ON range_blocks TO cardvault_app;
        GRANT SELECT, UPDATE (value) ON counters TO cardvault_app;
        GRANT SELECT, INSERT, DELETE, UPDATE (card, token, existing) ON requests TO cardvault_app;
        GRANT SELECT, INSERT, UPDATE (state, uses) ON keys TO cardvault_app;
    END IF;

    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cardvault_auditor') THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO cardvault_auditor', current_schema());
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM cardvault_auditor', current_schema());
        GRANT SELECT ON audit_entries, tenants, log_chains, log_head, log_runs, log_tiles TO cardvault_auditor;
        GRANT SELECT (replica, number, head, seal, kek_kind) ON audit_chains TO cardvault_auditor;
    END IF;
END
$$;
