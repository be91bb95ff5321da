-- Clips: one row a clip that somebody asked for, with the objects that the published attempt made.

CREATE TABLE clips (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    recording_id uuid NOT NULL REFERENCES recordings ON DELETE CASCADE,
    highlight_id uuid REFERENCES highlights ON DELETE SET NULL,
    job_id uuid REFERENCES jobs ON DELETE SET NULL,
    title text NOT NULL DEFAULT '' CHECK (length(title) <= 300),
    description text NOT NULL DEFAULT '' CHECK (length(description) <= 5000),
    start_s double precision NOT NULL CHECK (start_s >= 0),
    end_s double precision NOT NULL,
    preset text NOT NULL DEFAULT 'original'
        CHECK (preset IN ('original', '720p', 'vertical', 'square', 'audiogram')),
    formats text[] NOT NULL DEFAULT '{mp4}'
        CHECK (cardinality(formats) > 0 AND formats <@ '{mp4,webm,mp3}'::text[]),
    accuracy text NOT NULL DEFAULT 'exact' CHECK (accuracy IN ('exact', 'fast', 'encode')),
    loudness double precision CHECK (loudness BETWEEN -70 AND -5),
    options jsonb NOT NULL DEFAULT '{}',
    status text NOT NULL DEFAULT 'queued'
        CHECK (status IN ('queued', 'processing', 'completed', 'failed', 'cancelled', 'expired')),
    -- {format: {key, content_type, size_bytes, duration_s, width, height, copied_s, encoded_s}} of the visible version.
    objects jsonb NOT NULL DEFAULT '{}',
    -- True while only the fast version can be played; the exact one replaces it at the same address.
    is_preview boolean NOT NULL DEFAULT false,
    -- What the render had to say, such as why it could not copy.
    notes jsonb NOT NULL DEFAULT '[]',
    error jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz,
    expires_at timestamptz,
    CONSTRAINT clips_length CHECK (end_s > start_s AND end_s - start_s BETWEEN 4.999 AND 300.001),
    CONSTRAINT clips_failed_has_error CHECK ((status = 'failed') = (error IS NOT NULL)),
    CONSTRAINT clips_completed_has_objects CHECK (
        status <> 'completed' OR (objects <> '{}' AND completed_at IS NOT NULL AND NOT is_preview)
    )
);
CREATE INDEX clips_owner ON clips (user_id, created_at DESC, id DESC);
CREATE INDEX clips_recording ON clips (recording_id);
CREATE INDEX clips_expiry ON clips (expires_at) WHERE status = 'completed';
CREATE INDEX clips_processing ON clips (updated_at) WHERE status IN ('queued', 'processing');

ALTER TABLE jobs ADD CONSTRAINT jobs_clip_id_fkey FOREIGN KEY (clip_id) REFERENCES clips ON DELETE CASCADE;

CREATE TABLE clip_shares (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    clip_id uuid NOT NULL REFERENCES clips ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    slug text NOT NULL UNIQUE CHECK (length(slug) BETWEEN 10 AND 64),
    platform text NOT NULL
        CHECK (platform IN ('twitter', 'facebook', 'whatsapp', 'reddit', 'direct_link', 'embed', 'download')),
    expires_at timestamptz,
    revoked_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX clip_shares_clip ON clip_shares (clip_id);

ALTER TABLE clips ENABLE ROW LEVEL SECURITY;
ALTER TABLE clips FORCE ROW LEVEL SECURITY;
ALTER TABLE clip_shares ENABLE ROW LEVEL SECURITY;
ALTER TABLE clip_shares FORCE ROW LEVEL SECURITY;

CREATE POLICY clips_service ON clips TO service_role USING (true) WITH CHECK (true);
CREATE POLICY clips_owner ON clips TO authenticated
    USING (user_id = (SELECT current_user_id())) WITH CHECK (user_id = (SELECT current_user_id()));
CREATE POLICY clip_shares_service ON clip_shares TO service_role USING (true) WITH CHECK (true);
CREATE POLICY clip_shares_owner ON clip_shares TO authenticated
    USING (user_id = (SELECT current_user_id())) WITH CHECK (user_id = (SELECT current_user_id()));

GRANT SELECT, INSERT, UPDATE, DELETE ON clips, clip_shares TO service_role;
GRANT SELECT, DELETE ON clips TO authenticated;
GRANT INSERT (id, user_id, recording_id, highlight_id, title, description, start_s, end_s, preset, formats, accuracy,
              loudness, options, status, created_at, updated_at) ON clips TO authenticated;
-- What was rendered, and where it lies, is written by the service alone.
GRANT UPDATE (title, description, status, error, job_id, updated_at) ON clips TO authenticated;
GRANT SELECT, INSERT, UPDATE ON clip_shares TO authenticated;
