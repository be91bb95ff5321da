DROP TABLE webhook_deliveries, webhooks, events;
DROP FUNCTION notify_event_recorded();
DELETE FROM jobs WHERE queue = 'webhook';
ALTER TABLE jobs DROP CONSTRAINT jobs_queue_check;
ALTER TABLE jobs ADD CONSTRAINT jobs_queue_check CHECK (queue IN ('ingest', 'detect', 'render', 'housekeeping'));
