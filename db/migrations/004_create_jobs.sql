-- The queue's truth. Redis only rings: see docs/architecture.md and docs/state-machines.md.

CREATE TABLE jobs (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    -- NULL for the system's own work.
    user_id uuid REFERENCES users ON DELETE CASCADE,
    -- Whose turn it is: the system's own jobs take turns as if one more owner had asked for them.
    owner_key uuid NOT NULL GENERATED ALWAYS AS (coalesce(user_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff')) STORED,
    kind text NOT NULL,
    queue text NOT NULL CHECK (queue IN ('ingest', 'detect', 'render', 'housekeeping')),
    state text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    -- Higher goes first among one owner's jobs and between queues.
    priority smallint NOT NULL DEFAULT 0,
    recording_id uuid REFERENCES recordings ON DELETE CASCADE,
    clip_id uuid,
    payload jsonb NOT NULL DEFAULT '{}',
    result jsonb,
    error jsonb,
    -- How often it was claimed, ever: outputs lie under this number, so it never goes back.
    attempt integer NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    -- Attempts that count against max_attempts: a failure or a death does, a drained worker does not.
    charged integer NOT NULL DEFAULT 0 CHECK (charged >= 0),
    -- Attempts that ended because something around the job was broken (storage, network), not the job.
    setbacks integer NOT NULL DEFAULT 0 CHECK (setbacks >= 0),
    max_attempts integer NOT NULL DEFAULT 3 CHECK (max_attempts >= 1),
    -- Raised whenever a message is sent for the job: a message with an older number claims nothing.
    dispatch_no integer NOT NULL DEFAULT 0,
    run_at timestamptz NOT NULL DEFAULT now(),
    dispatched_at timestamptz,
    lease_token uuid,
    lease_expires_at timestamptz,
    worker_id uuid,
    progress real NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 100),
    stage text,
    eta_s real,
    cancel_requested_at timestamptz,
    -- The request that asked for it, to follow one call through API, dispatcher, actor and child.
    trace_id text,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz,
    CONSTRAINT jobs_lease_while_running CHECK (
        (state = 'running') = (lease_token IS NOT NULL) AND (state = 'running') = (lease_expires_at IS NOT NULL)
    ),
    CONSTRAINT jobs_finished_at_end CHECK (
        (state IN ('succeeded', 'failed', 'cancelled')) = (finished_at IS NOT NULL)
    ),
    CONSTRAINT jobs_failed_has_error CHECK (state <> 'failed' OR error IS NOT NULL),
    CONSTRAINT jobs_dispatched_while_open CHECK (dispatched_at IS NULL OR state <> 'queued' OR dispatch_no > 0)
);
CREATE INDEX jobs_waiting ON jobs (queue, owner_key, priority DESC, run_at, created_at)
    WHERE state = 'queued' AND dispatched_at IS NULL;
-- What an operator put first passes all turns.
CREATE INDEX jobs_urgent ON jobs (queue, priority DESC, run_at)
    WHERE state = 'queued' AND dispatched_at IS NULL AND priority >= 100;
CREATE INDEX jobs_dispatched ON jobs (queue, dispatched_at) WHERE state = 'queued' AND dispatched_at IS NOT NULL;
CREATE INDEX jobs_leases ON jobs (lease_expires_at) WHERE state = 'running';
CREATE INDEX jobs_running ON jobs (queue, owner_key) WHERE state = 'running';
CREATE INDEX jobs_owner ON jobs (user_id, created_at DESC, id DESC);
CREATE INDEX jobs_recent ON jobs (created_at DESC, id DESC);
CREATE INDEX jobs_dead ON jobs (finished_at DESC) WHERE state = 'failed';
CREATE INDEX jobs_recording ON jobs (recording_id) WHERE recording_id IS NOT NULL;
CREATE INDEX jobs_clip ON jobs (clip_id) WHERE clip_id IS NOT NULL;

-- The timeline of a job: one row a transition.
CREATE TABLE job_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id uuid NOT NULL REFERENCES jobs ON DELETE CASCADE,
    at timestamptz NOT NULL DEFAULT now(),
    state text NOT NULL,
    attempt integer NOT NULL,
    event text NOT NULL,
    details jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX job_events_job ON job_events (job_id, id);

-- Worker processes that are alive: the dispatcher counts their slots, operators look at them.
CREATE TABLE workers (
    id uuid PRIMARY KEY,
    host text NOT NULL,
    pid integer NOT NULL,
    version text NOT NULL,
    queues text[] NOT NULL,
    slots integer NOT NULL CHECK (slots > 0),
    memory_bytes bigint,
    is_draining boolean NOT NULL DEFAULT false,
    drain_requested_at timestamptz,
    started_at timestamptz NOT NULL DEFAULT now(),
    heartbeat_at timestamptz NOT NULL DEFAULT now()
);

-- Cron is rows: one tick a slot, inserted with its job under the lock.
CREATE TABLE schedules (
    name text PRIMARY KEY,
    every_s integer NOT NULL CHECK (every_s > 0),
    kind text NOT NULL,
    payload jsonb NOT NULL DEFAULT '{}',
    is_paused boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE schedule_ticks (
    name text NOT NULL REFERENCES schedules ON DELETE CASCADE,
    slot timestamptz NOT NULL,
    job_id uuid REFERENCES jobs ON DELETE SET NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (name, slot)
);

CREATE TABLE queue_controls (
    queue text PRIMARY KEY,
    is_paused boolean NOT NULL DEFAULT false,
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- Wake the dispatcher as soon as the transaction that queued the job commits.
CREATE FUNCTION notify_job_queued() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    PERFORM pg_catalog.pg_notify('jobs_queued', '');
    RETURN NULL;
END
$$;
CREATE TRIGGER jobs_notify_insert AFTER INSERT ON jobs FOR EACH STATEMENT EXECUTE FUNCTION notify_job_queued();

-- ... and when a slot becomes free, or a job returns to the queue.
CREATE TRIGGER jobs_notify_freed AFTER UPDATE ON jobs FOR EACH ROW
    WHEN (OLD.state = 'running' AND NEW.state <> 'running')
    EXECUTE FUNCTION notify_job_queued();

-- A change that somebody may be waiting for: server-sent events and Socket.IO listen.
CREATE FUNCTION notify_job_changed() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    PERFORM pg_catalog.pg_notify('jobs_changed', NEW.id::text);
    RETURN NULL;
END
$$;
CREATE TRIGGER jobs_notify_change AFTER UPDATE ON jobs FOR EACH ROW
    WHEN (OLD.state IS DISTINCT FROM NEW.state OR OLD.progress IS DISTINCT FROM NEW.progress
          OR OLD.stage IS DISTINCT FROM NEW.stage)
    EXECUTE FUNCTION notify_job_changed();

ALTER TABLE jobs ENABLE ROW LEVEL SECURITY;
ALTER TABLE jobs FORCE ROW LEVEL SECURITY;
ALTER TABLE job_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE job_events FORCE ROW LEVEL SECURITY;
ALTER TABLE workers ENABLE ROW LEVEL SECURITY;
ALTER TABLE workers FORCE ROW LEVEL SECURITY;
ALTER TABLE schedules ENABLE ROW LEVEL SECURITY;
ALTER TABLE schedules FORCE ROW LEVEL SECURITY;
ALTER TABLE schedule_ticks ENABLE ROW LEVEL SECURITY;
ALTER TABLE schedule_ticks FORCE ROW LEVEL SECURITY;
ALTER TABLE queue_controls ENABLE ROW LEVEL SECURITY;
ALTER TABLE queue_controls FORCE ROW LEVEL SECURITY;

CREATE POLICY jobs_service ON jobs TO service_role USING (true) WITH CHECK (true);
CREATE POLICY jobs_owner ON jobs TO authenticated
    USING (user_id = (SELECT current_user_id()))
    WITH CHECK (user_id = (SELECT current_user_id()) AND queue <> 'housekeeping');
CREATE POLICY job_events_service ON job_events TO service_role USING (true) WITH CHECK (true);
CREATE POLICY job_events_owner ON job_events TO authenticated
    USING (EXISTS (SELECT 1 FROM jobs WHERE jobs.id = job_id))
    WITH CHECK (EXISTS (SELECT 1 FROM jobs WHERE jobs.id = job_id));
CREATE POLICY workers_service ON workers TO service_role USING (true) WITH CHECK (true);
CREATE POLICY schedules_service ON schedules TO service_role USING (true) WITH CHECK (true);
CREATE POLICY schedule_ticks_service ON schedule_ticks TO service_role USING (true) WITH CHECK (true);
CREATE POLICY queue_controls_service ON queue_controls TO service_role USING (true) WITH CHECK (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON jobs, job_events, workers, schedules, schedule_ticks, queue_controls
    TO service_role;
GRANT SELECT, INSERT, UPDATE ON jobs TO authenticated;
GRANT SELECT, INSERT ON job_events TO authenticated;
