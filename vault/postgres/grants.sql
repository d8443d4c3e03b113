-- What the roles of deploy/postgres/roles.sql may do: the whole of it, run at the
-- end of every migration. A role that is not there is passed over. What is not
-- granted here is taken away, so this file can be read as it stands.

-- Nobody but the owner deletes an entry that is younger than a year, whatever is
-- granted (PCI DSS 4.0.1, 10.5.1: twelve months at least).
ALTER TABLE audit_entries ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS entries_are_read ON audit_entries;
CREATE POLICY entries_are_read ON audit_entries FOR SELECT USING (true);
DROP POLICY IF EXISTS entries_are_added ON audit_entries;
CREATE POLICY entries_are_added ON audit_entries FOR INSERT WITH CHECK (true);
DROP POLICY IF EXISTS old_entries_are_dropped ON audit_entries;
CREATE POLICY old_entries_are_dropped ON audit_entries FOR DELETE
    USING (time < 1000000 * (extract(epoch FROM now())::int8 - 365 * 86400));

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cardvault_app') THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO cardvault_app', current_schema());
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM cardvault_app', current_schema());
        GRANT SELECT ON goose_db_version TO cardvault_app;
        -- Entries are added and read, never changed. Old ones are deleted by retention,
        -- and a server that was broken into could do it too. It is found out: the log
        -- holds each entry's hash for good, and where one is gone that no entry says was
        -- dropped, every read, export and verification over it fails.
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
