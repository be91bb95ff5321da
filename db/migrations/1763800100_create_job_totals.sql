-- What Prometheus counts of jobs: totals that only grow, whoever asks and whichever process restarts.

-- One row for each way in which jobs of a kind have ended.
CREATE TABLE job_totals (
    queue text NOT NULL,
    kind text NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('succeeded', 'failed', 'cancelled')),
    -- Of the error; empty when there was none.
    code text NOT NULL,
    jobs bigint NOT NULL,
    -- Seconds of media that were read or made.
    media_s double precision NOT NULL,
    -- Of the last attempt: from when it was due to when it began, and from there to the end.
    wait_s double precision NOT NULL,
    run_s double precision NOT NULL,
    wait_counts bigint[] NOT NULL,
    run_counts bigint[] NOT NULL,
    PRIMARY KEY (queue, kind, outcome, code)
);

-- What else happens to jobs: retries, workers that died, jobs handed back.
CREATE TABLE job_event_totals (
    queue text NOT NULL,
    event text NOT NULL,
    code text NOT NULL,
    total bigint NOT NULL,
    PRIMARY KEY (queue, event, code)
);

-- Up to which row of another table the totals have been counted.
CREATE TABLE total_marks (
    name text PRIMARY KEY,
    last_id bigint NOT NULL
);
INSERT INTO total_marks (name, last_id) VALUES ('job_events', 0);

ALTER TABLE job_totals ENABLE ROW LEVEL SECURITY;
ALTER TABLE job_totals FORCE ROW LEVEL SECURITY;
ALTER TABLE job_event_totals ENABLE ROW LEVEL SECURITY;
ALTER TABLE job_event_totals FORCE ROW LEVEL SECURITY;
ALTER TABLE total_marks ENABLE ROW LEVEL SECURITY;
ALTER TABLE total_marks FORCE ROW LEVEL SECURITY;

CREATE POLICY job_totals_service ON job_totals TO service_role USING (true) WITH CHECK (true);
CREATE POLICY job_event_totals_service ON job_event_totals TO service_role USING (true) WITH CHECK (true);
CREATE POLICY total_marks_service ON total_marks TO service_role USING (true) WITH CHECK (true);

GRANT SELECT, INSERT, UPDATE ON job_totals, job_event_totals, total_marks TO service_role;
