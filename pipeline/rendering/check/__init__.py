"""Checks of finished files: their properties, and their resemblance to the recording."""
