-- What happened to an owner's things, and who is told about it over HTTP.

-- One row an event, written in the transaction that changed the thing. Rows outlive what they are about.
CREATE TABLE events (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    -- The order of one owner's events. A number may become visible a moment later than a higher one.
    seq bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    type text NOT NULL CHECK (type IN (
        'recording.ready', 'recording.failed', 'highlights.ready', 'clip.completed', 'clip.failed', 'clip.expired',
        'webhook.test', 'webhook.disabled'
    )),
    -- No references: an event about a clip is still true when the clip is gone.
    recording_id uuid,
    clip_id uuid,
    data jsonb NOT NULL,
    trace_id text,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX events_owner ON events (user_id, seq);
CREATE INDEX events_created ON events (created_at);

CREATE TABLE webhooks (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    url text NOT NULL CHECK (length(url) BETWEEN 1 AND 2000),
    events text[] NOT NULL CHECK (
        cardinality(events) > 0 AND events <@ ARRAY[
            'recording.ready', 'recording.failed', 'highlights.ready', 'clip.completed', 'clip.failed', 'clip.expired'
        ]
    ),
    -- Signs what is sent. Its owner sees it once, in the answer that creates it.
    secret text NOT NULL CHECK (length(secret) >= 32),
    status text NOT NULL DEFAULT 'enabled' CHECK (status IN ('enabled', 'disabled')),
    disabled_at timestamptz,
    disabled_reason text,
    -- Since when nothing has got through; NULL while things do.
    failing_since timestamptz,
    last_success_at timestamptz,
    -- Failed attempts since then. From some number on the webhook rests between single tries, so that a receiver that
    -- is down does not keep workers busy with waiting for it.
    failures integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
    resting_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT webhooks_disabled_has_reason CHECK (
        (status = 'disabled') = (disabled_at IS NOT NULL) AND (status = 'disabled') = (disabled_reason IS NOT NULL)
    )
);
CREATE INDEX webhooks_owner ON webhooks (user_id, created_at DESC, id DESC);

-- One row for each event that a webhook is to be told, and one more for each replay.
CREATE TABLE webhook_deliveries (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    seq bigint GENERATED ALWAYS AS IDENTITY,
    webhook_id uuid NOT NULL REFERENCES webhooks ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    event_id uuid NOT NULL REFERENCES events ON DELETE CASCADE,
    -- The delivery that this one repeats; no reference, for that one may be pruned first.
    replay_of uuid,
    -- What it is about: deliveries of one webhook with the same lane are sent one after the other.
    lane uuid NOT NULL,
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivered', 'failed')),
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    -- The job of the next attempt; NULL while it waits for its turn. No reference: jobs are pruned earlier.
    job_id uuid,
    next_attempt_at timestamptz,
    first_attempt_at timestamptz,
    last_attempt_at timestamptz,
    -- Of the last attempt.
    duration_ms integer CHECK (duration_ms >= 0),
    response_status integer CHECK (response_status BETWEEN 100 AND 999),
    response_excerpt text CHECK (octet_length(response_excerpt) <= 1024),
    error jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    CONSTRAINT webhook_deliveries_finished_at_end CHECK ((status = 'pending') = (finished_at IS NULL)),
    CONSTRAINT webhook_deliveries_failed_has_error CHECK (status <> 'failed' OR error IS NOT NULL),
    CONSTRAINT webhook_deliveries_waits_while_pending CHECK (
        status = 'pending' OR (job_id IS NULL AND next_attempt_at IS NULL)
    )
);
CREATE UNIQUE INDEX webhook_deliveries_once ON webhook_deliveries (webhook_id, event_id) WHERE replay_of IS NULL;
CREATE INDEX webhook_deliveries_lane ON webhook_deliveries (webhook_id, lane, seq) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_log ON webhook_deliveries (webhook_id, created_at DESC, id DESC);
CREATE INDEX webhook_deliveries_recent ON webhook_deliveries (created_at DESC, id DESC);
CREATE INDEX webhook_deliveries_finished ON webhook_deliveries (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX webhook_deliveries_event ON webhook_deliveries (event_id);
CREATE INDEX webhook_deliveries_owner ON webhook_deliveries (user_id);

ALTER TABLE jobs DROP CONSTRAINT jobs_queue_check;
ALTER TABLE jobs ADD CONSTRAINT jobs_queue_check
    CHECK (queue IN ('ingest', 'detect', 'render', 'housekeeping', 'webhook'));

-- Whoever follows an owner's events listens; the payload names the owner.
CREATE FUNCTION notify_event_recorded() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    PERFORM pg_catalog.pg_notify('events_recorded', NEW.user_id::text);
    RETURN NULL;
END
$$;
CREATE TRIGGER events_notify AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION notify_event_recorded();

ALTER TABLE events ENABLE ROW LEVEL SECURITY;
ALTER TABLE events FORCE ROW LEVEL SECURITY;
ALTER TABLE webhooks ENABLE ROW LEVEL SECURITY;
ALTER TABLE webhooks FORCE ROW LEVEL SECURITY;
ALTER TABLE webhook_deliveries ENABLE ROW LEVEL SECURITY;
ALTER TABLE webhook_deliveries FORCE ROW LEVEL SECURITY;

CREATE POLICY events_service ON events TO service_role USING (true) WITH CHECK (true);
CREATE POLICY events_owner ON events FOR SELECT TO authenticated USING (user_id = (SELECT current_user_id()));
CREATE POLICY webhooks_service ON webhooks TO service_role USING (true) WITH CHECK (true);
CREATE POLICY webhooks_owner ON webhooks TO authenticated
    USING (user_id = (SELECT current_user_id())) WITH CHECK (user_id = (SELECT current_user_id()));
CREATE POLICY webhook_deliveries_service ON webhook_deliveries TO service_role USING (true) WITH CHECK (true);
CREATE POLICY webhook_deliveries_owner ON webhook_deliveries FOR SELECT TO authenticated
    USING (user_id = (SELECT current_user_id()));

GRANT SELECT, INSERT, UPDATE, DELETE ON events, webhooks, webhook_deliveries TO service_role;
GRANT SELECT ON events, webhook_deliveries TO authenticated;
-- The secret can be written, and not read.
GRANT SELECT (id, user_id, url, events, status, disabled_at, disabled_reason, failing_since, last_success_at,
              created_at, updated_at) ON webhooks TO authenticated;
GRANT INSERT (id, user_id, url, events, secret), DELETE ON webhooks TO authenticated;
GRANT UPDATE (status, disabled_at, disabled_reason, failing_since, failures, resting_until, updated_at)
    ON webhooks TO authenticated;
