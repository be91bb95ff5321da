DROP TABLE audit_log, idempotency_keys, api_keys, account_tokens, users;
