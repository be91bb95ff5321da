DROP TRIGGER users_notify ON users;
DROP TRIGGER api_keys_notify ON api_keys;
DROP TRIGGER revoked_sessions_notify ON revoked_sessions;
DROP TABLE sessions;
DROP FUNCTION notify_session_ended();
DROP FUNCTION notify_sessions_ended();
ALTER TABLE api_keys DROP COLUMN expires_at, DROP COLUMN scopes;
