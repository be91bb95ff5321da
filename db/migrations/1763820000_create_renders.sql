-- One render for all who ask for the same clip of the same recording with the same settings.

CREATE TABLE renders (
    -- What its objects lie under: {user_id}/{id}/{attempt}/. That of the clip it was first asked for, where that is free.
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    recording_id uuid NOT NULL REFERENCES recordings ON DELETE CASCADE,
    -- Of everything that the files depend on.
    fingerprint text NOT NULL,
    -- What is written into the files: a clip that shares it may be renamed meanwhile.
    title text NOT NULL,
    job_id uuid UNIQUE REFERENCES jobs ON DELETE SET NULL,
    -- Whoever asks for the same joins this one. No longer so when it failed, was cancelled, or its objects are gone.
    is_current boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    joined_at timestamptz NOT NULL DEFAULT now()
);
-- Of two that ask at the same moment one makes the row, and the other waits for it.
CREATE UNIQUE INDEX renders_current ON renders (recording_id, fingerprint) WHERE is_current;
CREATE INDEX renders_owner ON renders (user_id);

-- NULL for clips of before: their objects are their own, and lie under their own id.
ALTER TABLE clips ADD COLUMN render_id uuid REFERENCES renders ON DELETE SET NULL;
CREATE INDEX clips_render ON clips (render_id);
CREATE INDEX clips_job ON clips (job_id);

-- A job may hold a part of the allowance for each clip that waits for it.
ALTER TABLE quota_holds ADD COLUMN clip_id uuid;
UPDATE quota_holds SET clip_id = jobs.clip_id FROM jobs WHERE jobs.id = quota_holds.job_id;
ALTER TABLE quota_holds DROP CONSTRAINT quota_holds_pkey;
CREATE UNIQUE INDEX quota_holds_once ON quota_holds (job_id, clip_id) NULLS NOT DISTINCT;

ALTER TABLE renders ENABLE ROW LEVEL SECURITY;
ALTER TABLE renders FORCE ROW LEVEL SECURITY;
CREATE POLICY renders_service ON renders TO service_role USING (true) WITH CHECK (true);
CREATE POLICY renders_owner ON renders FOR SELECT TO authenticated USING (user_id = (SELECT current_user_id()));
GRANT SELECT, INSERT, UPDATE, DELETE ON renders TO service_role;
GRANT SELECT ON renders TO authenticated;
