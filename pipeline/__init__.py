"""Media work: probe, timeline, highlights, cut, render, verify. Knows no database, queue, HTTP or settings."""
