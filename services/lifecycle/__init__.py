"""Effects of a job's beginning and end on its clip or recording; deletion and maintenance."""
