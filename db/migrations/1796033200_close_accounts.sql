-- An account with much in it is closed at once, and its rows are deleted by a job in small steps.
ALTER TABLE users ADD COLUMN deleted_at timestamptz;

GRANT SELECT (deleted_at) ON users TO authenticated;
