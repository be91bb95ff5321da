"""Splicing: joins newly encoded pictures and a recording's own packets to one stream."""
