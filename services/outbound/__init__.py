"""Requests to addresses from untrusted users."""
