-- Polls of a room, and one ballot a person.

CREATE TABLE polls (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    room_id uuid NOT NULL REFERENCES rooms ON DELETE CASCADE,
    created_by uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    poll_type text NOT NULL CHECK (poll_type IN ('topic', 'personality', 'question', 'reaction')),
    question text NOT NULL CHECK (length(question) BETWEEN 1 AND 500),
    -- [{id, text}], two to six; a question without options collects its own.
    options jsonb NOT NULL DEFAULT '[]' CHECK (
        jsonb_typeof(options) = 'array'
        AND (jsonb_array_length(options) BETWEEN 2 AND 6 OR (poll_type = 'question' AND options = '[]'))
    ),
    duration_seconds integer NOT NULL CHECK (duration_seconds BETWEEN 30 AND 1800),
    is_anonymous boolean NOT NULL DEFAULT false,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'closed', 'expired')),
    created_at timestamptz NOT NULL DEFAULT now(),
    ends_at timestamptz NOT NULL,
    closed_at timestamptz,
    -- {option id: ballots}, written when the ballots themselves are forgotten.
    archived_results jsonb,
    CONSTRAINT polls_ended_has_time CHECK ((status = 'active') = (closed_at IS NULL)),
    CONSTRAINT polls_archived_has_ended CHECK (archived_results IS NULL OR status <> 'active')
);
CREATE INDEX polls_room ON polls (room_id, created_at DESC, id DESC);
CREATE INDEX polls_due ON polls (ends_at) WHERE status = 'active';
CREATE INDEX polls_ended ON polls (closed_at) WHERE status <> 'active' AND archived_results IS NULL;

CREATE TABLE poll_votes (
    poll_id uuid NOT NULL REFERENCES polls ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    option_id text NOT NULL CHECK (length(option_id) BETWEEN 1 AND 64),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (poll_id, user_id)
);
CREATE INDEX poll_votes_user ON poll_votes (user_id);

ALTER TABLE polls ENABLE ROW LEVEL SECURITY;
ALTER TABLE polls FORCE ROW LEVEL SECURITY;
ALTER TABLE poll_votes ENABLE ROW LEVEL SECURITY;
ALTER TABLE poll_votes FORCE ROW LEVEL SECURITY;

CREATE POLICY polls_service ON polls TO service_role USING (true) WITH CHECK (true);
CREATE POLICY polls_participant ON polls FOR SELECT TO authenticated USING (
    EXISTS (
        SELECT 1 FROM room_participants
        WHERE room_id = polls.room_id AND user_id = (SELECT current_user_id()) AND left_at IS NULL AND NOT is_banned
    )
);
CREATE POLICY poll_votes_service ON poll_votes TO service_role USING (true) WITH CHECK (true);
-- One's own ballot alone: who chose what is nobody else's business.
CREATE POLICY poll_votes_owner ON poll_votes FOR SELECT TO authenticated USING (user_id = (SELECT current_user_id()));

GRANT SELECT, INSERT, UPDATE, DELETE ON polls, poll_votes TO service_role;
GRANT SELECT ON polls, poll_votes TO authenticated;
