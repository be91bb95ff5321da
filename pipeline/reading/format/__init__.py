"""Syntax of containers and bitstreams, read from bytes alone."""
