-- Rooms in real time: events with a number per room, messages, guests, moderation; polls with versions and visibility.

ALTER TABLE rooms
    ADD COLUMN mode text NOT NULL DEFAULT 'default' CHECK (length(mode) BETWEEN 1 AND 200),
    ADD COLUMN is_locked boolean NOT NULL DEFAULT false,
    ADD COLUMN is_private boolean NOT NULL DEFAULT false,
    ADD COLUMN allow_guests boolean NOT NULL DEFAULT false,
    -- Number of the newest event. Whoever raises it holds the row's lock until the commit, so numbers appear in order.
    ADD COLUMN last_seq bigint NOT NULL DEFAULT 0 CHECK (last_seq >= 0),
    ADD COLUMN recording_id uuid REFERENCES recordings ON DELETE SET NULL,
    ADD COLUMN recording_started_at timestamptz,
    ADD CONSTRAINT rooms_recording_has_start CHECK (recording_id IS NULL OR recording_started_at IS NOT NULL);
CREATE INDEX rooms_recording ON rooms (recording_id) WHERE recording_id IS NOT NULL;

ALTER TABLE room_participants
    DROP CONSTRAINT room_participants_user_id_fkey,
    -- A guest has no row in users, only a token for this room.
    ADD COLUMN is_guest boolean NOT NULL DEFAULT false,
    ADD COLUMN account_id uuid GENERATED ALWAYS AS (CASE WHEN NOT is_guest THEN user_id END) STORED
        REFERENCES users ON DELETE CASCADE,
    ADD COLUMN has_consented boolean NOT NULL DEFAULT false,
    ADD COLUMN left_reason text CHECK (left_reason IN ('left', 'disconnected', 'kicked', 'banned', 'room_ended')),
    -- What happens too often for a row of its own; added up by the realtime processes.
    ADD COLUMN reactions integer NOT NULL DEFAULT 0 CHECK (reactions >= 0),
    ADD COLUMN voice_s double precision NOT NULL DEFAULT 0 CHECK (voice_s >= 0),
    ADD CONSTRAINT room_participants_guest_has_no_office CHECK (NOT is_guest OR role = 'participant');
CREATE INDEX room_participants_account ON room_participants (account_id);
CREATE INDEX room_participants_present ON room_participants (room_id) WHERE left_at IS NULL;

-- What everybody in a room is told, once each: written in the transaction in which it happened.
CREATE TABLE room_events (
    room_id uuid NOT NULL REFERENCES rooms ON DELETE CASCADE,
    seq bigint NOT NULL CHECK (seq > 0),
    type text NOT NULL CHECK (length(type) BETWEEN 1 AND 64),
    -- As it is sent: JSON that nobody has to read again.
    payload json NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (room_id, seq)
);
CREATE INDEX room_events_created ON room_events (created_at);

CREATE TABLE room_messages (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    room_id uuid NOT NULL,
    seq bigint NOT NULL,
    user_id uuid NOT NULL,
    display_name text NOT NULL CHECK (length(display_name) BETWEEN 1 AND 100),
    message_type text NOT NULL DEFAULT 'text' CHECK (message_type IN ('text', 'system')),
    content text NOT NULL,
    -- A message that is sent twice because its acknowledgement was lost carries the same.
    client_msg_id text CHECK (length(client_msg_id) BETWEEN 1 AND 100),
    created_at timestamptz NOT NULL DEFAULT now(),
    edited_at timestamptz,
    deleted_at timestamptz,
    -- Number of the newest event about it: a client that was away finds what was edited meanwhile.
    updated_seq bigint NOT NULL,
    UNIQUE (room_id, seq),
    FOREIGN KEY (room_id, user_id) REFERENCES room_participants ON DELETE CASCADE,
    CONSTRAINT room_messages_deleted_is_empty CHECK (
        (deleted_at IS NULL AND length(content) BETWEEN 1 AND 2000) OR (deleted_at IS NOT NULL AND content = '')
    )
);
CREATE UNIQUE INDEX room_messages_once ON room_messages (room_id, user_id, client_msg_id)
    WHERE client_msg_id IS NOT NULL;
CREATE INDEX room_messages_updated ON room_messages (room_id, updated_seq);
CREATE INDEX room_messages_author ON room_messages (room_id, user_id);

CREATE FUNCTION notify_room_event() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    PERFORM pg_catalog.pg_notify('room_events', NEW.room_id::text);
    RETURN NULL;
END
$$;
CREATE TRIGGER room_events_notify AFTER INSERT ON room_events FOR EACH ROW EXECUTE FUNCTION notify_room_event();

ALTER TABLE polls DROP CONSTRAINT polls_check;
ALTER TABLE polls
    -- A question may begin without options and collects them; the others have two to six from the start.
    ADD CONSTRAINT polls_check CHECK (
        jsonb_typeof(options) = 'array'
        AND jsonb_array_length(options) BETWEEN CASE WHEN poll_type = 'question' THEN 0 ELSE 2 END AND 6
    ),
    -- Raised by everything that changes the results or who may see them: a lower one is older.
    ADD COLUMN version bigint NOT NULL DEFAULT 1 CHECK (version > 0),
    ADD COLUMN results_visibility text NOT NULL DEFAULT 'live'
        CHECK (results_visibility IN ('live', 'after_vote', 'after_close', 'on_reveal')),
    ADD COLUMN revealed_at timestamptz;

-- Keys of the hashes that stand for the voters of anonymous polls; deleted when the poll closes.
CREATE TABLE poll_keys (
    poll_id uuid PRIMARY KEY REFERENCES polls ON DELETE CASCADE,
    key bytea NOT NULL CHECK (length(key) = 32)
);

ALTER TABLE poll_votes
    DROP CONSTRAINT poll_votes_pkey,
    DROP CONSTRAINT poll_votes_user_id_fkey,
    ALTER COLUMN user_id DROP NOT NULL,
    ADD COLUMN room_id uuid,
    -- HMAC-SHA256 of the voter's id, in an anonymous poll.
    ADD COLUMN voter_hash bytea CHECK (length(voter_hash) = 32),
    ADD CONSTRAINT poll_votes_one_voter CHECK (num_nonnulls(user_id, voter_hash) = 1),
    ADD CONSTRAINT poll_votes_once UNIQUE NULLS NOT DISTINCT (poll_id, user_id, voter_hash),
    ADD CONSTRAINT poll_votes_participant FOREIGN KEY (room_id, user_id) REFERENCES room_participants ON DELETE CASCADE;
CREATE INDEX poll_votes_participant ON poll_votes (room_id, user_id);

CREATE TABLE poll_upvotes (
    poll_id uuid NOT NULL REFERENCES polls ON DELETE CASCADE,
    option_id text NOT NULL CHECK (length(option_id) BETWEEN 1 AND 64),
    room_id uuid,
    user_id uuid,
    voter_hash bytea CHECK (length(voter_hash) = 32),
    CONSTRAINT poll_upvotes_one_voter CHECK (num_nonnulls(user_id, voter_hash) = 1),
    CONSTRAINT poll_upvotes_once UNIQUE NULLS NOT DISTINCT (poll_id, option_id, user_id, voter_hash),
    FOREIGN KEY (room_id, user_id) REFERENCES room_participants ON DELETE CASCADE
);
CREATE INDEX poll_upvotes_participant ON poll_upvotes (room_id, user_id);

-- Whether the asking user may see what is said in a room: somebody who is in it, or was until it ended.
-- SECURITY DEFINER, or the policies of room_participants would ask themselves without end.
CREATE FUNCTION is_room_member(room uuid) RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = ''
    AS $$
    BEGIN
        RETURN EXISTS (
            SELECT 1 FROM public.room_participants
            WHERE room_id = room AND user_id = public.current_user_id() AND NOT is_banned
              AND (left_at IS NULL OR left_reason = 'room_ended')
        );
    END
    $$;
REVOKE EXECUTE ON FUNCTION is_room_member(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION is_room_member(uuid) TO authenticated, service_role;
-- Row-level security is forced, so the function's owner needs a policy too.
CREATE POLICY room_participants_definer ON room_participants FOR SELECT TO CURRENT_USER USING (true);

DROP POLICY rooms_participant ON rooms;
-- Past rooms too: what is said in them is another matter.
CREATE POLICY rooms_participant ON rooms FOR SELECT TO authenticated USING (
    EXISTS (
        SELECT 1 FROM room_participants
        WHERE room_id = rooms.id AND user_id = (SELECT current_user_id()) AND NOT is_banned
          AND left_reason IS DISTINCT FROM 'kicked'
    )
);
CREATE POLICY room_participants_fellow ON room_participants FOR SELECT TO authenticated
    USING (is_room_member(room_id));
DROP POLICY polls_participant ON polls;
CREATE POLICY polls_participant ON polls FOR SELECT TO authenticated USING (is_room_member(room_id));

ALTER TABLE room_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE room_events FORCE ROW LEVEL SECURITY;
ALTER TABLE room_messages ENABLE ROW LEVEL SECURITY;
ALTER TABLE room_messages FORCE ROW LEVEL SECURITY;
ALTER TABLE poll_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE poll_keys FORCE ROW LEVEL SECURITY;
ALTER TABLE poll_upvotes ENABLE ROW LEVEL SECURITY;
ALTER TABLE poll_upvotes FORCE ROW LEVEL SECURITY;

CREATE POLICY room_events_service ON room_events TO service_role USING (true) WITH CHECK (true);
CREATE POLICY room_messages_service ON room_messages TO service_role USING (true) WITH CHECK (true);
CREATE POLICY room_messages_member ON room_messages FOR SELECT TO authenticated USING (is_room_member(room_id));
CREATE POLICY poll_keys_service ON poll_keys TO service_role USING (true) WITH CHECK (true);
CREATE POLICY poll_upvotes_service ON poll_upvotes TO service_role USING (true) WITH CHECK (true);
CREATE POLICY poll_upvotes_owner ON poll_upvotes FOR SELECT TO authenticated
    USING (user_id = (SELECT current_user_id()));

GRANT SELECT, INSERT, UPDATE, DELETE
    ON room_events, room_messages, poll_keys, poll_upvotes TO service_role;
GRANT SELECT (id, room_id, seq, user_id, display_name, message_type, content, client_msg_id, created_at, edited_at,
              deleted_at, updated_seq) ON room_messages TO authenticated;
GRANT SELECT (poll_id, option_id, user_id) ON poll_upvotes TO authenticated;
-- No counts of archived ballots: the results may still be hidden.
REVOKE SELECT ON polls FROM authenticated;
GRANT SELECT (id, room_id, created_by, poll_type, question, options, duration_seconds, is_anonymous, status, created_at,
              ends_at, closed_at, version, results_visibility, revealed_at) ON polls TO authenticated;
REVOKE SELECT ON poll_votes FROM authenticated;
GRANT SELECT (poll_id, user_id, option_id, created_at, updated_at) ON poll_votes TO authenticated;
