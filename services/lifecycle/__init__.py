"""Beginning and end of jobs with their effects on clips and recordings; cancellation, deletion, maintenance."""
