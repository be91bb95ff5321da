"""Jobs: the queue's rows, dispatch, fairness, schedules and retries."""
