ALTER TABLE account_tokens DROP CONSTRAINT account_tokens_new_email;
DELETE FROM account_tokens WHERE purpose = 'change_email';
ALTER TABLE account_tokens DROP COLUMN new_email;
ALTER TABLE account_tokens DROP CONSTRAINT account_tokens_purpose_check;
ALTER TABLE account_tokens ADD CONSTRAINT account_tokens_purpose_check CHECK (purpose IN ('verify', 'reset'));
DROP TABLE pending_signups;
DROP TABLE mails;
