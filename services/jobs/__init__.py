"""Jobs: rows of the queue, payloads, dispatch, fairness, schedules and retries."""
