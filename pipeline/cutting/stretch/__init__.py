"""A stretch of a recording as a local file: packets if a container can carry them, else decoded media."""
