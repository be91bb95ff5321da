-- Operators list the rooms of all hosts, newest first.
CREATE INDEX rooms_created ON rooms (created_at DESC, id DESC);
