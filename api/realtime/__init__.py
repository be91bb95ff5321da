"""Socket.IO: rooms and polls, and the events of webhooks and `/api/events`."""
