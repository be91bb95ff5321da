"""Media children: starting, watching and killing them."""
