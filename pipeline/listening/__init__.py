"""Hearing: features of the sound, the timeline they make, and the scoring of its moments."""
