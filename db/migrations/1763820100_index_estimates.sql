-- What estimates and admission ask, each in a few steps of an index however long the queues are.
CREATE INDEX jobs_succeeded ON jobs (kind, finished_at DESC) WHERE state = 'succeeded';
CREATE INDEX jobs_due ON jobs (queue, run_at) WHERE state = 'queued';
