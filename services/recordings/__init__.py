"""Recordings, uploads, highlights and timelines."""
