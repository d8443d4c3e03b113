-- The three roles of a cardvault database. As an administrator, once, in the
-- database that is to hold the vault; again does no harm:
--
--     createdb cardvault
--     psql --dbname=cardvault --file=deploy/postgres/roles.sql
--
-- Then give each role its password or certificate (\password cardvault_app), and
-- migrate as the owner: `cardvault migrate` also gives the other two what they may,
-- and takes away what they may not: vault/postgres/grants.sql.
--
--     cardvault_owner    makes and changes tables; nothing runs as it but migrate
--     cardvault_app      the server: cannot change an audit entry, delete one that is
--                        younger than a year, delete a card, or change a table
--     cardvault_auditor  reads the audit log, and nothing else

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['cardvault_owner', 'cardvault_app', 'cardvault_auditor'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS', name);
        END IF;
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), name);
    END LOOP;
    -- Whoever else has a login on this server has none on this database.
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('REVOKE ALL ON SCHEMA %I FROM PUBLIC', current_schema());
    EXECUTE format('ALTER SCHEMA %I OWNER TO cardvault_owner', current_schema());
END
$$;

-- A commit that is acknowledged is on disk. The server refuses to start where it is not.
ALTER ROLE cardvault_app SET synchronous_commit = on;

-- A replica that stands still in the middle of a transaction holds up the others for
-- no longer than this.
ALTER ROLE cardvault_app SET idle_in_transaction_session_timeout = '15s';
