DROP TABLE poll_highlights;
