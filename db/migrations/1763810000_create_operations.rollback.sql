DROP TABLE job_series;
DROP INDEX schedule_ticks_created;
CREATE INDEX jobs_dead ON jobs (finished_at DESC) WHERE state = 'failed';
DROP INDEX jobs_finished, jobs_error_text, jobs_error_code, jobs_kind, jobs_state;
