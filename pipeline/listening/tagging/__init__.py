"""Audio taggers: what kinds of sound are heard in each half second."""
