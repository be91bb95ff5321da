-- What operators look at: search over jobs at a million rows, and series that outlive restarts and pruned jobs.

-- Each answers one filter of the search in the order of its pages, without a sort and without a sequential scan.
CREATE INDEX jobs_state ON jobs (state, created_at DESC, id DESC);
CREATE INDEX jobs_kind ON jobs (kind, created_at DESC, id DESC);
CREATE INDEX jobs_error_code ON jobs ((error ->> 'code'), created_at DESC, id DESC) WHERE error IS NOT NULL;
CREATE INDEX jobs_error_text ON jobs
    USING gin (to_tsvector('simple', (error ->> 'code') || ' ' || (error ->> 'message'))) WHERE error IS NOT NULL;
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL;
DROP INDEX jobs_dead;
CREATE INDEX schedule_ticks_created ON schedule_ticks (created_at);

-- How many jobs ended how in each five minutes, and how long they had waited and run.
CREATE TABLE job_series (
    bucket timestamptz NOT NULL,
    queue text NOT NULL,
    kind text NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('succeeded', 'failed', 'cancelled')),
    jobs integer NOT NULL CHECK (jobs > 0),
    wait_s double precision NOT NULL CHECK (wait_s >= 0),
    run_s double precision NOT NULL CHECK (run_s >= 0),
    PRIMARY KEY (bucket, queue, kind, outcome)
);

ALTER TABLE job_series ENABLE ROW LEVEL SECURITY;
ALTER TABLE job_series FORCE ROW LEVEL SECURITY;
CREATE POLICY job_series_service ON job_series TO service_role USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON job_series TO service_role;
