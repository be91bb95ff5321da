"""Facts in a container's headers that FFmpeg's Python interface does not expose."""
