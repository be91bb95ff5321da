ALTER TABLE mails DROP COLUMN language;
ALTER TABLE pending_signups DROP COLUMN language;
ALTER TABLE users DROP COLUMN language, DROP COLUMN mail_clips_ready;
