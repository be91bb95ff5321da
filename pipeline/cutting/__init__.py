"""Cutting: decides which packets to copy, joins encoded pictures to them, and writes the result."""
