DROP TABLE audit_log, idempotency_keys, api_keys, revoked_sessions, account_tokens, users;
