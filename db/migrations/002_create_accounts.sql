-- Who may ask: users, their API keys and one-time tokens; what was done: the audit log; what was asked: idempotency keys.

CREATE TABLE users (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    email text NOT NULL CHECK (email = lower(email) AND length(email) BETWEEN 3 AND 254),
    -- NULL for users who sign in elsewhere (Supabase).
    password_hash text,
    display_name text NOT NULL DEFAULT '' CHECK (length(display_name) <= 100),
    is_admin boolean NOT NULL DEFAULT false,
    email_verified_at timestamptz,
    -- Tokens issued before this moment are refused: set by a password reset and by "log out everywhere".
    sessions_valid_from timestamptz NOT NULL DEFAULT '-infinity',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (email)
);

-- Links sent by mail. Only a hash is stored; each works once.
CREATE TABLE account_tokens (
    token_hash bytea PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    purpose text NOT NULL CHECK (purpose IN ('verify', 'reset')),
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX account_tokens_user ON account_tokens (user_id);

-- Sessions that were logged out before they expired; a row may go once its token would have expired anyway.
CREATE TABLE revoked_sessions (
    -- SHA-256 of the token's header and payload: the part that a signature covers.
    token_hash bytea PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);
CREATE INDEX revoked_sessions_user ON revoked_sessions (user_id);
CREATE INDEX revoked_sessions_expiry ON revoked_sessions (expires_at);

CREATE TABLE api_keys (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    key_hash bytea NOT NULL UNIQUE,
    -- The first characters, so that a person can tell keys apart.
    prefix text NOT NULL,
    last_used_at timestamptz,
    revoked_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX api_keys_user ON api_keys (user_id);

CREATE TABLE idempotency_keys (
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    key text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    -- SHA-256 of method, path and body: the same key with another request is refused.
    request_hash bytea NOT NULL,
    status integer NOT NULL,
    -- json, not jsonb: a repeated answer keeps the order of its fields.
    response json NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, key)
);
CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);

CREATE TABLE audit_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    -- NULL when the system itself, or an operator with the admin token, acted.
    actor_id uuid,
    actor text NOT NULL,
    action text NOT NULL,
    subject_type text NOT NULL,
    subject_id text,
    details jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_log_at ON audit_log (at DESC);
CREATE INDEX audit_log_subject ON audit_log (subject_type, subject_id);

ALTER TABLE users ENABLE ROW LEVEL SECURITY;
ALTER TABLE users FORCE ROW LEVEL SECURITY;
ALTER TABLE account_tokens ENABLE ROW LEVEL SECURITY;
ALTER TABLE account_tokens FORCE ROW LEVEL SECURITY;
ALTER TABLE revoked_sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE revoked_sessions FORCE ROW LEVEL SECURITY;
ALTER TABLE api_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE api_keys FORCE ROW LEVEL SECURITY;
ALTER TABLE idempotency_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE idempotency_keys FORCE ROW LEVEL SECURITY;
ALTER TABLE audit_log ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_log FORCE ROW LEVEL SECURITY;

CREATE POLICY users_service ON users TO service_role USING (true) WITH CHECK (true);
CREATE POLICY users_self ON users FOR SELECT TO authenticated USING (id = (SELECT current_user_id()));
CREATE POLICY users_self_update ON users FOR UPDATE TO authenticated
    USING (id = (SELECT current_user_id())) WITH CHECK (id = (SELECT current_user_id()));
CREATE POLICY account_tokens_service ON account_tokens TO service_role USING (true) WITH CHECK (true);
CREATE POLICY revoked_sessions_service ON revoked_sessions TO service_role USING (true) WITH CHECK (true);
CREATE POLICY api_keys_service ON api_keys TO service_role USING (true) WITH CHECK (true);
CREATE POLICY api_keys_owner ON api_keys TO authenticated
    USING (user_id = (SELECT current_user_id())) WITH CHECK (user_id = (SELECT current_user_id()));
CREATE POLICY idempotency_keys_service ON idempotency_keys TO service_role USING (true) WITH CHECK (true);
CREATE POLICY idempotency_keys_owner ON idempotency_keys TO authenticated
    USING (user_id = (SELECT current_user_id())) WITH CHECK (user_id = (SELECT current_user_id()));
CREATE POLICY audit_log_service ON audit_log TO service_role USING (true) WITH CHECK (true);
CREATE POLICY audit_log_append ON audit_log FOR INSERT TO authenticated
    WITH CHECK (actor_id = (SELECT current_user_id()));

GRANT SELECT, INSERT, UPDATE, DELETE
    ON users, account_tokens, revoked_sessions, api_keys, idempotency_keys TO service_role;
GRANT SELECT, INSERT ON audit_log TO service_role;
-- No password_hash, and no is_admin to write.
GRANT SELECT (id, email, display_name, is_admin, email_verified_at, sessions_valid_from, created_at, updated_at)
    ON users TO authenticated;
GRANT UPDATE (display_name, updated_at) ON users TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON api_keys TO authenticated;
GRANT SELECT, INSERT, DELETE ON idempotency_keys TO authenticated;
GRANT INSERT ON audit_log TO authenticated;
