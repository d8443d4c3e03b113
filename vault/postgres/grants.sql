-- What the roles of deploy/postgres/roles.sql may do: the whole of it, run at the
-- end of every migration. A role that is not there is passed over. What is not
-- granted here is taken away, so this file can be read as it stands.

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cardvault_app') THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO cardvault_app', current_schema());
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM cardvault_app', current_schema());
        GRANT SELECT ON goose_db_version TO cardvault_app;
        -- Entries are added and read. Nothing else.
        GRANT SELECT, INSERT ON audit_entries TO cardvault_app;
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
        GRANT SELECT ON audit_entries, tenants TO cardvault_auditor;
    END IF;
END
$$;
