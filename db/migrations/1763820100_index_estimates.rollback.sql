DROP INDEX jobs_due, jobs_succeeded;
