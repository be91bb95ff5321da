"""A stretch of a recording as a local file: packets where a container carries them whole, decoded media elsewhere."""
