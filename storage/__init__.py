"""Object storage: one protocol, two adapters."""
