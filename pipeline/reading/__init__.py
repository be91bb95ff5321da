"""Reading a recording safely and sparingly: byte ranges, packets, their index."""
