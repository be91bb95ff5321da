-- Recordings and their highlights.

CREATE TABLE recordings (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    title text NOT NULL CHECK (length(title) BETWEEN 1 AND 300),
    filename text NOT NULL CHECK (length(filename) BETWEEN 1 AND 255),
    content_type text NOT NULL,
    -- Declared at first, then what storage holds.
    size_bytes bigint CHECK (size_bytes > 0),
    status text NOT NULL DEFAULT 'uploading'
        CHECK (status IN ('uploading', 'live', 'processing', 'ready', 'failed', 'deleted')),
    source_key text NOT NULL,
    source_url text,
    upload_id text,
    part_size_bytes bigint,
    duration_s double precision CHECK (duration_s >= 0),
    has_audio boolean,
    has_video boolean,
    -- The pipeline's Probe document.
    probe jsonb,
    timeline_key text,
    index_key text,
    waveform_key text,
    poster_key text,
    curve_key text,
    -- {code, message, retryable, …} when failed.
    error jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    ready_at timestamptz,
    CONSTRAINT recordings_failed_has_error CHECK ((status = 'failed') = (error IS NOT NULL) OR status = 'deleted'),
    CONSTRAINT recordings_ready_is_probed CHECK (
        status <> 'ready' OR (probe IS NOT NULL AND duration_s IS NOT NULL AND timeline_key IS NOT NULL)
    ),
    -- Nobody can point his row at another's object.
    CONSTRAINT recordings_source_key_is_own CHECK (starts_with(source_key, user_id::text || '/' || id::text || '/')),
    CONSTRAINT recordings_upload_open CHECK (upload_id IS NULL OR status IN ('uploading', 'live'))
);
CREATE INDEX recordings_owner ON recordings (user_id, created_at DESC, id DESC) WHERE status <> 'deleted';
CREATE INDEX recordings_uploading ON recordings (created_at) WHERE status = 'uploading';

CREATE TABLE highlights (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    recording_id uuid NOT NULL REFERENCES recordings ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    start_s double precision NOT NULL CHECK (start_s >= 0),
    end_s double precision NOT NULL,
    core_start_s double precision NOT NULL,
    core_end_s double precision NOT NULL,
    peak_s double precision NOT NULL,
    score double precision NOT NULL CHECK (score BETWEEN 0 AND 1),
    kind text NOT NULL CHECK (kind IN ('humor', 'celebration', 'surprise', 'emotional', 'engagement')),
    kind_confidence double precision NOT NULL CHECK (kind_confidence BETWEEN 0 AND 1),
    -- [{signal, weight, contribution}], contributions sum to score.
    reasons jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT highlights_order CHECK (
        start_s <= core_start_s AND core_start_s < core_end_s AND core_end_s <= end_s
        AND peak_s BETWEEN start_s AND end_s
    )
);
CREATE INDEX highlights_recording ON highlights (recording_id, score DESC, id);
CREATE INDEX highlights_owner ON highlights (user_id);

ALTER TABLE recordings ENABLE ROW LEVEL SECURITY;
ALTER TABLE recordings FORCE ROW LEVEL SECURITY;
ALTER TABLE highlights ENABLE ROW LEVEL SECURITY;
ALTER TABLE highlights FORCE ROW LEVEL SECURITY;

CREATE POLICY recordings_service ON recordings TO service_role USING (true) WITH CHECK (true);
CREATE POLICY recordings_owner ON recordings TO authenticated
    USING (user_id = (SELECT current_user_id())) WITH CHECK (user_id = (SELECT current_user_id()));
CREATE POLICY highlights_service ON highlights TO service_role USING (true) WITH CHECK (true);
CREATE POLICY highlights_owner ON highlights TO authenticated
    USING (user_id = (SELECT current_user_id())) WITH CHECK (user_id = (SELECT current_user_id()));

GRANT SELECT, INSERT, UPDATE, DELETE ON recordings, highlights TO service_role;
GRANT SELECT, INSERT ON recordings TO authenticated;
-- What the pipeline found, and where it put it, is written by the service alone.
GRANT UPDATE (title, size_bytes, status, upload_id, part_size_bytes, error, updated_at) ON recordings TO authenticated;
GRANT SELECT ON highlights TO authenticated;
