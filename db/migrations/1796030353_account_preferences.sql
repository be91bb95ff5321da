-- The language that an account is written to in, and whether it is mailed when its clips are ready.
ALTER TABLE users
    ADD COLUMN language text NOT NULL DEFAULT 'en' CHECK (language IN ('en', 'de')),
    ADD COLUMN mail_clips_ready boolean NOT NULL DEFAULT false;
ALTER TABLE pending_signups ADD COLUMN language text NOT NULL DEFAULT 'en' CHECK (language IN ('en', 'de'));
-- The language of the page that asked for the mail. That of the account, where there is one, comes before it.
ALTER TABLE mails ADD COLUMN language text NOT NULL DEFAULT 'en' CHECK (language IN ('en', 'de'));

GRANT SELECT (language, mail_clips_ready) ON users TO authenticated;
