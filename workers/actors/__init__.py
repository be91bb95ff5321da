"""Dramatiq actors, one module a kind of job."""
