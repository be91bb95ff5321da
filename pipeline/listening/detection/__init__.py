"""Highlight detection on a timeline."""
