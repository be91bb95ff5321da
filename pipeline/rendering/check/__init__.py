"""The check of a finished file: what it is, and how much it resembles the recording."""
