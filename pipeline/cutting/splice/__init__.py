"""Newly encoded pictures in one stream with a recording's own packets."""
