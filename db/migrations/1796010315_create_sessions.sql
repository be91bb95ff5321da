-- Sessions of the app: each login is a row, so that it can be listed, and ended at once. API keys have scopes and an end.

CREATE TABLE sessions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    -- How its user proved who they are.
    method text NOT NULL CHECK (method IN ('signup', 'password', 'totp', 'recovery_code', 'passkey', 'external')),
    -- What its owner recognises it by.
    user_agent text NOT NULL DEFAULT '' CHECK (length(user_agent) <= 300),
    address text NOT NULL DEFAULT '' CHECK (length(address) <= 100),
    -- The time of the login: what needs a fresh one compares with it.
    created_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    ended_at timestamptz
);
CREATE INDEX sessions_user ON sessions (user_id, created_at DESC, id DESC) WHERE ended_at IS NULL;
CREATE INDEX sessions_expiry ON sessions (expires_at);

ALTER TABLE api_keys
    ADD COLUMN scopes text[] NOT NULL DEFAULT '{read,write}'
        CHECK (cardinality(scopes) > 0 AND scopes <@ '{read,write}'::text[]),
    ADD COLUMN expires_at timestamptz;

-- Streams that a session opened end with it: whoever serves one listens. The payload names the user.
CREATE FUNCTION notify_session_ended() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    PERFORM pg_catalog.pg_notify('sessions_ended', NEW.user_id::text);
    RETURN NULL;
END
$$;
CREATE FUNCTION notify_sessions_ended() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    PERFORM pg_catalog.pg_notify('sessions_ended', NEW.id::text);
    RETURN NULL;
END
$$;
CREATE TRIGGER sessions_notify AFTER UPDATE ON sessions FOR EACH ROW
    WHEN (OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL) EXECUTE FUNCTION notify_session_ended();
CREATE TRIGGER revoked_sessions_notify AFTER INSERT ON revoked_sessions FOR EACH ROW
    EXECUTE FUNCTION notify_session_ended();
CREATE TRIGGER api_keys_notify AFTER UPDATE ON api_keys FOR EACH ROW
    WHEN (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL) EXECUTE FUNCTION notify_session_ended();
CREATE TRIGGER users_notify AFTER UPDATE ON users FOR EACH ROW
    WHEN (OLD.sessions_valid_from IS DISTINCT FROM NEW.sessions_valid_from) EXECUTE FUNCTION notify_sessions_ended();

ALTER TABLE sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE sessions FORCE ROW LEVEL SECURITY;
CREATE POLICY sessions_service ON sessions TO service_role USING (true) WITH CHECK (true);
CREATE POLICY sessions_owner ON sessions FOR SELECT TO authenticated USING (user_id = (SELECT current_user_id()));
GRANT SELECT, INSERT, UPDATE, DELETE ON sessions TO service_role;
GRANT SELECT ON sessions TO authenticated;
