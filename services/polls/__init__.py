"""Polls: questions to a room, ballots and results."""
