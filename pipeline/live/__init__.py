"""Live recordings: joins the tracks that browsers sent in parts to one seekable file."""
