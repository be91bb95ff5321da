"""Live recordings: the tracks that browsers sent in parts become one seekable file."""
