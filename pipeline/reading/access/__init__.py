"""Access to the bytes of a recording: local files, HTTP ranges, and the block cache that clips share."""
