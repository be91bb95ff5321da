class EmbeddedError(Exception):
    """An embedded server cannot be used here; the message says why and what to do."""
