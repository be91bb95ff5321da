"""Sound of clips: mixing, placing by its times, encoding."""
