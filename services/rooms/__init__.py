"""Rooms: people who talk, vote and listen together, and what they are told."""
