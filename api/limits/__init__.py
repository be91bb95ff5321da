"""Limits on calls, counted in Redis: rate limits and the daily meter."""
