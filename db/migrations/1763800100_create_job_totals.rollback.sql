DROP TABLE total_marks, job_event_totals, job_totals;
