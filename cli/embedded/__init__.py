"""PostgreSQL and Valkey from Python wheels, run as children of whoever needs them."""
