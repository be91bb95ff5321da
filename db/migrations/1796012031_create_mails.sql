-- Mail that waits to be sent, and sign-ups that wait for their mail to be answered.

CREATE TABLE mails (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    -- NULL while nobody with this address has an account.
    user_id uuid REFERENCES users ON DELETE CASCADE,
    kind text NOT NULL CHECK (length(kind) BETWEEN 1 AND 50),
    recipient text NOT NULL CHECK (length(recipient) BETWEEN 3 AND 254),
    -- What its template needs. No secrets: links get their tokens when the mail is sent.
    payload jsonb NOT NULL,
    -- The same mail asked for twice is one row.
    unique_key text NOT NULL UNIQUE CHECK (length(unique_key) BETWEEN 1 AND 200),
    -- `sending`: handed to the mail server, whose answer is not written yet. A mail found so is never sent again.
    status text NOT NULL DEFAULT 'queued'
        CHECK (status IN ('queued', 'sending', 'sent', 'uncertain', 'dropped', 'failed')),
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    error text CHECK (length(error) <= 500),
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    CONSTRAINT mails_finished_at_end CHECK ((status IN ('queued', 'sending')) = (finished_at IS NULL))
);
CREATE INDEX mails_user ON mails (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX mails_created ON mails (created_at);

-- Becomes a user when the link in the mail is opened. Several may wait for one address: whose link is opened counts.
CREATE TABLE pending_signups (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    email text NOT NULL CHECK (email = lower(email) AND length(email) BETWEEN 3 AND 254),
    password_hash text NOT NULL,
    display_name text NOT NULL DEFAULT '' CHECK (length(display_name) <= 100),
    -- NULL until the mail is sent.
    token_hash bytea UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX pending_signups_expiry ON pending_signups (expires_at);

ALTER TABLE account_tokens DROP CONSTRAINT account_tokens_purpose_check;
ALTER TABLE account_tokens ADD CONSTRAINT account_tokens_purpose_check
    CHECK (purpose IN ('verify', 'reset', 'change_email'));
-- The address that a link to change the address confirms.
ALTER TABLE account_tokens ADD COLUMN new_email text CHECK (length(new_email) BETWEEN 3 AND 254);
ALTER TABLE account_tokens ADD CONSTRAINT account_tokens_new_email
    CHECK ((purpose = 'change_email') = (new_email IS NOT NULL));

ALTER TABLE mails ENABLE ROW LEVEL SECURITY;
ALTER TABLE mails FORCE ROW LEVEL SECURITY;
ALTER TABLE pending_signups ENABLE ROW LEVEL SECURITY;
ALTER TABLE pending_signups FORCE ROW LEVEL SECURITY;
CREATE POLICY mails_service ON mails TO service_role USING (true) WITH CHECK (true);
CREATE POLICY pending_signups_service ON pending_signups TO service_role USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON mails, pending_signups TO service_role;
