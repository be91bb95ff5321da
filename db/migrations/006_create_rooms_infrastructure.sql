-- Rooms: people who listen and talk together, and whose activity says what was worth keeping.

CREATE TABLE rooms (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    -- No letter or digit that is taken for another.
    room_code text NOT NULL UNIQUE CHECK (room_code ~ '^[ABCDEFGHJKLMNPQRSTUVWXYZ23456789]{6}$'),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    host_user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    max_participants integer NOT NULL DEFAULT 10 CHECK (max_participants BETWEEN 1 AND 50),
    is_active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    -- Moved on by whatever anybody does in it.
    last_activity_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    CONSTRAINT rooms_ended_has_time CHECK (is_active = (ended_at IS NULL))
);
CREATE INDEX rooms_host ON rooms (host_user_id, created_at DESC, id DESC);
CREATE INDEX rooms_activity ON rooms (last_activity_at) WHERE is_active;

CREATE TABLE room_participants (
    room_id uuid NOT NULL REFERENCES rooms ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    display_name text NOT NULL CHECK (length(display_name) BETWEEN 1 AND 100),
    role text NOT NULL DEFAULT 'participant' CHECK (role IN ('host', 'co_host', 'participant')),
    is_muted boolean NOT NULL DEFAULT false,
    is_banned boolean NOT NULL DEFAULT false,
    joined_at timestamptz NOT NULL DEFAULT now(),
    left_at timestamptz,
    PRIMARY KEY (room_id, user_id)
);
CREATE INDEX room_participants_user ON room_participants (user_id);

ALTER TABLE rooms ENABLE ROW LEVEL SECURITY;
ALTER TABLE rooms FORCE ROW LEVEL SECURITY;
ALTER TABLE room_participants ENABLE ROW LEVEL SECURITY;
ALTER TABLE room_participants FORCE ROW LEVEL SECURITY;

CREATE POLICY rooms_service ON rooms TO service_role USING (true) WITH CHECK (true);
CREATE POLICY rooms_host ON rooms TO authenticated
    USING (host_user_id = (SELECT current_user_id())) WITH CHECK (host_user_id = (SELECT current_user_id()));
CREATE POLICY rooms_participant ON rooms FOR SELECT TO authenticated USING (
    EXISTS (
        SELECT 1 FROM room_participants
        WHERE room_id = rooms.id AND user_id = (SELECT current_user_id()) AND left_at IS NULL AND NOT is_banned
    )
);
CREATE POLICY room_participants_service ON room_participants TO service_role USING (true) WITH CHECK (true);
-- One's own row alone: a policy that asked who else is there would ask itself without end.
CREATE POLICY room_participants_self ON room_participants FOR SELECT TO authenticated
    USING (user_id = (SELECT current_user_id()));

GRANT SELECT, INSERT, UPDATE, DELETE ON rooms, room_participants TO service_role;
GRANT SELECT ON rooms, room_participants TO authenticated;
