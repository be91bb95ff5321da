-- Roles and the identity that travels with each transaction.
--
-- A login role owns nothing and inherits nothing: it may only become one of three roles, for one transaction.
-- Supabase has these roles already, so each is made only where it is missing.

DO $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'anon') THEN
        CREATE ROLE anon NOLOGIN NOINHERIT;
    END IF;
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'authenticated') THEN
        CREATE ROLE authenticated NOLOGIN NOINHERIT;
    END IF;
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'service_role') THEN
        CREATE ROLE service_role NOLOGIN NOINHERIT;
    END IF;
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'snuggles_app') THEN
        -- The operator (or the embedded stack) gives it LOGIN and a password.
        CREATE ROLE snuggles_app NOLOGIN NOINHERIT;
    END IF;
END
$$;

GRANT anon, authenticated, service_role TO snuggles_app;
GRANT USAGE ON SCHEMA public TO anon, authenticated, service_role;

-- The asking user of this transaction, from the claims that db.transaction() set; NULL when there is none.
CREATE FUNCTION current_user_id() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = ''
    AS $$
        SELECT (NULLIF(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid
    $$;

GRANT EXECUTE ON FUNCTION current_user_id() TO anon, authenticated, service_role;
