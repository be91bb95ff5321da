"""Listening: features of the sound, the timeline they form, and highlight detection on it."""
