-- One-time codes, recovery codes and passkeys; and archives of one's data.

CREATE TABLE totp_secrets (
    user_id uuid PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    -- Sealed with a key derived from JWT_SECRET.
    totp_secret bytea NOT NULL,
    -- NULL until a first code has proved that the app has it.
    confirmed_at timestamptz,
    -- The time step of the last code: each code works once (RFC 6238, 5.2).
    last_step bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE recovery_codes (
    code_hash bytea PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX recovery_codes_user ON recovery_codes (user_id);

CREATE TABLE passkeys (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    credential_id bytea NOT NULL UNIQUE,
    public_key bytea NOT NULL,
    sign_count bigint NOT NULL DEFAULT 0 CHECK (sign_count >= 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz
);
CREATE INDEX passkeys_user ON passkeys (user_id, created_at);

CREATE TABLE exports (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    job_id uuid REFERENCES jobs ON DELETE SET NULL,
    status text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'ready', 'failed', 'expired')),
    key text,
    size_bytes bigint CHECK (size_bytes >= 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    ready_at timestamptz,
    expires_at timestamptz,
    CONSTRAINT exports_ready_has_object CHECK (
        status <> 'ready' OR (key IS NOT NULL AND size_bytes IS NOT NULL AND expires_at IS NOT NULL)
    ),
    CONSTRAINT exports_key_is_own CHECK (key IS NULL OR starts_with(key, user_id::text || '/exports/'))
);
CREATE UNIQUE INDEX exports_one_at_work ON exports (user_id) WHERE status = 'queued';
CREATE INDEX exports_owner ON exports (user_id, created_at DESC);
CREATE INDEX exports_expiry ON exports (expires_at) WHERE status = 'ready';

ALTER TABLE totp_secrets ENABLE ROW LEVEL SECURITY;
ALTER TABLE totp_secrets FORCE ROW LEVEL SECURITY;
ALTER TABLE recovery_codes ENABLE ROW LEVEL SECURITY;
ALTER TABLE recovery_codes FORCE ROW LEVEL SECURITY;
ALTER TABLE passkeys ENABLE ROW LEVEL SECURITY;
ALTER TABLE passkeys FORCE ROW LEVEL SECURITY;
ALTER TABLE exports ENABLE ROW LEVEL SECURITY;
ALTER TABLE exports FORCE ROW LEVEL SECURITY;
CREATE POLICY totp_secrets_service ON totp_secrets TO service_role USING (true) WITH CHECK (true);
CREATE POLICY recovery_codes_service ON recovery_codes TO service_role USING (true) WITH CHECK (true);
CREATE POLICY passkeys_service ON passkeys TO service_role USING (true) WITH CHECK (true);
CREATE POLICY passkeys_owner ON passkeys FOR SELECT TO authenticated USING (user_id = (SELECT current_user_id()));
CREATE POLICY exports_service ON exports TO service_role USING (true) WITH CHECK (true);
CREATE POLICY exports_owner ON exports FOR SELECT TO authenticated USING (user_id = (SELECT current_user_id()));
GRANT SELECT, INSERT, UPDATE, DELETE ON totp_secrets, recovery_codes, passkeys, exports TO service_role;
GRANT SELECT (id, user_id, name, created_at, last_used_at) ON passkeys TO authenticated;
GRANT SELECT (id, user_id, job_id, status, size_bytes, created_at, ready_at, expires_at) ON exports TO authenticated;
