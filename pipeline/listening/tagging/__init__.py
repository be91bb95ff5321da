"""Audio taggers: classify the sound of each half second."""
