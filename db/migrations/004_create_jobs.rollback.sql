DROP TABLE queue_controls, schedule_ticks, schedules, workers, job_events, jobs;
DROP FUNCTION notify_job_changed();
DROP FUNCTION notify_job_queued();
