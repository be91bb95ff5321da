"""Commands of clients: their payloads and handlers."""
