"""Socket.IO: the same events as webhooks and `/api/events`, pushed to whoever is connected."""
