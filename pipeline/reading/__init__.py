"""Reading recordings, safely and with few bytes: byte ranges, packets, and their index."""
