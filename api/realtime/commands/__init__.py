"""Commands of clients: what each takes, and what it does."""
