-- Live recording: tracks and their parts, consent, saved moments, and what the audience did meanwhile.

ALTER TABLE recordings
    ADD COLUMN room_id uuid REFERENCES rooms ON DELETE SET NULL,
    -- Zero of the recording's clock.
    ADD COLUMN live_started_at timestamptz,
    ADD COLUMN live_ended_at timestamptz,
    ADD CONSTRAINT recordings_live_has_start CHECK (status <> 'live' OR live_started_at IS NOT NULL);
CREATE INDEX recordings_live ON recordings (live_started_at) WHERE status = 'live';
CREATE INDEX recordings_room ON recordings (room_id) WHERE room_id IS NOT NULL;

CREATE TABLE recording_tracks (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    recording_id uuid NOT NULL REFERENCES recordings ON DELETE CASCADE,
    -- Whose sound or picture it is; a guest has no row in users.
    user_id uuid NOT NULL,
    source text NOT NULL CHECK (source IN ('microphone', 'camera', 'screen')),
    content_type text NOT NULL CHECK (length(content_type) BETWEEN 1 AND 200),
    -- Server's clock minus the client's, in milliseconds, when the track began.
    clock_offset_ms bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX recording_tracks_recording ON recording_tracks (recording_id, created_at, id);

CREATE TABLE recording_parts (
    track_id uuid NOT NULL REFERENCES recording_tracks ON DELETE CASCADE,
    number integer NOT NULL CHECK (number BETWEEN 1 AND 1000000),
    size_bytes bigint NOT NULL CHECK (size_bytes >= 0),
    -- As the client's clock says.
    start_ms bigint NOT NULL,
    duration_ms integer NOT NULL CHECK (duration_ms >= 0),
    etag text,
    created_at timestamptz NOT NULL DEFAULT now(),
    stored_at timestamptz,
    PRIMARY KEY (track_id, number)
);

CREATE TABLE recording_consents (
    recording_id uuid NOT NULL REFERENCES recordings ON DELETE CASCADE,
    user_id uuid NOT NULL,
    given boolean NOT NULL,
    answered_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (recording_id, user_id)
);

-- Saved moments ("remember this").
CREATE TABLE memories (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    recording_id uuid NOT NULL REFERENCES recordings ON DELETE CASCADE,
    at_s double precision NOT NULL CHECK (at_s >= 0),
    label text CHECK (length(label) BETWEEN 1 AND 200),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX memories_owner ON memories (user_id, created_at DESC, id DESC);
CREATE INDEX memories_recording ON memories (recording_id, at_s);

-- What people in the room did while a recording ran, for its scores and its timeline.
CREATE TABLE recording_activity (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    recording_id uuid NOT NULL REFERENCES recordings ON DELETE CASCADE,
    at timestamptz NOT NULL DEFAULT now(),
    kind text NOT NULL CHECK (kind IN ('message', 'reaction', 'vote', 'join', 'memory')),
    number integer NOT NULL DEFAULT 1 CHECK (number > 0)
);
CREATE INDEX recording_activity_recording ON recording_activity (recording_id, at);

ALTER TABLE recording_tracks ENABLE ROW LEVEL SECURITY;
ALTER TABLE recording_tracks FORCE ROW LEVEL SECURITY;
ALTER TABLE recording_parts ENABLE ROW LEVEL SECURITY;
ALTER TABLE recording_parts FORCE ROW LEVEL SECURITY;
ALTER TABLE recording_consents ENABLE ROW LEVEL SECURITY;
ALTER TABLE recording_consents FORCE ROW LEVEL SECURITY;
ALTER TABLE memories ENABLE ROW LEVEL SECURITY;
ALTER TABLE memories FORCE ROW LEVEL SECURITY;
ALTER TABLE recording_activity ENABLE ROW LEVEL SECURITY;
ALTER TABLE recording_activity FORCE ROW LEVEL SECURITY;

CREATE POLICY recording_tracks_service ON recording_tracks TO service_role USING (true) WITH CHECK (true);
CREATE POLICY recording_parts_service ON recording_parts TO service_role USING (true) WITH CHECK (true);
CREATE POLICY recording_consents_service ON recording_consents TO service_role USING (true) WITH CHECK (true);
CREATE POLICY memories_service ON memories TO service_role USING (true) WITH CHECK (true);
CREATE POLICY recording_activity_service ON recording_activity TO service_role USING (true) WITH CHECK (true);
CREATE POLICY memories_owner ON memories FOR SELECT TO authenticated USING (user_id = (SELECT current_user_id()));

GRANT SELECT, INSERT, UPDATE, DELETE
    ON recording_tracks, recording_parts, recording_consents, memories, recording_activity TO service_role;
GRANT SELECT ON memories TO authenticated;
