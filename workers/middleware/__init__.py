"""What we add to Dramatiq's broker, one small file each.

Its defaults (retries, time limits, age limits) are left out: attempts, pauses and deadlines are columns in PostgreSQL,
and a second book-keeper would only disagree.
"""
