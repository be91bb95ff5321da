"""Rooms: people who talk, vote and listen together, and the events that they get."""
