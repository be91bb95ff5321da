"""Requests to addresses that strangers gave us."""
